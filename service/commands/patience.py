"""How long commands wait for a service that does not answer, and what they say meanwhile."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from service.client import MontError, Retries

Say = Callable[[str], None]
"""Tells the person at the keyboard, or the log of a job."""

# What has passed by then is not worth a line.
_SECONDS_OF_SILENCE = 1.0
_SECONDS_WITHOUT_ANSWER = 3.0
_SECONDS_BETWEEN_LINES = 15.0


def wait_option(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that says for how long; goes below `remote_options`, which takes it."""
    return click.option(
        "--wait",
        type=click.FloatRange(0),
        default=default,
        show_default=True,
        metavar="SECONDS",
        help="How long to go on where the service does not answer, as while it restarts.",
    )


def patient_retries(seconds: float, say: Say) -> Retries:
    """Retries for so long, which say what is waited for."""
    said_at: float | None = None

    def waiting(error: MontError, so_long: float) -> None:
        nonlocal said_at
        now = time.monotonic()
        recently = said_at is not None and now - said_at < _SECONDS_BETWEEN_LINES
        if so_long >= _SECONDS_OF_SILENCE and not recently:
            said_at = now
            (why, *_) = str(error).splitlines() or [type(error).__name__]
            say(f"Waiting for the service, up to {seconds:.0f} s: {why}")

    return Retries(give_up_after=seconds, waiting=waiting)


@contextmanager
def silence_broken(say: Say) -> Iterator[None]:
    """On a terminal, say that there is no answer yet where this block takes long."""
    if not sys.stderr.isatty():
        yield
        return
    late = asyncio.get_running_loop().call_later(
        _SECONDS_WITHOUT_ANSWER, say, "Still waiting for the service."
    )
    try:
        yield
    finally:
        late.cancel()
