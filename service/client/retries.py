"""When to try again, and how long to wait before.

Waits grow by powers of two and are drawn anew from their whole range ("full jitter"), so that
clients that failed together do not come back together
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol, TypeVar

from service.client.errors import MontError

T = TypeVar("T")

# Beyond it every wait is the longest one, and powers of two outgrow a float.
_LARGEST_EXPONENT = 30


class Runner(Protocol):
    """Makes attempts until one counts."""

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The first result of `attempt` that is none of the passing failures; the last of those."""
        ...


@dataclass(frozen=True, slots=True)
class Retries:
    """For how long to try, and waits in seconds.

    `give_up_after` counts from the beginning of a call, of a transfer from its first failure: what
    restarts is back by then. `attempts`, where given, ends it earlier.

    A Retry-After is honoured up to `longest_retry_after`; a longer one (a quota that is used up
    until tomorrow) is for the caller to decide about, so the error is raised at once.

    `waiting` is told of each failure that is waited for, and for how long it has been so.
    """

    give_up_after: float = 30.0
    attempts: int | None = None
    first_wait: float = 0.25
    longest_wait: float = 8.0
    longest_retry_after: float = 60.0
    waiting: Callable[[MontError, float], None] | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    draw: Callable[[float, float], float] = random.uniform
    clock: Callable[[], float] = time.monotonic

    def wait_after(self, error: MontError, failures: int, elapsed: float) -> float | None:
        """Seconds to wait after so many failures in `elapsed` seconds; None: give up."""
        if not error.passing or elapsed >= self.give_up_after:
            return None
        if self.attempts is not None and failures >= self.attempts:
            return None
        if error.retry_after is None:
            return self.pause(failures, elapsed)
        if error.retry_after > self.longest_retry_after:
            return None
        return error.retry_after + self._drawn(failures)

    def pause(self, failures: int, elapsed: float) -> float:
        """Seconds to wait for what nobody asked for a time for."""
        # The last attempt is made when the time is up, not some seconds before.
        return min(self._drawn(failures), max(0.0, self.give_up_after - elapsed))

    def _drawn(self, failures: int) -> float:
        longest = self.first_wait * 2 ** min(failures - 1, _LARGEST_EXPONENT)
        return self.draw(0.0, min(self.longest_wait, longest))

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """See `Runner`. Shares nothing with other calls; `Host` does."""
        began = self.clock()
        for number in count(1):
            try:
                return await attempt()
            except MontError as error:
                wait = self.wait_after(error, number, self.clock() - began)
                if wait is None:
                    raise
            await self.sleep(wait)
        raise AssertionError("the loop has no end")
