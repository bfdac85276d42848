"""How many requests one process takes on: token buckets, and the headers that tell clients.

Knows no HTTP status and no clock of its own.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from service.values import value

# A bucket that nobody takes from is full within a second or so. One that was thrown away comes back
# full: only so many callers within that second could get more than their rate by it.
_MOST_CALLERS = 10_000


@dataclass(frozen=True, slots=True)
class Policy:
    """A limit as clients know it: so many requests (`quota`) in so many seconds (`window`).

    `header` is its item of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    """

    name: str
    quota: int
    window: int
    header: str = field(init=False)

    def __post_init__(self) -> None:
        # Once, not for each answer that carries it.
        object.__setattr__(self, "header", f'"{self.name}";q={self.quota};w={self.window}')


@value(frozen=True, slots=True)
class Allowance:
    """The answer to one request: may it pass, how many more may at once, when to come back.

    `retry_after` and `reset` (until everything is available again) in seconds.
    """

    policy: Policy
    allowed: bool
    remaining: int
    retry_after: float
    reset: float

    @property
    def header(self) -> str:
        """One item of `RateLimit`."""
        return f'"{self.policy.name}";r={self.remaining};t={math.ceil(self.reset)}'


def limit_headers(allowances: Sequence[Allowance]) -> dict[str, str]:
    """The headers that tell of every limit that a request was held against."""
    if len(allowances) == 1:  # as nearly always
        (only,) = allowances
        return {"RateLimit-Policy": only.policy.header, "RateLimit": only.header}
    if not allowances:
        return {}
    return {
        "RateLimit-Policy": ", ".join([each.policy.header for each in allowances]),
        "RateLimit": ", ".join([each.header for each in allowances]),
    }


class TokenBucket:
    """`rate` requests a second on average, `burst` at once.

    Not shared between processes: give each its `share` (1/4 for each of four workers).
    """

    __slots__ = ("_burst", "_clock", "_filled_at", "_policy", "_rate", "_tokens")

    def __init__(
        self,
        rate: float,
        burst: int,
        clock: Callable[[], float],
        *,
        share: float = 1.0,
        name: str = "burst",
    ) -> None:
        """`clock` returns monotonic seconds; `name` is the policy's."""
        self._rate = rate * share
        # Rounded down, or all processes together would let more through; but never to nothing.
        self._burst = max(1, int(burst * share))
        self._clock = clock
        self._tokens = float(self._burst)
        self._filled_at = clock()
        window = max(1, math.ceil(self._burst / self._rate))
        self._policy = Policy(name, self._burst, window)

    def take(self) -> Allowance:
        """Take one token if there is one."""
        now = self._clock()
        tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        allowed = tokens >= 1
        self._tokens = tokens = tokens - 1 if allowed else tokens
        retry_after = 0.0 if allowed else (1 - tokens) / self._rate
        reset = (self._burst - tokens) / self._rate
        return Allowance(self._policy, allowed, int(tokens), retry_after, reset)

    def give_back(self) -> None:
        """Undo one `take` that was allowed: another limit refused the request."""
        self._tokens = min(self._burst, self._tokens + 1)


class CallerBuckets:
    """A bucket for each caller, as long as it is among those that were seen last."""

    def __init__(self, make: Callable[[], TokenBucket], most: int = _MOST_CALLERS) -> None:
        self._make = make
        self._most = most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, caller: str) -> TokenBucket:
        """The caller's own bucket."""
        bucket = self._buckets.get(caller)
        if bucket is None:
            bucket = self._buckets[caller] = self._make()
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(caller)
        return bucket
