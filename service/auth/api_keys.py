"""Callers by their API keys.

What the store says of a key is believed for 30 seconds, so a revoked key is refused everywhere
within that time. Where the store cannot be asked, nobody gets in on an older word.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from service import timestamps
from service.auth.callers import Caller
from service.auth.lru import Lately
from service.errors import Unauthenticated
from service.model import ANYONE, ApiKey
from service.operations.keys import hash_of, looks_like_key
from service.ports import ApiKeys, Clock

HEADER = "x-api-key"
CHALLENGE = 'ApiKey realm="mont"'

BELIEVED_SECONDS = 30.0
_MOST_KEYS = 10_000
# Apart from the good ones, or a flood of made-up keys would drive those out.
_MOST_UNKNOWN = 10_000


class ApiKeyIdentity:
    """Knows callers by `X-API-Key`."""

    def __init__(self, keys: ApiKeys, *, now: Clock, monotonic: Callable[[], float]) -> None:
        self._keys = keys
        self._now = now
        self._monotonic = monotonic
        self._known: Lately[str, tuple[ApiKey, Caller]] = Lately(_MOST_KEYS, monotonic)
        self._unknown: Lately[str, bool] = Lately(_MOST_UNKNOWN, monotonic)

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """See `Authenticator`."""
        text = headers.get(HEADER)
        if text is None:
            raise Unauthenticated(CHALLENGE, "no X-API-Key")
        if not looks_like_key(text):
            raise Unauthenticated(CHALLENGE, "X-API-Key is not a key")
        digest = hash_of(text)
        key, caller = self._known.get(digest) or await self._look_up(digest)
        if key.revoked_at is not None:
            raise Unauthenticated(CHALLENGE, f"key {key.key_id} is revoked")
        if key.expires_at is not None and timestamps.to_text(self._now()) >= key.expires_at:
            raise Unauthenticated(CHALLENGE, f"key {key.key_id} has expired")
        return caller

    async def check(self) -> None:
        """See `Authenticator`."""
        await self._keys.find(hash_of(""))

    async def _look_up(self, digest: str) -> tuple[ApiKey, Caller]:
        """Raises Unauthenticated for a key that is not there."""
        if self._unknown.get(digest):
            raise Unauthenticated(CHALLENGE, "unknown key, as before")
        # From before the store is asked: what it says may be as old as the question.
        until = self._monotonic() + BELIEVED_SECONDS
        key = await self._keys.find(digest)
        if key is None or not hmac.compare_digest(key.key_hash, digest):
            self._unknown.put(digest, True, until)
            raise Unauthenticated(CHALLENGE, "unknown key")
        found = key, _caller(key)
        self._known.put(digest, found, until)
        return found


def _caller(key: ApiKey) -> Caller:
    anyone = key.owner == ANYONE
    return Caller(
        user_id=None if anyone else key.owner,
        any_user=anyone,
        verified=True,
        key_id=key.key_id,
        daily_quota=key.daily_quota,
    )
