"""When to try again, and how long to wait before.

Waits grow by powers of two and are drawn anew from their whole range ("full jitter"), so that
clients that failed together do not come back together
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from service.client.errors import MontError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often to try, and waits in seconds.

    A Retry-After is honoured up to `longest_retry_after`; a longer one (a quota that is used up
    until tomorrow) is for the caller to decide about, so the error is raised at once.
    """

    attempts: int = 5
    first_wait: float = 0.25
    longest_wait: float = 8.0
    longest_retry_after: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    draw: Callable[[float, float], float] = random.uniform

    def wait_after(self, error: MontError, attempt: int) -> float | None:
        """Seconds to wait after this failure of the attempt with this number; None: give up."""
        if not error.passing or attempt >= self.attempts:
            return None
        wait = self.draw(0.0, min(self.longest_wait, self.first_wait * 2 ** (attempt - 1)))
        if error.retry_after is None:
            return wait
        if error.retry_after > self.longest_retry_after:
            return None
        return error.retry_after + wait

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The first result of `attempt` that is none of the passing failures; the last of those."""
        for number in count(1):
            try:
                return await attempt()
            except MontError as error:
                wait = self.wait_after(error, number)
                if wait is None:
                    raise
            await self.sleep(wait)
        raise AssertionError("the loop has no end")
