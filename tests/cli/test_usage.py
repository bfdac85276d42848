"""What every command promises: help with examples, exit status, terminals and pipes."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
from pathlib import Path
from typing import IO

import click
import pytest

from service.__main__ import main
from service.commands.patience import silence_broken
from service.settings import Settings
from tests.cli.conftest import Mont, Photos
from tests.cli.terminal import lines_left
from tests.support.makers import an_id
from tests.support.pages import PAGES, ROOT

REMOTE = ("upload", "ls", "get", "rm", "tag", "share", "doctor")
PAGE = PAGES["docs/cli.md"].text


def command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", [*REMOTE, "completion"])
def test_help_has_an_example_of_the_command(mont: Mont, name: str) -> None:
    text = mont.ok(name, "--help")
    assert re.search(rf"^  .*\bmont {name} ?.*$", text, re.MULTILINE)
    assert "Show this message" in text


@pytest.mark.parametrize("name", REMOTE)
def test_every_command_takes_the_same_connection(name: str) -> None:
    variables = {
        option.name: option.envvar for option in command(name).params if option.envvar is not None
    }
    variables.pop("journal_dir", None)
    assert variables == {
        "url": "MONT_URL",
        "api_key": "MONT_API_KEY",
        "token": "MONT_TOKEN",
        "user": "MONT_USER",
    }


def test_every_variable_of_a_command_is_on_its_page_and_none_is_a_setting() -> None:
    used = {
        str(option.envvar) for name in REMOTE for option in command(name).params if option.envvar
    }
    assert set(re.findall(r"`(MONT_[A-Z_]+)`", PAGE)) == used
    fields = Settings.__dataclass_fields__.values()
    assert used.isdisjoint({each.metadata["name"] for each in fields})


@pytest.mark.parametrize(
    "arguments",
    [
        ["upload"],
        ["upload", "a.jpg", "--jobs", "0"],
        ["ls", "--limit", "0"],
        ["ls", "--order", "up"],
        ["ls", "--api-key", "a", "--token", "b"],
        ["ls", "--url", "nowhere"],
        ["get"],
        ["rm"],
        ["tag"],
        ["share"],
        ["completion", "tcsh"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_says_so_on_standard_error(mont: Mont, arguments: list[str]) -> None:
    result = mont(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_the_shell_that_is_asked_for(mont: Mont, shell: str) -> None:
    text = mont.ok("completion", shell)
    assert "_MONT_COMPLETE" in text
    assert f"{shell}_complete" in text


async def test_bash_completes_commands_and_options(mont: Mont, tmp_path: Path) -> None:
    program = tmp_path / "mont"
    program.write_text(f"#!{sys.executable}\nfrom service.__main__ import main\nmain()\n")
    program.chmod(0o700)
    # What bash does at a press of Tab, with the function that it was given.
    script = (
        f"{mont.ok('completion', 'bash')}\n"
        "COMP_WORDS=(mont upload --rec) COMP_CWORD=2; _mont_completion mont\n"
        'echo "${COMPREPLY[@]}"'
    )
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert output.decode().split() == ["--recursive"]


def test_nobody_there_is_1_with_advice(mont: Mont) -> None:
    result = mont("share", an_id(1), "--url", "http://127.0.0.1:1", "--wait", "1")
    assert result.exit_code == 1
    assert "127.0.0.1:1" in result.stderr
    assert "--url" in result.stderr
    assert "Traceback" not in result.output


async def test_a_reader_that_leaves_early_is_no_failure_of_a_list(
    mont: Mont, photos: Photos
) -> None:
    async def unread(*arguments: str) -> tuple[int | None, bytes]:
        reading, writing = os.pipe()
        process = await mont.start(*arguments, stdout=writing)
        os.close(writing)
        os.close(reading)
        _, said = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode, said

    status, printed, said = await mont.run("upload", photos(3))
    assert status == 0, said
    assert await unread("ls", "--json") == (0, b"")
    # What may have been left undone ends as if by the signal that is for this.
    assert await unread("tag", printed.split()[0], "+unread") == (141, b"")


async def on_terminal(
    mont: Mont, *arguments: str | Path, stdout: IO[bytes] | None = None, **environment: str
) -> tuple[int, str]:
    """Run it with a terminal for all three, but for `stdout`; status and what the terminal got."""
    leader, follower = pty.openpty()
    process = await Mont(
        {**mont.environment, "COLUMNS": "150", "TERM": "xterm", **environment}
    ).start(*arguments, stdin=follower, stdout=stdout or follower, stderr=follower)
    os.close(follower)

    def read() -> bytes:
        got = b""
        while True:
            try:
                got += os.read(leader, 65_536)
            except OSError:  # Linux says so when the other end is closed
                return got

    got = await asyncio.to_thread(read)
    os.close(leader)
    return await asyncio.wait_for(process.wait(), 30), got.decode()


async def test_a_terminal_gets_bars_and_a_table(mont: Mont, photos: Photos) -> None:
    status, shown = await on_terminal(mont, "upload", photos(12))
    assert status == 0
    assert "\x1b[" in shown
    assert "12 uploaded." in shown
    assert "011.jpg" in shown
    status, shown = await on_terminal(mont, "ls", NO_COLOR="1")
    assert status == 0
    assert "uploaded (UTC)" in shown
    assert "64×48" in shown
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", shown), "no colour"


async def test_bars_leave_every_line_and_nothing_else(
    mont: Mont, photos: Photos, tmp_path: Path
) -> None:
    folder = photos(40)
    (folder / "empty.jpg").touch()
    status, written = await on_terminal(mont, "upload", folder)
    assert status == 1
    assert "━" in written, "there were bars"
    *lines, end = lines_left(written)
    (complaint,) = [line for line in lines if "empty.jpg" in line]
    lines.remove(complaint)
    ids = [image_id for image_id, _ in map(str.split, lines)]
    assert len({*ids}) == len(ids) == 40
    assert end == "40 uploaded, 1 failed."
    status, written = await on_terminal(mont, "get", *ids, an_id(1), "-o", tmp_path)
    assert status == 1
    assert "━" in written
    *lines, end = lines_left(written)
    saved = [line for line in lines if not line.startswith(an_id(1))]
    assert sorted(saved) == [f"{tmp_path}/{number:03}.jpg" for number in range(40)]
    assert [line.split(": ")[0] for line in lines if line not in saved] == [an_id(1)]
    assert end == "1 of 41 failed."


async def test_bars_are_on_the_terminal_and_data_in_the_pipe(
    mont: Mont, photos: Photos, tmp_path: Path
) -> None:
    with (tmp_path / "ids.tsv").open("wb") as output:
        status, written = await on_terminal(mont, "upload", photos(9), stdout=output)
    assert (status, lines_left(written)) == (0, ["9 uploaded."])
    assert "━" in written
    lines = (tmp_path / "ids.tsv").read_text().splitlines()
    assert [len(line.split("\t")) for line in lines] == [2] * 9


async def test_a_terminal_is_told_that_there_is_no_answer_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.commands.patience._SECONDS_WITHOUT_ANSWER", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    said: list[str] = []
    with silence_broken(said.append):
        while not said:
            await asyncio.sleep(0)
    assert said == ["Still waiting for the service."]


async def test_a_pipe_gets_neither(mont: Mont, photos: Photos) -> None:
    status, printed, said = await mont.run("upload", photos(2))
    assert (status, said) == (0, "2 uploaded.\n")
    assert "\x1b" not in printed
