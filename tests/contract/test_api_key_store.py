"""What every store of API keys does: `ports.ApiKeys`."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
import pytest_asyncio

from service.errors import StoreUnavailable
from service.model import ApiKey
from service.ports import ApiKeys
from service.storage.api_keys import DynamoDBApiKeys
from service.storage.clients import open_clients
from service.storage.memory import MemoryApiKeys
from tests.support.makers import NOON
from tests.support.stores import free_port, provisioned_table, random_settings

LATER = "2026-02-13T13:00:00.000000Z"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=["memory", "embedded", "dynamodb-local"]
)
async def keys(request: pytest.FixtureRequest) -> AsyncIterator[ApiKeys]:
    """A store. Shared by many tests: each uses keys of its own."""
    if request.param == "memory":
        yield MemoryApiKeys()
        return
    name = {"embedded": "embedded", "dynamodb-local": "local_dynamodb"}[request.param]
    settings = random_settings(request.getfixturevalue(name))
    async with provisioned_table(settings), open_clients(settings) as clients:
        yield DynamoDBApiKeys(clients.dynamodb, settings.api_keys_table_name)


def a_key(**changes: object) -> ApiKey:
    made = ApiKey(hashlib.sha256(uuid4().bytes).hexdigest(), "ann", NOON)
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_a_key_comes_back_as_it_was_made(keys: ApiKeys) -> None:
    for key in (
        a_key(),
        a_key(owner="*"),
        a_key(expires_at=LATER, daily_quota=5),
        a_key(owner="a" * 128, daily_quota=10**12, revoked_at=LATER),
    ):
        await keys.create(key)
        assert await keys.find(key.key_hash) == key


async def test_a_hash_that_no_key_has_finds_nothing(keys: ApiKeys) -> None:
    assert await keys.find(a_key().key_hash) is None


async def test_creating_again_changes_nothing(keys: ApiKeys) -> None:
    key = a_key()
    await keys.create(key)
    revoked = await keys.revoke(key.key_id, LATER)
    # As a repetition that comes late would.
    await keys.create(key)
    assert await keys.find(key.key_hash) == revoked == replace(key, revoked_at=LATER)


async def test_every_key_is_listed_whatever_its_state(keys: ApiKeys) -> None:
    made = [a_key(), a_key(owner="bob", expires_at=NOON), a_key(revoked_at=LATER)]
    for key in made:
        await keys.create(key)
    assert set(made) <= set(await keys.list_all())


async def test_a_key_is_revoked_by_its_id_once_and_for_all(keys: ApiKeys) -> None:
    key, other = a_key(), a_key()
    await keys.create(key)
    await keys.create(other)
    assert await keys.revoke(key.key_id, NOON) == replace(key, revoked_at=NOON)
    assert await keys.revoke(key.key_id, LATER) == replace(key, revoked_at=NOON)
    assert await keys.find(key.key_hash) == replace(key, revoked_at=NOON)
    assert await keys.find(other.key_hash) == other


async def test_an_id_that_no_key_has_revokes_nothing(keys: ApiKeys) -> None:
    before = await keys.list_all()
    assert await keys.revoke(a_key().key_id, NOON) is None
    assert set(await keys.list_all()) == set(before)


async def test_more_keys_than_one_read_returns_are_all_there(embedded: str) -> None:
    settings = random_settings(embedded)
    async with provisioned_table(settings), open_clients(settings) as clients:

        class Paged:
            """Reads two at a time, as DynamoDB does a megabyte."""

            def __getattr__(self, name: str) -> object:
                return getattr(clients.dynamodb, name)

            async def scan(self, **asked: object) -> object:
                return await clients.dynamodb.scan(Limit=2, **asked)

        keys = DynamoDBApiKeys(Paged(), settings.api_keys_table_name)
        made = [a_key() for _ in range(7)]
        for key in made:
            await keys.create(key)
        assert set(await keys.list_all()) == set(made)
        for key in made:
            assert await keys.revoke(key.key_id, LATER) == replace(key, revoked_at=LATER)


async def test_a_store_that_is_gone_is_unavailable(credentials: None) -> None:
    settings = random_settings(f"http://127.0.0.1:{free_port()}")
    async with open_clients(settings) as clients:
        keys = DynamoDBApiKeys(clients.dynamodb, settings.api_keys_table_name)
        for work in (
            keys.find("0" * 64),
            keys.create(a_key()),
            keys.list_all(),
            keys.revoke("0" * 16, NOON),
        ):
            with pytest.raises(StoreUnavailable):
                await work
