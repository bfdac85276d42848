"""Retries that note their waits instead of waiting, on a clock that only waits move."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from service.client import Retries


def no_waiting(waits: list[float] | None = None, **changes: object) -> Retries:
    """The usual retries, with the longest wait that each draw allows."""
    noted = [] if waits is None else waits
    waited = 0.0

    async def note(seconds: float) -> None:
        nonlocal waited
        noted.append(seconds)
        waited += seconds
        await asyncio.sleep(0)

    usual = Retries(sleep=note, draw=lambda low, high: high, clock=lambda: waited)
    return replace(usual, **changes)
