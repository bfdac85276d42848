"""API keys: made, listed, revoked. A key itself is shown once; only its hash is ever kept.

A plain SHA-256 is enough: 256 random bits cannot be guessed, so there is nothing to slow down.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import timedelta

from service import timestamps
from service.model import ApiKey
from service.ports import ApiKeys, Clock

PREFIX = "mont_"
"""Lets secret scanners, and people, tell what they have found."""

_RANDOM_BYTES = 32
_KEY = re.compile(r"mont_[A-Za-z0-9_-]{43}", re.ASCII)


def new_key() -> str:
    """A fresh key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def looks_like_key(text: str) -> bool:
    """Whether it is worth looking for."""
    return _KEY.fullmatch(text) is not None


def hash_of(text: str) -> str:
    """What is kept of a key: SHA-256, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


async def create_key(
    keys: ApiKeys,
    owner: str,
    *,
    now: Clock,
    days: int | None = None,
    daily_quota: int | None = None,
    make: Callable[[], str] = new_key,
) -> tuple[str, ApiKey]:
    """Make a key for a user or ANYONE; gives it, for the only time, and what is kept of it.

    `days` until it expires, None for never.
    """
    text, moment = make(), now()
    expires = None if days is None else timestamps.to_text(moment + timedelta(days=days))
    key = ApiKey(hash_of(text), owner, timestamps.to_text(moment), expires, daily_quota)
    await keys.create(key)
    return text, key


async def list_keys(keys: ApiKeys) -> list[ApiKey]:
    """Every key, oldest first."""
    return sorted(await keys.list_all(), key=lambda key: (key.created_at, key.key_hash))


async def revoke_key(keys: ApiKeys, key_id: str, *, now: Clock) -> ApiKey | None:
    """Revoke a key, wherever it is in use within a minute; None when there is none."""
    return await keys.revoke(key_id, timestamps.to_text(now()))
