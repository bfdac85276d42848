"""An event is kept exactly when what it tells of has happened, whatever dies or is repeated."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from service.model import NO_QUOTA, PENDING, Delivery, Image, ObjectEntry, StorageQuota
from service.settings import Settings
from service.storage.clients import open_clients
from service.storage.dynamodb import DynamoDBImageRecords, names_of
from service.storage.inventory import DynamoDBRecordInventory
from service.storage.outbox import Announcements, DynamoDBOutbox
from tests.support.crashing import Crash, every_fate
from tests.support.makers import an_image
from tests.support.stores import provisioned_table, random_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

AT = "2026-02-13T10:30:00.000000Z"
GONE_AT = datetime(2026, 2, 14, tzinfo=UTC)


@dataclass(frozen=True)
class Table:
    """A table of records whose changes are told."""

    client: Any
    settings: Settings

    def records(self, quota: StorageQuota = NO_QUOTA, client: Any = None) -> DynamoDBImageRecords:
        told = Announcements(self.settings.events_table_name, "webhook", lambda: GONE_AT)
        return DynamoDBImageRecords(client or self.client, names_of(self.settings), quota, told)

    async def told_of(self, image: Image) -> list[Delivery]:
        """Its events, oldest first."""
        outbox = DynamoDBOutbox(self.client, self.settings.events_table_name, "webhook")
        every = [each async for each in outbox.list_all(None)]
        mine = [each for each in every if about(each)["image_id"] == image.image_id]
        return sorted(mine, key=lambda each: each.event.occurred_at)


def about(delivery: Delivery) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(delivery.event.payload)["data"]
    return document


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=["embedded", "local_dynamodb"]
)
async def table(request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    settings = random_settings(request.getfixturevalue(request.param))
    async with provisioned_table(settings), open_clients(settings) as clients:
        yield Table(clients.dynamodb, settings)


def a_claim() -> Image:
    return an_image(
        image_id=str(uuid4()), user_id=f"user-{uuid4().hex}", etag=uuid4().hex, status=PENDING
    )


QUOTAS = pytest.mark.parametrize(
    "quota", [NO_QUOTA, StorageQuota(images=10)], ids=["no quota", "quota"]
)


@QUOTAS
async def test_a_life_is_told_once_from_beginning_to_end(table: Table, quota: StorageQuota) -> None:
    records, claim = table.records(quota), a_claim()
    await records.create(claim)
    assert await table.told_of(claim) == []
    published = await records.publish(claim, AT)
    assert await records.publish(claim, AT) is None
    (told,) = await table.told_of(claim)
    assert published is not None
    assert (told.event.type, told.event.occurred_at) == ("image.completed", AT)
    assert (told.state, told.due_at) == ("waiting", AT)
    assert about(told)["upload_timestamp"] == AT
    await records.mark_deleting(claim.image_id, claim.user_id, AT)
    for _ in range(2):
        await records.remove(claim.image_id)
    assert await records.find(claim.image_id) is None
    first, second = await table.told_of(claim)
    assert first == told
    assert (second.event.type, second.event.occurred_at[:10]) == ("image.deleted", "2026-02-14")
    assert about(second)["filename"] == claim.filename


async def test_a_claim_that_is_abandoned_was_never_an_image(table: Table) -> None:
    records, claim = table.records(), a_claim()
    await records.create(claim)
    await records.abandon(claim)
    assert await records.publish(claim, AT) is None
    await records.remove(claim.image_id)
    assert await table.told_of(claim) == []


async def test_what_is_not_marked_stays_untold(table: Table) -> None:
    records, claim = table.records(), a_claim()
    await records.create(claim)
    await records.publish(claim, AT)
    await records.remove(claim.image_id)
    assert [each.event.type for each in await table.told_of(claim)] == ["image.completed"]


async def test_an_object_that_never_had_a_record_is_not_told_of(table: Table) -> None:
    records, image = table.records(), a_claim()
    inventory = DynamoDBRecordInventory(table.client, table.settings.dynamodb_table_name)
    stray = ObjectEntry(f"images/u/{image.image_id}_x.png", "etag", 5, AT)
    assert await inventory.bury(stray, image.image_id, "u", AT)
    await records.remove(image.image_id)
    assert await records.find(image.image_id) is None
    assert await table.told_of(image) == []


@QUOTAS
async def test_a_process_may_die_at_any_call_and_what_is_told_is_what_is(
    table: Table, quota: StorageQuota
) -> None:
    whole = table.records(quota)
    async for fate in every_fate(at_least=4):
        claim = a_claim()
        mortal = table.records(quota, fate.on(table.client))
        with suppress(Crash):
            await mortal.create(claim)
            await mortal.publish(claim, AT)
            await mortal.mark_deleting(claim.image_id, claim.user_id, AT)
            await mortal.remove(claim.image_id)
        found = await whole.find(claim.image_id)
        told = [each.event.type for each in await table.told_of(claim)]
        if found is None:
            assert told in ([], ["image.completed", "image.deleted"]), fate
        else:
            assert told == [[], ["image.completed"]][found.status != PENDING], fate
        # Whoever tries again, or a sweeper, ends it; and nothing is told a second time.
        await whole.create(claim)
        await whole.publish(claim, AT)
        marked = await whole.find(claim.image_id)
        if marked is not None and marked.status == "completed":
            await whole.mark_deleting(claim.image_id, claim.user_id, AT)
        await whole.remove(claim.image_id)
        again = [each.event.type for each in await table.told_of(claim)]
        # A claim after the whole life is another life.
        assert again in (
            ["image.completed", "image.deleted"],
            ["image.completed", "image.completed", "image.deleted", "image.deleted"],
        ), fate
