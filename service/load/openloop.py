"""Starts what is due when it is due, whether or not what was started before has ended.

There is a limit to what is under way at once; what is due beyond it waits, and its latency grows.
Only one arrival is ever held, so a service that stands still costs the tester no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

# So many are started in a row before others get their turn on the loop.
_IN_A_ROW = 8
# What is due at the very end may still begin; what piled up before may not go on for ever.
_GRACE = 1.0


class Watch(Protocol):
    """Whoever wants to know how the schedule is kept. Moments and seconds as given by the clock."""

    def slipped(self, due: float, seconds: float) -> None:
        """Something began so late although there was room for it."""
        ...

    def waited(self, due: float) -> None:
        """Something found no room."""
        ...


class OpenLoop:
    """At most `clients` things at once. `begin` does one that is due, `missed` hears of one that
    was not begun `patience` seconds after it was due, or by the end: no client was free, or the
    tester itself is too slow, which so can never fall behind by more than that.
    """

    def __init__(
        self,
        begin: Callable[[float], Awaitable[None]],
        missed: Callable[[float], None],
        watch: Watch,
        *,
        clients: int,
        patience: float,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._begin = begin
        self._missed = missed
        self._watch = watch
        self._patience = patience
        self._now = now
        self._sleep = sleep
        self._free = asyncio.Semaphore(clients)
        self._running: set[asyncio.Task[None]] = set()
        self._full_until = float("-inf")

    @property
    def busy(self) -> int:
        """How many are under way."""
        return len(self._running)

    async def run(
        self, dues: Iterable[float], end: float, stop: asyncio.Event, *, drain: float, hurry: float
    ) -> None:
        """Begin each of these until `end`, or `stop`; then wait for what is under way.

        For `drain` seconds at most, `hurry` once stopped; what is left then is cancelled.
        """
        async with asyncio.TaskGroup() as group:
            offering = group.create_task(self._offer(dues, end, group))
            stopping = group.create_task(stop.wait())
            await asyncio.wait({offering, stopping}, return_when=asyncio.FIRST_COMPLETED)
            offering.cancel()
            if not stop.is_set():
                await self._ended(drain, stopping)
            if stop.is_set():
                await self._ended(hurry)
            stopping.cancel()
            for task in self._running:
                task.cancel()

    async def _ended(self, seconds: float, unless: asyncio.Task[object] | None = None) -> None:
        """Wait for what is under way, unless something else happens first."""
        waiting = {asyncio.create_task(self._all_ended())}
        try:
            await asyncio.wait(
                waiting | ({unless} if unless else set()),
                timeout=seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for task in waiting:
                task.cancel()

    async def _all_ended(self) -> None:
        if self._running:
            await asyncio.wait(self._running)

    async def _offer(self, dues: Iterable[float], end: float, group: asyncio.TaskGroup) -> None:
        in_a_row = 0
        for due in dues:
            in_a_row += 1
            if (early := due - self._now()) > 0:
                await self._sleep(early)
                in_a_row = 0
            elif in_a_row >= _IN_A_ROW:
                await asyncio.sleep(0)
                in_a_row = 0
            if not await self._room(due, end):
                self._missed(due)
                continue
            task = group.create_task(self._one(due))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _room(self, due: float, end: float) -> bool:
        """Whether there is room for it, or will be in time."""
        left = min(due + self._patience, max(end, due) + _GRACE) - self._now()
        if not self._free.locked() and left >= 0:
            await self._free.acquire()
            # What is late because those before had to wait is no fault of the schedule.
            self._watch.slipped(due, max(0.0, self._now() - max(due, self._full_until)))
            return True
        if self._free.locked():
            self._watch.waited(due)
        if left <= 0:
            return False
        try:
            async with asyncio.timeout(left):
                await self._free.acquire()
        except TimeoutError:
            return False
        self._full_until = self._now()
        return True

    async def _one(self, due: float) -> None:
        try:
            await self._begin(due)
        finally:
            self._free.release()
