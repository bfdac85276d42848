"""The README names nothing that does not exist, and its examples are ones that somebody runs."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from service.__main__ import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL = [text for language, text in BLOCKS if language == "sh"]
PLACES = re.compile(r"`([a-z_]+(?:/[a-z_.*]*|\.(?:py|yaml|js)))`")

# What runs an example, by words of it. What needs AWS, Docker or SAM runs as the same command
# with other options; what only sets variables is read by the settings' own tests.
RUN_BY = {
    "make test": "this very run",
    "# 1. Say what you will upload": "tests/integration/test_server.py",
    "mont upload photo.jpg": "tests/integration/test_readme_examples.py",
    "docker compose up --build\n": "tests/unit/test_compose.py reads what it does",
    "DOCKER_SOCKET=/dev/null": "tests/unit/test_compose.py reads what it does",
    "aws cloudformation deploy": "tests/e2e deploys the template",
    "mont deploy ": "tests/conftest.py deploys to LocalStack",
    "sam deploy": "tests/unit/test_api_template.py translates the template as SAM does",
    "aws lambda invoke": "tests/edges asks the functions directly",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "a variable",
    "mont keys create": "tests/integration/test_readme_examples.py",
    "WEBHOOK_SECRET": "variables, as tests/integration/test_events.py sets them",
    "mont events list": "tests/integration/test_readme_examples.py",
    "mont load http": "tests/integration/test_load.py, with other options",
    "mont sweep ": "tests/integration/test_readme_examples.py",
}


def test_every_shell_example_is_run_by_somebody() -> None:
    for text in SHELL:
        found = [words for words in RUN_BY if words in text]
        assert found, f"who runs this example? Say so in RUN_BY:\n{text}"
    for words in RUN_BY:
        assert any(words in text for text in SHELL), f"{words} is in no example any more"


@pytest.mark.parametrize("text", SHELL, ids=lambda text: text.split("\n")[0][:40])
def test_a_shell_example_is_sound_bash(text: str) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def commands() -> list[list[str]]:
    """Every `mont ...` of an example or a sentence, as words without its comment."""
    lines = [line for text in SHELL for line in text.splitlines()]
    lines += re.findall(r"`([^`\n]*\bmont [a-z][^`\n]*)`", README)
    called = re.compile(r"(?<![\w./@-])mont ([a-z]+(?: [^|;)>#]*)?)")
    return [shlex.split(text.strip()) for line in lines for text in called.findall(line)]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_command_that_is_named_exists_with_its_options(words: list[str]) -> None:
    command: click.Command | None = main
    while words and isinstance(command, click.Group):
        name = words.pop(0)
        if "-" in name[:1]:
            break
        command = command.get_command(click.Context(command), name)
        assert command is not None, name
    assert command is not None
    known = {option for each in command.params for option in each.opts} | {"--help"}
    for word in words:
        option = word.partition("=")[0]
        assert not option.startswith("--") or option in known, word


def test_every_target_of_make_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"(?:`|^|\n)make ([a-z-]+)", README))
    assert named
    assert [each for each in named if f"\n{each}:" not in makefile] == []


def test_every_file_and_folder_that_is_named_exists() -> None:
    made = {"build/", "photos/", "images/", "uploads/"}  # by commands, or prefixes of a bucket
    named = {each for each in PLACES.findall(README) if not each.startswith(tuple(made))}
    assert len(named) > 30
    tops = [ROOT, ROOT / "config", ROOT / "service", ROOT / "service" / "pages"]
    assert [each for each in named if not any(list(top.glob(each)) for top in tops)] == []
