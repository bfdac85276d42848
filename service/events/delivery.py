"""Delivers what waits in the outbox: claims it, sends it, and takes it off or puts it back.

A claim is a lease. Whoever dies with one loses it, and the event is sent again by another: at
least once, with the same id. Nothing is ordered: an event tells when it happened.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from service import timestamps
from service.errors import StoreUnavailable
from service.model import Delivery, Event
from service.ports import Clock, Outbox
from service.together import together

_log = logging.getLogger(__name__)

# Standard Webhooks' own schedule: a receiver may be down for three days and misses nothing.
BACKOFF = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
_JITTER = 0.2
# Longer than any attempt takes.
_LEASE = timedelta(seconds=60)
_AT_ONCE = 10
_IDLE_SECONDS = 2.0
_STORE_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one attempt. `retry_after` is the receiver's own wish, in seconds."""

    outcome: Literal["delivered", "failed", "gone"]
    reason: str = ""
    retry_after: float | None = None


Send = Callable[[Event], Awaitable[Verdict]]
"""One attempt. Must not raise."""

Watch = Callable[[str], None]
"""Told `delivered`, `retried` or `dead` for each attempt."""


class Deliverer:
    """Sends what is due, again and again. Any number of them may share an outbox."""

    def __init__(self, outbox: Outbox, send: Send, *, now: Clock, watch: Watch) -> None:
        self._outbox = outbox
        self._send = send
        self._now = now
        self._watch = watch

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until told to stop; what is being sent then gets to its end."""
        while not stop.is_set():
            try:
                pause = 0.0 if await self.deliver_due() else _IDLE_SECONDS
            except StoreUnavailable as error:
                _log.error("events wait, %s is unavailable: %s", error.store, error.cause)
                pause = _STORE_RETRY_SECONDS
            except Exception:  # or one event that nobody foresaw would hold up all others
                _log.exception("events wait after an unexpected error")
                pause = _STORE_RETRY_SECONDS
            try:
                # Replicas that idle in step would all look at once.
                await asyncio.wait_for(stop.wait(), pause * random.uniform(0.8, 1.2))
            except TimeoutError:
                continue

    async def deliver_due(self) -> int:
        """Try what is due now, a few at once; how many were tried. Raises StoreUnavailable."""
        waiting = await self._outbox.due(timestamps.to_text(self._now()), _AT_ONCE)
        tried = await together(self._deliver(event_id, due_at) for event_id, due_at in waiting)
        return sum(tried)

    async def _deliver(self, event_id: str, due_at: str) -> bool:
        until = timestamps.to_text(self._now() + _LEASE)
        delivery = await self._outbox.claim(event_id, due_at, until)
        if delivery is None:
            return False
        verdict = await self._send(delivery.event)
        await self._settle(delivery, until, verdict)
        return True

    async def _settle(self, delivery: Delivery, lease: str, verdict: Verdict) -> None:
        now, event = self._now(), delivery.event
        if verdict.outcome == "delivered":
            await self._outbox.delivered(event.event_id, lease, timestamps.to_text(now))
            self._watch("delivered")
            return
        due = None if verdict.outcome == "gone" else _next_attempt(delivery.attempts, now, verdict)
        await self._outbox.failed(event.event_id, lease, due, verdict.reason)
        if due is None:
            _log.error("event %s is given up: %s", event.event_id, verdict.reason)
            self._watch("dead")
        else:
            _log.warning("event %s goes again at %s: %s", event.event_id, due, verdict.reason)
            self._watch("retried")


def _next_attempt(attempts: int, now: datetime, verdict: Verdict) -> str | None:
    """When to try again after so many attempts; None for never."""
    if attempts > len(BACKOFF):
        return None
    pause = BACKOFF[attempts - 1] * random.uniform(1, 1 + _JITTER)
    if verdict.retry_after is not None:
        pause = max(pause, min(timedelta(seconds=verdict.retry_after), BACKOFF[-1]))
    return timestamps.to_text(now + pause)
