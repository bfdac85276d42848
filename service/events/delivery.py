"""Delivers what waits in the outbox: claims it, sends it, and takes it off or puts it back.

A claim is a lease. Whoever dies with one loses it, and the event is sent again by another: at
least once, with the same id. Nothing is ordered: an event tells when it happened.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from service import timestamps
from service.errors import StoreUnavailable
from service.model import Delivery, Event
from service.ports import Clock, Outbox

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
# At least as many again as may be under way, or a look could tell of nothing else.
_LOOK_AT = 2 * _AT_ONCE
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
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._begun: set[str] = set()  # whose attempts are under way here
        self._lost = 0  # claims in a row that others were quicker with
        self._in_trouble = False

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until told to stop; what is being sent then gets to its end."""
        async with asyncio.TaskGroup() as attempts:
            while not stop.is_set():
                pause = await self.deliver_due(attempts, stop)
                # Replicas that idle in step would all look at once.
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause * random.uniform(0.8, 1.2))

    async def deliver_due(self, attempts: asyncio.TaskGroup, stop: asyncio.Event) -> float:
        """Begin an attempt at what is due, each as soon as a slot is free; when to look again.

        That is in so many seconds. Never waits for one certain attempt: a receiver may take its
        time over some events, and the others must not wait for those.
        """
        self._in_trouble = False
        due: list[tuple[str, str]] = []
        with self._noting_trouble():
            due = await self._outbox.due(timestamps.to_text(self._now()), _LOOK_AT)
        for event_id, due_at in due:
            if event_id in self._begun:  # it was claimed after the outbox was looked at
                continue
            await self._slots.acquire()
            if self._in_trouble or stop.is_set():
                self._slots.release()
                break
            self._begun.add(event_id)
            attempts.create_task(self._attempt(event_id, due_at))
        if self._in_trouble:
            return _STORE_RETRY_SECONDS
        if len(due) < _LOOK_AT or self._lost >= _LOOK_AT:
            self._lost = 0
            return _IDLE_SECONDS
        return 0.0

    async def _attempt(self, event_id: str, due_at: str) -> None:
        """One slot's work. Never raises, but when it is cancelled."""
        try:
            with self._noting_trouble():
                await self._deliver(event_id, due_at)
        finally:
            self._begun.discard(event_id)
            self._slots.release()

    async def _deliver(self, event_id: str, due_at: str) -> None:
        until = timestamps.to_text(self._now() + _LEASE)
        delivery = await self._outbox.claim(event_id, due_at, until)
        if delivery is None:
            self._lost += 1
            return
        self._lost = 0
        verdict = await self._send(delivery.event)
        await self._settle(delivery, until, verdict)

    @contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        """Log what goes wrong inside; the next look is then later, and nothing else ends."""
        try:
            yield
        except StoreUnavailable as error:
            _log.error("events wait, %s is unavailable: %s", error.store, error.cause)
            self._in_trouble = True
        except Exception:  # or one event that nobody foresaw would hold up all others
            _log.exception("events wait after an unexpected error")
            self._in_trouble = True

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
