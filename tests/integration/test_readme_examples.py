"""The README's examples of the command line, run in bash as they are written.

Addresses and placeholders are replaced, nothing else. The other examples: tests/unit/test_readme.py
tells who runs them.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.client import MontClient
from tests.support.real_images import real_image
from tests.support.server import Server, clean_environment, running_server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
_SECONDS = 90
EVENTS = {"EVENTS": "webhook"}


def block(words: str) -> str:
    """The example that has these words in it."""
    found = [
        text
        for text in re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
        if words in text
    ]
    assert len(found) == 1, words
    return found[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server("--backend", "embedded", environment=EVENTS) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's folder, with photos, and `mont` to be found."""
    (tmp_path / "photo.jpg").write_bytes(real_image().body)
    (tmp_path / "Pictures" / "2026").mkdir(parents=True)
    for number in range(3):
        photo = tmp_path / "Pictures" / "2026" / f"{number}.jpg"
        photo.write_bytes(real_image(turned=number + 1).body)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mont"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m service "$@"\n')
    program.chmod(0o700)
    return tmp_path


async def bash(script: str, home: Path, **environment: str) -> str:
    """What a script prints; it stops at the first command that fails."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script,
        cwd=home,
        env=clean_environment(
            HOME=str(home),
            PATH=f"{home / 'bin'}:/usr/bin:/bin",
            PYTHONPATH=str(ROOT),
            **environment,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), _SECONDS)
    assert process.returncode == 0, (output + errors).decode()
    return output.decode()


async def test_the_command_line(server: Server, home: Path) -> None:
    script = block("mont upload photo.jpg").replace("http://127.0.0.1:8080", server.url)
    async with MontClient(server.url, user_id="demo") as mont:
        image, draft = [
            await mont.upload(real_image(turned=turned).body, filename="a.jpg", tags=["draft"])
            for turned in (90, 180)
        ]
        # `mont doctor` looks at the stores too, where the server said that they are.
        printed = await bash(script, home, ID=image.image_id, AWS_ENDPOINT_URL=server.backend)
        left = {each.image_id: each.tags for each in [each async for each in mont.images()]}
    assert (home / "ids.tsv").read_text().count("\n") == 3
    got = [path.read_bytes() for path in (home / "photos").iterdir()]
    assert got == [real_image(turned=90).body]
    assert "X-Amz-Signature=" in printed
    assert len(left) == 1 + 3 + 1
    assert left[image.image_id] == ("beach",)
    assert draft.image_id not in left


async def test_keys(server: Server, home: Path) -> None:
    script = block("mont keys create")
    stores = {"AWS_ENDPOINT_URL": server.backend}
    guarded = {**stores, "AUTH_MODE": "api_key"}
    async with running_server("--backend", "aws", environment=guarded) as running:
        # Whose id is shown in the list, and which key is then refused, nobody can know beforehand.
        script = script.replace(
            "revoke ID", "revoke $(mont keys list | grep -F '*' | cut -d' ' -f1)"
        )
        printed = await bash(script, home, MONT=running.url, **stores)
    assert '"images":[' in printed


async def test_events_are_listed_and_replayed(server: Server, home: Path) -> None:
    async with MontClient(server.url, user_id="demo") as mont:
        image = await mont.upload(real_image().body, filename="event.jpg")
    stores = {"AWS_ENDPOINT_URL": server.backend, **EVENTS}
    assert await bash(block("mont events list"), home, **stores) is not None
    listed = await bash("mont events list", home, **stores)
    assert image.image_id in listed


async def test_the_sweep(server: Server, home: Path) -> None:
    printed = await bash(block("mont sweep --apply"), home, AWS_ENDPOINT_URL=server.backend)
    assert printed.count("unfinished_deletion") == 3
