"""A time limit for many requests at once, on one timer rather than on one each.

A timer of its own would cost every request more than its metrics do, and nearly none needs it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType


class TimeLimit:
    """`seconds` for each of what runs under it, as `asyncio.timeout` has it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf  # when the timer goes off
        self._held: set[_Held] = set()

    def hold(self, spent: float = 0.0, on_expiry: Callable[[], None] | None = None) -> _Held:
        """`with` this the running task is cancelled in time, which is raised as TimeoutError.

        `spent` of the seconds are gone already. `on_expiry` is called before it is cancelled.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None, "only a task can be cancelled"
        if loop is not self._loop:  # what was held in another loop ended with it
            self._loop, self._timer, self._due, self._held = loop, None, math.inf, set()
        held = _Held(self._held, task, loop.time() + self._seconds - spent, on_expiry)
        # The timer is usually set already, for one that began sooner.
        if held.deadline < self._due:
            self._set_timer(loop, held.deadline)
        return held

    def _set_timer(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = loop.call_at(deadline, self._expire, loop), deadline

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is due, and set the timer for what is due next."""
        now = self._due
        self._timer, self._due = None, math.inf
        for held in self._held:
            if held.deadline <= now:
                held.expire()
        if later := [held.deadline for held in self._held if not held.expired]:
            self._set_timer(loop, min(later))


class _Held:
    """One task under the limit."""

    __slots__ = ("_all", "_cancelling", "_on_expiry", "_task", "deadline", "expired")

    def __init__(
        self,
        all_held: set[_Held],
        task: asyncio.Task[object],
        deadline: float,
        on_expiry: Callable[[], None] | None,
    ) -> None:
        self._all = all_held
        self._task = task
        self._on_expiry = on_expiry
        self._cancelling = task.cancelling()
        self.deadline = deadline
        self.expired = False

    def expire(self) -> None:
        """Its time is up."""
        if not self.expired:
            self.expired = True
            if self._on_expiry is not None:
                self._on_expiry()
            self._task.cancel()

    def __enter__(self) -> None:
        self._all.add(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._all.discard(self)
        # Cancelled by somebody else as well, it has to end as they wish.
        if (
            self.expired
            and self._task.uncancel() <= self._cancelling
            and kind is asyncio.CancelledError
        ):
            raise TimeoutError from error
