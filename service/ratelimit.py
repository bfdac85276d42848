"""How many requests one process takes on: a token bucket, and the headers that tell clients.

Knows no HTTP status and no clock of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """The answer to one request: may it pass, how many more may at once, when to come back.

    `retry_after` and `reset` (until the bucket is full again) in seconds.
    """

    allowed: bool
    remaining: int
    retry_after: float
    reset: float


class TokenBucket:
    """`rate` requests a second on average, `burst` at once.

    Not shared between processes: give each worker its part of the rate.
    """

    __slots__ = ("_burst", "_clock", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def take(self) -> Allowance:
        """Take one token if there is one."""
        now = self._clock()
        tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        allowed = tokens >= 1
        self._tokens = tokens = tokens - 1 if allowed else tokens
        retry_after = 0.0 if allowed else (1 - tokens) / self._rate
        return Allowance(allowed, int(tokens), retry_after, (self._burst - tokens) / self._rate)

    @property
    def policy(self) -> str:
        """`RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): burst, seconds to refill."""
        return f'"burst";q={self._burst};w={max(1, math.ceil(self._burst / self._rate))}'


def limit_header(allowance: Allowance) -> str:
    """`RateLimit` of one answer: what remains of the burst, and seconds until it is whole again."""
    return f'"burst";r={allowance.remaining};t={math.ceil(allowance.reset)}'
