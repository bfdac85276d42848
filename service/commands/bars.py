"""Progress bars on standard error, where that is a terminal; otherwise nothing at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from service.client import Progress
from service.commands.remote import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Display

_LONGEST_NAME = 36


class Bars:
    """One bar for the whole, and one for each file under way."""

    def __init__(self, display: Display | None, files: int, total: int | None) -> None:
        """`total` bytes of all files, where that is known."""
        self._display = display
        self._files = files
        self._done = 0
        self._whole = None if display is None else display.add_task(self._count, total=total)

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

        try:
            yield tell
        finally:
            display.remove_task(task)

    def done(self, unmoved: int = 0) -> None:
        """One more file is dealt with; so many of its bytes did not have to be moved."""
        self._done += 1
        if self._display is not None and self._whole is not None:
            self._display.update(self._whole, description=self._count, advance=unmoved)


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
        # Data that goes into a pipe must not end up among the bars.
        redirect_stdout=sys.stdout.isatty(),
        refresh_per_second=8,
    ) as display:
        yield Bars(display, files, total)
