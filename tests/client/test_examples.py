"""The examples in the documentation, run as they are written."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import service.client
from service.client import sync
from tests.support.pages import PAGES, ROOT
from tests.support.real_images import real_image
from tests.support.server import Server, clean_environment


def of_docstring(text: str | None) -> str:
    """The indented part."""
    lines = (text or "").splitlines()
    block = [line for line in lines if line.startswith("    ") or not line]
    return textwrap.dedent("\n".join(block))


def of_pages() -> dict[str, str]:
    """Every program of the documentation that uses the client."""
    return {
        f"{page.name} {number}": text
        for page in PAGES.values()
        for number, text in enumerate(page.examples("python"), 1)
        if "service.client" in text
    }


EXAMPLES = {
    "the package": of_docstring(service.client.__doc__),
    "the synchronous client": of_docstring(sync.__doc__),
    **of_pages(),
}


def test_there_are_examples_and_they_say_where_the_service_is() -> None:
    assert len(EXAMPLES) >= 10
    assert all("http://127.0.0.1:8080" in text for text in EXAMPLES.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_as_it_is_written(name: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(real_image().body)
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(real_image(turned=number).body)
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            EXAMPLES[name].replace("http://127.0.0.1:8080", server.url),
        ],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
