"""How far a run is, on standard error: a bar where that is a terminal, otherwise plain lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from service.load.results import Step
from service.load.trial import Audience, Look
from service.load.words import rate_text, time_text

if TYPE_CHECKING:
    from rich.progress import Progress as Display
    from rich.progress import TaskID

# Of looks, which come every second: a log need not hold them all.
_LINE_EVERY = 5


class Lines:
    """Plain lines."""

    def __init__(self) -> None:
        self._looks = 0

    def preparing(self, images: int) -> None:
        """Say so."""
        click.echo(f"Making {images} images to begin with.", err=True)

    def look(self, look: Look) -> None:
        """Say it now and then."""
        if self._looks % _LINE_EVERY == 0:
            head = f"{look.phase} {look.passed:.0f}/{look.whole:.0f} s"
            click.echo(f"{head} at {rate_text(look.rate)}: {_said(look)}", err=True)
        self._looks += 1

    def ended(self, step: Step) -> None:
        """Say what came of it."""
        self._looks = 0
        click.echo(_ended(step), err=True)

    def cleaning(self, images: int) -> None:
        """Say so."""
        click.echo(f"Deleting {images} images.", err=True)


class Bar:
    """One bar that tells everything, and a line for each step that is over."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._task: TaskID | None = None

    def preparing(self, images: int) -> None:
        """Say so."""
        self._restart(f"making {images} images")

    def look(self, look: Look) -> None:
        """Move the bar."""
        if self._task is None:
            self._restart("")
        assert self._task is not None
        self._display.update(
            self._task,
            description=f"{look.phase} at {rate_text(look.rate)}",
            completed=look.passed,
            total=look.whole,
            said=_said(look),
        )

    def ended(self, step: Step) -> None:
        """A line that stays."""
        self._display.console.print(_ended(step), highlight=False, markup=False)

    def cleaning(self, images: int) -> None:
        """Say so."""
        self._restart(f"deleting {images} images")

    def _restart(self, description: str) -> None:
        if self._task is not None:
            self._display.remove_task(self._task)
        self._task = self._display.add_task(description, total=None, said="")


@contextmanager
def shown_progress() -> Iterator[Audience]:
    """What is shown as long as the block lasts."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[said]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        refresh_per_second=4,
    ) as display:
        yield Bar(display)


def _said(look: Look) -> str:
    latencies = (
        "no answers"
        if look.p50 is None or look.p99 is None
        else f"p50 {time_text(look.p50)}, p99 {time_text(look.p99)}"
    )
    return (
        f"{rate_text(look.throughput)} done, {look.busy} under way, {latencies}; "
        f"{look.errors} errors, {look.turned_away} turned away"
    )


def _ended(step: Step) -> str:
    latencies = step.everything.latencies
    return (
        f"{rate_text(step.rate)}: {rate_text(step.throughput)} done ({step.achieved:.0%} of what "
        f"was due), p50 {time_text(latencies.at(50.0))}, p99 {time_text(latencies.at(99.0))}, "
        f"{step.everything.errors} errors, {step.everything.turned_away} turned away"
    )
