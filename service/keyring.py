"""mont keys: API keys made, listed and revoked from the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service import timestamps
from service.model import ANYONE, ApiKey
from service.naming import USER_ID_PATTERN
from service.operations.keys import create_key, list_keys, revoke_key
from service.ports import ApiKeys
from service.settings import Settings
from service.storage.api_keys import DynamoDBApiKeys
from service.storage.clients import open_clients

_COLUMNS = ("ID", "OWNER", "STATE", "CREATED", "EXPIRES", "QUOTA")


def is_owner(text: str) -> bool:
    """Whether a key can belong to this: a user id, or anyone."""
    return text == ANYONE or USER_ID_PATTERN.fullmatch(text) is not None


async def create(
    settings: Settings, owner: str, days: int | None, daily_quota: int | None
) -> tuple[str, ApiKey]:
    """Make a key; gives it and what is kept of it. Raises StoreUnavailable."""
    async with _open_keys(settings) as keys:
        return await create_key(keys, owner, now=_now, days=days, daily_quota=daily_quota)


async def table(settings: Settings) -> str:
    """All keys, a line each, under their headings. Raises StoreUnavailable."""
    async with _open_keys(settings) as keys:
        return _table(await list_keys(keys), timestamps.to_text(_now()))


async def revoke(settings: Settings, key_id: str) -> ApiKey | None:
    """Revoke a key; None when there is none. Raises StoreUnavailable."""
    async with _open_keys(settings) as keys:
        return await revoke_key(keys, key_id, now=_now)


@asynccontextmanager
async def _open_keys(settings: Settings) -> AsyncIterator[ApiKeys]:
    async with open_clients(settings) as clients:
        yield DynamoDBApiKeys(clients.dynamodb, settings.api_keys_table_name)


def _table(keys: Iterable[ApiKey], now: str) -> str:
    rows = [_COLUMNS, *(_row(key, now) for key in keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _row(key: ApiKey, now: str) -> tuple[str, ...]:
    quota = "-" if key.daily_quota is None else str(key.daily_quota)
    expires = "-" if key.expires_at is None else key.expires_at[:19] + "Z"
    return key.key_id, key.owner, key.state(now), key.created_at[:19] + "Z", expires, quota


def _now() -> datetime:
    return datetime.now(UTC)
