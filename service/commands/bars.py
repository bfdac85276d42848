"""Progress bars on standard error, where that is a terminal, and lines that are printed above them.

A line written past the bars would be overwritten by them, and leave them behind: while they are
shown, everything that goes to their terminal goes through them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from service.client import Progress
from service.commands.remote import printable, printable_lines

if TYPE_CHECKING:
    from rich.progress import Progress as Display

_LONGEST_NAME = 36
_SECONDS_BETWEEN_PICTURES = 0.125


class Bars:
    """One bar for the whole, and one for each file under way."""

    def __init__(self, display: Display | None, files: int, total: int | None) -> None:
        """`total` bytes of all files, where that is known."""
        self._display = display
        self._files = files
        self._done = 0
        self._refreshed_at = 0.0
        self._whole = None if display is None else display.add_task(self._count, total=total)
        self._above = display is not None and _is_one_terminal()

    @property
    def _count(self) -> str:
        return f"{self._done}/{self._files} files"

    @contextmanager
    def file(self, name: str) -> Iterator[Progress | None]:
        """A bar for this file as long as the block lasts; what to tell how far it is."""
        display, whole = self._display, self._whole
        if display is None or whole is None:
            yield None
            return
        shown = printable(name)
        task = display.add_task(
            shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 1] + "…", total=None
        )
        before = 0

        def tell(done: int, total: int) -> None:
            nonlocal before
            display.update(task, completed=done, total=total)
            # Goes back where an attempt failed.
            display.advance(whole, done - before)
            before = done
            self._refresh(display)

        try:
            yield tell
        finally:
            display.remove_task(task)
            self._refresh(display)

    def done(self, unmoved: int = 0) -> None:
        """One more file is dealt with; so many of its bytes did not have to be moved."""
        self._done += 1
        if self._display is not None and self._whole is not None:
            self._display.update(self._whole, description=self._count, advance=unmoved)
            self._refresh(self._display)

    def print(self, line: str | bytes) -> None:
        """A line of data, on standard output; bytes are a file name as the system has it."""
        if self._display is None or not self._above:
            click.echo(line)
        else:
            text = os.fsdecode(line) if isinstance(line, bytes) else line
            # A tab is left to the terminal.
            self._write("\t".join(map(printable, text.split("\t"))))

    def complain(self, text: str) -> None:
        """A message, on standard error."""
        if self._display is None:
            click.echo(text, err=True)
        else:
            self._write(printable_lines(text))

    def _refresh(self, display: Display) -> None:
        now = time.monotonic()
        if now - self._refreshed_at >= _SECONDS_BETWEEN_PICTURES:
            self._refreshed_at = now
            display.refresh()

    def _write(self, text: str) -> None:
        assert self._display is not None, "where there are no bars nothing is above them"
        self._display.console.out(text, highlight=False)


def _is_one_terminal() -> bool:
    """Whether data goes to the terminal that the bars are on."""
    try:
        output, errors = sys.stdout.fileno(), sys.stderr.fileno()
        return os.path.samestat(os.fstat(output), os.fstat(errors))
    except OSError:
        return False


@contextmanager
def shown_bars(files: int, total: int | None) -> Iterator[Bars]:
    """Bars as long as the block lasts."""
    if not sys.stderr.isatty():
        yield Bars(None, files, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    with Progress(
        # Names are shown as they are: a bracket in one is no style.
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        # click finds no encoding on what this would put in their place, and writes past it.
        redirect_stdout=False,
        redirect_stderr=False,
        # A thread that draws them would now and then draw into a line that is being printed.
        auto_refresh=False,
    ) as display:
        yield Bars(display, files, total)
