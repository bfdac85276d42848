"""The documentation's examples of shell and command line, run in bash as they are written.

Addresses and placeholders are replaced, nothing else. The other examples: tests/unit/test_readme.py
tells who runs them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.client import MontClient
from tests.support.api import new_user
from tests.support.pages import PAGES, ROOT, Page
from tests.support.real_images import real_image
from tests.support.server import Server, clean_environment, running_server

_SECONDS = 90
EVENTS = {"EVENTS": "webhook"}


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


def scripts(page: Page, *words: str) -> str:
    """The examples with any of these words in them, one after the other."""
    found = [text for text in page.examples("sh") if any(each in text for each in words)]
    assert found
    return "\n".join(found)


@pytest_asyncio.fixture(loop_scope="module")
async def guest(server: Server) -> dict[str, str]:
    """The variables of somebody whom no other test knows, with the stores for `mont doctor`."""
    return {
        "MONT": server.url,
        "MONT_URL": server.url,
        "MONT_USER": new_user(),
        "AWS_ENDPOINT_URL": server.backend,
    }


async def test_the_readmes_command_line(guest: dict[str, str], home: Path) -> None:
    script = PAGES["README.md"].example("mont upload --recursive")
    script = script.replace("MONT_USER=demo", "MONT_USER=$MONT_USER")
    printed = await bash(script, home, **guest)
    assert printed.count("/0.jpg") == 2  # uploaded, and downloaded
    assert len(list((home / "photos").iterdir())) == 3


async def test_the_tour_of_the_command_line(server: Server, home: Path) -> None:
    script = PAGES["docs/cli.md"].example("export MONT_URL")
    script = script.replace("http://127.0.0.1:8080", server.url)
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
    assert left[image.image_id] == ("beach",)
    assert draft.image_id not in left


async def test_each_command_of_whoever_has_images(guest: dict[str, str], home: Path) -> None:
    section = PAGES["docs/cli.md"].section("## For whoever has images")
    async with MontClient(guest["MONT_URL"], user_id=guest["MONT_USER"]) as mont:
        image = await mont.upload(real_image(turned=90).body, tags=["beach"])
        script = "\n".join(Page("cli", section).examples("sh"))
        printed = await bash(script, home, ID=image.image_id, **guest)
        names = sorted([each.filename async for each in mont.images(tag="holiday")])
        assert (await mont.get(image.image_id)).tags == ()
    assert names == ["0.jpg", "1.jpg", "2.jpg", "photo.jpg"]
    assert (home / "shared.jpg").read_bytes() == real_image(turned=90).body
    listed = [json.loads(line) for line in (home / "images.jsonl").read_text().splitlines()]
    assert len({each["image_id"] for each in listed if each["user_id"] == guest["MONT_USER"]}) == 6
    assert "last evening" in printed


async def test_commands_of_whoever_runs_it(guest: dict[str, str], home: Path) -> None:
    page = PAGES["docs/cli.md"]
    await bash(scripts(page, "mont doctor --no-service", "mont openapi"), home, **guest)
    assert json.loads((home / "openapi.json").read_text())["openapi"].startswith("3.")


async def test_the_api_with_curl(server: Server, guest: dict[str, str], home: Path) -> None:
    page = PAGES["docs/api.md"]
    script = "\n".join(page.examples("sh"))
    for said, meant in (
        ("http://127.0.0.1:8080", server.url),
        ('"user_id": "demo"', f'"user_id": "{guest["MONT_USER"]}"'),
        ("user_id=demo", f"user_id={guest['MONT_USER']}"),
        ("--user demo", ""),
    ):
        assert said in script
        script = script.replace(said, meant)
    printed = (await bash(script, home, **guest)).splitlines()
    assert printed[0] == "the same image"
    assert printed[1].endswith(" photo.jpg beach")
    edited, linked, deleted, refused = [
        json.loads(each) for line in printed[2:] for each in line.replace("}{", "}\n{").split("\n")
    ]
    assert (edited["tags"], edited["description"]) == ([], "Evening at the beach")
    assert [each.get("status") for each in linked["results"]] == [None, 404]
    assert [each["status"] for each in deleted["results"]] == ["deleted"]
    (shown,) = map(json.loads, page.examples("json"))
    assert refused | {"instance": ""} == shown | {"instance": ""}


async def test_health(guest: dict[str, str], home: Path) -> None:
    script = PAGES["docs/operations.md"].example("/readyz")
    assert '"status":"ok"' in await bash(script, home, **guest)


async def test_what_a_month_costs_is_printed_as_it_is_shown(home: Path) -> None:
    page = PAGES["docs/cost.md"]
    (shown,) = page.examples("text")
    assert await bash(page.example("mont cost\n"), home) == shown, "show what is printed now"
    (home / "prices.json").write_bytes((ROOT / "service/costs/prices.json").read_bytes())
    printed = await bash(page.example("mont cost --images"), home)
    assert printed.count("A month on AWS") == 3
    assert json.loads((home / "cost.json").read_text())


async def test_keys(server: Server, home: Path) -> None:
    script = PAGES["docs/security.md"].example("mont keys create")
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
    script = PAGES["docs/events.md"].example("mont events list")
    await bash(script, home, **stores)
    listed = await bash("mont events list", home, **stores)
    assert image.image_id in listed


async def test_the_sweep(server: Server, home: Path) -> None:
    script = PAGES["docs/operations.md"].example("mont sweep --apply")
    printed = await bash(script, home, AWS_ENDPOINT_URL=server.backend)
    assert printed.count("unfinished_deletion") == 3
