"""Retries that note their waits instead of waiting."""

from __future__ import annotations

from dataclasses import replace

from service.client import Retries


def no_waiting(waits: list[float] | None = None, **changes: float) -> Retries:
    """The usual retries, with the longest wait that each draw allows."""
    noted = [] if waits is None else waits

    async def note(seconds: float) -> None:
        noted.append(seconds)

    return replace(Retries(sleep=note, draw=lambda low, high: high), **changes)
