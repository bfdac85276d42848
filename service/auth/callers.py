"""Who a caller is, and the one question that each way of telling answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    `user_id` is the only user that the caller is, None for one that may act for any. `verified`
    tells a credential from a claim. `key_id` and `daily_quota` (requests, None for the default)
    are those of an API key.
    """

    user_id: str | None
    any_user: bool
    verified: bool
    key_id: str | None = None
    daily_quota: int | None = None


ANYBODY = Caller(None, any_user=True, verified=False)
"""Whoever it is: the `user_id` of the request is believed."""


class Authenticator(Protocol):
    """Tells callers by what they carry."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Who sent these headers (by lower-case name).

        Raises Unauthenticated, the same whatever is wrong with the credentials, and
        StoreUnavailable where that cannot be found out.
        """
        ...

    async def check(self) -> None:
        """Return when callers can be told. Raises StoreUnavailable."""
        ...


class ClaimedIdentity:
    """Believes everybody, as on a private network."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """See `Authenticator`."""
        return ANYBODY

    async def check(self) -> None:
        """See `Authenticator`."""
