"""A served instance and `mont` on it."""

from __future__ import annotations

import os
import sys
from asyncio import create_subprocess_exec, wait_for
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from service.__main__ import main
from service.client.sync import MontClient
from tests.support.api import new_user
from tests.support.server import Server, clean_environment, running_server

_SECONDS = 60


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[Server]:
    async with running_server("--backend", "embedded") as running:
        yield running


@dataclass(frozen=True)
class Mont:
    """`mont` for a user whom no other test knows, with a journal of its own."""

    environment: Mapping[str, str]

    @property
    def user(self) -> str:
        return self.environment["MONT_USER"]

    def __call__(self, *arguments: str | Path, stdin: str | bytes = "", **changes: str) -> Result:
        """Run a command in this process."""
        return CliRunner().invoke(
            main,
            [str(each) for each in arguments],
            input=stdin,
            env={**self.environment, **changes},
            prog_name="mont",
        )

    def ok(self, *arguments: str | Path, stdin: str | bytes = "", **changes: str) -> str:
        """What it prints where all goes well."""
        result = self(*arguments, stdin=stdin, **changes)
        assert result.exit_code == 0, result.output
        return result.stdout

    async def start(self, *arguments: str | Path, **options: object) -> Process:
        """A command as a process of its own."""
        return await create_subprocess_exec(
            sys.executable,
            "-m",
            "service",
            *map(str, arguments),
            env=clean_environment(**self.environment, PYTHONUNBUFFERED="1"),
            **{"stdout": PIPE, "stderr": PIPE, **options},
        )

    async def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of a process of its own."""
        process = await self.start(*arguments)
        output, errors = await wait_for(process.communicate(), _SECONDS)
        return process.returncode or 0, output.decode(), errors.decode()

    def images(self) -> list[str]:
        """The file names of all of the user's images, sorted."""
        with MontClient(self.environment["MONT_URL"], user_id=self.user) as client:
            return sorted(image.filename for image in client.images(page_size=100))


@pytest.fixture
def mont(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mont:
    return Mont(environment_of(server.url, tmp_path_factory.mktemp("journal")))


def environment_of(url: str, journal: Path) -> dict[str, str]:
    return {"MONT_URL": url, "MONT_USER": new_user(), "MONT_JOURNAL_DIR": str(journal)}


@pytest.fixture(autouse=True)
def nothing_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of whoever runs the tests has a say."""
    for name in [name for name in os.environ if name.startswith(("MONT_", "AWS_"))]:
        monkeypatch.delenv(name)
    yield


Photos = Callable[..., Path]


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    """Makes a folder of so many photos."""
    from tests.support.real_images import real_image

    def make(count: int, name: str = "photos") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / f"{number:03}.jpg").write_bytes(real_image(turned=number).body)
        return folder

    return make
