"""mont sweep."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.commands.common import Failure, read_settings

if TYPE_CHECKING:
    from service.operations.sweeping import Place
    from service.settings import Settings
    from service.sweeper import Orders, Report

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LEFT = 3
_SECONDS_BETWEEN_LINES = 5


def _age(_context: click.Context, _parameter: click.Parameter, value: str) -> timedelta:
    """An age such as 90s, 30m, 12h or 1d."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", value, re.ASCII)
    if found is None:
        raise click.BadParameter(
            "must be a whole number with its unit, such as 90s, 30m, 12h or 1d"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _writable(
    _context: click.Context, _parameter: click.Parameter, path: Path | None
) -> Path | None:
    """Refuse, before anything is swept, a file that could not be written after it."""
    if path is not None and not os.access(path.parent, os.W_OK | os.X_OK):
        raise click.BadParameter(f"{path.parent} is no folder that can be written to")
    return path


@click.command()
@click.option("--apply", is_flag=True, help="Settle what is found. Without it nothing is changed.")
@click.option(
    "--min-age",
    callback=_age,
    metavar="AGE",
    default="1d",
    show_default=True,
    help="How long uploads, images and objects have to be as they are.",
)
@click.option("--deleting", is_flag=True, help="Only finish deletions: quick, reads nothing else.")
@click.option(
    "--remove-broken", is_flag=True, help="Also remove images whose bytes are gone (with --apply)."
)
@click.option("--rate", type=click.IntRange(1), help="Entries to look at in a second, at most.")
@click.option("--resume", metavar="PLACE", help="Go on where another sweep stopped.")
@click.option(
    "--metrics-file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_writable,
    metavar="PATH",
    help="Also tell Prometheus: a file of its node exporter's textfile collector (NAME.prom).",
)
def sweep(
    apply: bool,
    min_age: timedelta,
    deleting: bool,
    remove_broken: bool,
    rate: int | None,
    resume: str | None,
    metrics_file: Path | None,
) -> None:
    """Compare both stores and settle what was left behind.

    \b
    unfinished_deletion  a deletion that was cut short: finished
    unfinished_upload    a completion that was cut short: published if its bytes are there
    broken_record        an image without bytes: told; removed with --remove-broken
    orphaned_object      bytes that no record names: removed
    misplaced_object     bytes where no record would put them: told, for you to look at

    Prints a report in JSON; progress goes to standard error. Ends with 0 if nothing is left to do,
    with 3 if something is, with 1 if it could not come to its end (--resume goes on from there).
    """
    from service.sweeper import Orders, PlaceUnknown, place_from_text

    settings = read_settings()
    least = settings.abandoned_after
    if min_age < least:
        raise click.BadParameter(
            f"is at least {least.total_seconds():.0f}s: younger ones may have a request at work on "
            "them (REQUEST_TIME_LIMIT and a minute)",
            param_hint="--min-age",
        )
    orders = Orders(apply, min_age, deleting, remove_broken, rate)
    try:
        start = None if resume is None else place_from_text(resume, orders)
    except PlaceUnknown as error:
        raise click.BadParameter(
            "is not a place that such a sweep printed", param_hint="--resume"
        ) from error
    report = asyncio.run(_sweep(settings, orders, start))
    document = report.document()
    click.echo(json.dumps(document, indent=2))
    if metrics_file is not None:
        _write_metrics(metrics_file, report)
    if report.place is not None:
        why = report.error or "It was interrupted."
        raise Failure(f"{why}\nGo on with: mont sweep --resume {document['resume']}")
    if report.left:
        raise SystemExit(_LEFT)


def _write_metrics(path: Path, report: Report) -> None:
    from service.sweep_metrics import write_metrics

    try:
        write_metrics(path, report)
    except OSError as error:
        raise Failure(f"The metrics could not be written: {error}") from error


async def _sweep(settings: Settings, orders: Orders, start: Place | None) -> Report:
    from service.storage.clients import open_clients
    from service.storage.sweeping import stores_of
    from service.sweeper import sweep

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_clients(settings) as clients:
        return await sweep(
            stores_of(settings, clients),
            orders,
            settings.abandoned_after,
            start=start,
            keep_going=lambda: not stop.is_set(),
            progress=_Progress(),
        )


class _Progress:
    """A line on standard error at the start, every few seconds, and at the end."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def __call__(self, report: Report) -> None:
        if report.place is not None and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _SECONDS_BETWEEN_LINES
        found = sum(counts.total() for counts in report.counts.values())
        doing = "done" if report.place is None else report.place.phase
        click.echo(
            f"{doing}: {report.examined_records} records and {report.examined_objects} objects "
            f"looked at, {found} found, {report.left} left",
            err=True,
        )
