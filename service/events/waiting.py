"""Keeps operators told of what waits in the outbox, whoever is to send it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from service.errors import StoreUnavailable
from service.model import Backlog
from service.ports import Clock, Outbox

_EVERY_SECONDS = 30.0
# Where it may not be read, or not now: asking more often would look like a store that fails.
_AFTER_FAILURE_SECONDS = 300.0

_log = logging.getLogger(__name__)

TellWaiting = Callable[[int, float], None]
"""Told how many events wait, and how many seconds the first of them is overdue."""


async def tell_what_waits(outbox: Outbox, tell: TellWaiting, now: Clock) -> bool:
    """Look once; whether the outbox could be read. That it could not is logged."""
    try:
        backlog = await outbox.backlog()
    except StoreUnavailable as error:
        _log.warning("how many events wait is not known: %s: %s", error.store, error.cause)
        return False
    tell(backlog.waiting, _overdue_seconds(backlog, now()))
    return True


def _overdue_seconds(backlog: Backlog, now: datetime) -> float:
    """How long the first of these should have been tried; 0 where none is due yet."""
    if backlog.first_due_at is None:
        return 0.0
    return max(0.0, (now - datetime.fromisoformat(backlog.first_due_at)).total_seconds())


@asynccontextmanager
async def telling_what_waits(
    outbox: Outbox, tell: TellWaiting, *, now: Clock
) -> AsyncIterator[None]:
    """Inside the block, look every half a minute."""
    looking = asyncio.create_task(_look(outbox, tell, now))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])


async def _look(outbox: Outbox, tell: TellWaiting, now: Clock) -> None:
    while True:
        known = await tell_what_waits(outbox, tell, now)
        pause = _EVERY_SECONDS if known else _AFTER_FAILURE_SECONDS
        # Replicas in step would all ask at once.
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))
