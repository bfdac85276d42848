"""How many requests an API key has a day (UTC), over all processes together.

Every process counts down leases of its own, so most requests cost no store call. A lease is one
addition to the day's sum: what the sum was before and is now are the ends of a range that no other
lease overlaps, so all leases within the quota together are never more than the quota, whatever
crashes or gets lost. What is lost is the rest of a lease.

The store decides nothing while it fails or is slow: requests then pass uncounted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.errors import StoreUnavailable
from service.ports import Clock, RequestCounts
from service.ratelimit import Allowance, Policy

LARGEST_LEASE = 50
"""Requests for one write to the store."""

PATIENCE = 0.25
"""Seconds that a request waits for a lease before it passes without one."""

MOST_KEYS = 10_000
"""Keys that are remembered. Forgetting one wastes the rest of its lease; its quota holds."""

_DAY_SECONDS = 86_400
# Seconds without an attempt after the store failed, and without waiting after it was slow.
_PAUSE_SECONDS = 1.0
_LOG_EVERY_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Account:
    """One key's day until `midnight`, as far as this process knows.

    `left` of the leases in hand, `used` the sum of all processes' leases when one was last taken,
    `size` of the next lease, `lease` the one that is on its way.
    """

    midnight: datetime
    policy: Policy
    size: int
    left: int = 0
    used: int = 0
    lease: asyncio.Task[None] | None = None

    @property
    def day(self) -> str:
        """The day that ends then, as `2026-02-13`."""
        return (self.midnight - timedelta(days=1)).date().isoformat()

    @property
    def exhausted(self) -> bool:
        """Whether all that is left of the day is what is in hand."""
        return self.used >= self.policy.quota


class DailyQuota:
    """Counts the requests of API keys."""

    def __init__(
        self,
        counts: RequestCounts,
        *,
        default: int,
        now: Clock,
        monotonic: Callable[[], float],
        on_failure: Callable[[], None],
        first_lease: int = LARGEST_LEASE,
        patience: float = PATIENCE,
        most_keys: int = MOST_KEYS,
    ) -> None:
        """`default` quota of a key that has none of its own; 0 is no limit.

        A process that may not live long starts each key with a smaller `first_lease`; leases grow
        as they are used up. `on_failure` is called for each request that passes uncounted.
        """
        self._counts = counts
        self._default = default
        self._now = now
        self._monotonic = monotonic
        self._on_failure = on_failure
        self._first_lease = first_lease
        self._patience = patience
        self._most_keys = most_keys
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._leases: set[asyncio.Task[None]] = set()
        self._day_began, self._midnight = _day_of(now())
        self._attempt_from = self._wait_from = self._log_from = monotonic()

    def __len__(self) -> int:
        return len(self._accounts)

    async def take(self, key_id: str, own_quota: int | None) -> Allowance | None:
        """Count one request of a key. None where it is not counted: no limit, or no store."""
        quota = self._default if own_quota is None else own_quota
        if quota == 0:
            return None
        now = self._now()
        if not self._day_began <= now < self._midnight:
            self._day_began, self._midnight = _day_of(now)
        account = self._account(key_id, quota)
        if not account.left and not account.exhausted:
            await self._leased(key_id, account)
        allowed = account.left > 0
        if allowed:
            account.left -= 1
        elif not account.exhausted:
            self._on_failure()
            return None
        remaining = account.left + max(0, quota - account.used)
        reset = (account.midnight - now).total_seconds()
        return Allowance(account.policy, allowed, remaining, 0.0 if allowed else reset, reset)

    async def close(self) -> None:
        """Give up on leases that are on their way."""
        leases = tuple(self._leases)
        for lease in leases:
            lease.cancel()
        await asyncio.gather(*leases, return_exceptions=True)

    def _account(self, key_id: str, quota: int) -> _Account:
        account = self._accounts.get(key_id)
        if account is None or account.midnight != self._midnight or account.policy.quota != quota:
            policy = Policy("daily", quota, _DAY_SECONDS)
            account = _Account(self._midnight, policy, self._first_lease)
            self._accounts[key_id] = account
            if len(self._accounts) > self._most_keys:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(key_id)
        return account

    async def _leased(self, key_id: str, account: _Account) -> None:
        """Wait until the account has something left or is exhausted, or for as long as it may."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while not account.left and not account.exhausted:
            if account.lease is None:
                if self._monotonic() < self._attempt_from:
                    return
                account.lease = self._start(key_id, account)
            if self._monotonic() < self._wait_from:
                return
            # Whoever is cancelled here, or gives up, leaves the lease to those who come next.
            done, _ = await asyncio.wait({account.lease}, timeout=deadline - loop.time())
            if not done:
                self._wait_from = self._monotonic() + _PAUSE_SECONDS
                self._warn("does not answer in time")
                return

    def _start(self, key_id: str, account: _Account) -> asyncio.Task[None]:
        lease = asyncio.create_task(self._lease(key_id, account))
        self._leases.add(lease)
        lease.add_done_callback(self._leases.discard)
        return lease

    async def _lease(self, key_id: str, account: _Account) -> None:
        size, quota = account.size, account.policy.quota
        try:
            used = await self._counts.add(key_id, account.day, size)
        except Exception as error:  # whatever it is, no request may fail because of it
            self._attempt_from = self._monotonic() + _PAUSE_SECONDS
            cause = error.cause if isinstance(error, StoreUnavailable) else repr(error)
            self._warn(f"fails: {cause}")
        else:
            account.left += max(0, min(used, quota) - (used - size))
            account.used = used
            account.size = min(LARGEST_LEASE, 2 * size)
        finally:
            account.lease = None

    def _warn(self, what: str) -> None:
        # At every request, it would drown what else is said in an outage.
        if self._monotonic() >= self._log_from:
            self._log_from = self._monotonic() + _LOG_EVERY_SECONDS
            _log.error("requests pass uncounted: the store of daily quotas %s", what)


def _day_of(now: datetime) -> tuple[datetime, datetime]:
    """When the day of this moment began and when it ends, in UTC."""
    began = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return began, began + timedelta(days=1)
