"""Every limit that a request has to pass, one after the other, and what it is told of them.

    overall bucket -> (who is it?) -> the caller's bucket -> the key's day

The first costs nothing and comes before anybody is looked up. A request that a later limit refuses
is given back to the earlier ones, and so is one without credentials that count: neither a caller
over its own limit nor somebody who is nobody takes anything from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.auth.callers import Caller
from service.dailyquota import DailyQuota
from service.errors import QuotaExceeded, Throttled
from service.ratelimit import Allowance, CallerBuckets, TokenBucket
from service.telemetry import LimitObserver


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force; None for each that is not, or that a gateway in front holds."""

    overall: TokenBucket | None = None
    callers: CallerBuckets | None = None
    daily: DailyQuota | None = None
    observers: Sequence[LimitObserver] = ()


NO_LIMITS = Limits()


class Passage:
    """One request's way through the limits. `allowances` are what it met so far."""

    __slots__ = ("_limits", "_taken", "allowances")

    def __init__(self, limits: Limits) -> None:
        self.allowances: list[Allowance] = []
        self._limits = limits
        self._taken: list[TokenBucket] = []

    def enter(self) -> None:
        """Hold the request against what is for all together. Raises Throttled."""
        if self._limits.overall is not None:
            self._take(self._limits.overall)

    def unidentified(self) -> None:
        """Let go of what was taken: whoever it is, it is nobody that is served here."""
        for bucket in self._taken:
            bucket.give_back()
        self._taken.clear()

    async def identified(self, caller: Caller) -> None:
        """Hold the request against its caller's limits. Raises Throttled, QuotaExceeded.

        Nobody in particular has none: whoever only claims to be somebody could claim to be many.
        """
        name = caller.key_id or caller.user_id
        if not caller.verified or name is None:
            return
        if self._limits.callers is not None:
            self._take(self._limits.callers.of(name))
        if self._limits.daily is not None and caller.key_id is not None:
            allowance = await self._limits.daily.take(caller.key_id, caller.daily_quota)
            if allowance is not None:
                self.allowances.append(allowance)
                if not allowance.allowed:
                    self._refused_by(allowance)
                    raise QuotaExceeded(allowance.retry_after)

    def _take(self, bucket: TokenBucket) -> None:
        allowance = bucket.take()
        self.allowances.append(allowance)
        if not allowance.allowed:
            self._refused_by(allowance)
            raise Throttled(allowance.retry_after)
        self._taken.append(bucket)

    def _refused_by(self, allowance: Allowance) -> None:
        self.unidentified()
        for observer in self._limits.observers:
            observer.limited(allowance.policy.name)
