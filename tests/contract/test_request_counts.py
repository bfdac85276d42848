"""Every implementation of `ports.RequestCounts` gives each caller a range of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from service.ports import RequestCounts
from service.storage.clients import open_clients
from service.storage.memory_usage import MemoryRequestCounts
from service.storage.requestcounts import DynamoDBRequestCounts
from tests.support.stores import provisioned_table, random_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=["memory", "embedded", "dynamodb-local"]
)
async def counts(request: pytest.FixtureRequest) -> AsyncIterator[RequestCounts]:
    if request.param == "memory":
        yield MemoryRequestCounts()
        return
    name = {"embedded": "embedded", "dynamodb-local": "local_dynamodb"}[request.param]
    settings = random_settings(request.getfixturevalue(name))
    async with provisioned_table(settings), open_clients(settings) as clients:
        yield DynamoDBRequestCounts(clients.dynamodb, settings.usage_table_name)


# DynamoDB Local really removes what has expired, within seconds.
DAY, NEXT = "2126-02-13", "2126-02-14"


async def test_a_sum_begins_at_nothing_and_grows(counts: RequestCounts) -> None:
    key = uuid4().hex
    assert [await counts.add(key, DAY, number) for number in (5, 50, 1)] == [5, 55, 56]


async def test_keys_and_days_have_sums_of_their_own(counts: RequestCounts) -> None:
    key, other = uuid4().hex, uuid4().hex
    for name, day in ((key, DAY), (other, DAY), (key, NEXT)):
        assert await counts.add(name, day, 7) == 7


async def test_many_at_once_each_get_a_range_that_nobody_else_has(counts: RequestCounts) -> None:
    key = uuid4().hex
    sums = await asyncio.gather(*(counts.add(key, DAY, 50) for _ in range(20)))
    assert sorted(sums) == [50 * number for number in range(1, 21)]


async def test_a_day_says_when_it_may_be_forgotten(embedded: str) -> None:
    settings = random_settings(embedded)
    async with provisioned_table(settings), open_clients(settings) as clients:
        counts = DynamoDBRequestCounts(clients.dynamodb, settings.usage_table_name)
        await counts.add("k", "2026-02-13", 1)
        answer = await clients.dynamodb.get_item(
            TableName=settings.usage_table_name,
            Key={"counter": {"S": "requests#k#2026-02-13"}},
        )
    assert answer["Item"]["expires_at"] == {"N": "1771200000"}  # 2026-02-16T00:00:00Z
