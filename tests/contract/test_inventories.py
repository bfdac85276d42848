"""What an inventory tells, on every store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from uuid import uuid4

import pytest
import pytest_asyncio

from service import timestamps
from service.model import (
    COMPLETED,
    DELETING,
    PENDING,
    Image,
    ObjectEntry,
    RecordEntry,
    Selection,
    SweepNote,
)
from service.ports import ImageObjects, ImageRecords, ObjectInventory, RecordInventory, SweepNotes
from service.storage.clients import open_admin_clients, open_clients
from service.storage.inventory import DynamoDBRecordInventory, S3ObjectInventory
from service.storage.memory import MemoryImageObjects, MemoryImageRecords
from service.storage.memory_inventory import (
    MemoryObjectInventory,
    MemoryRecordInventory,
    MemorySweepNotes,
)
from service.storage.s3 import S3ImageObjects
from service.storage.sweep_notes import DynamoDBSweepNotes
from tests.support.makers import NOON, an_image
from tests.support.stores import provisioned_table, random_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = "2026-02-13T12:00:01.000000Z"


@dataclass(frozen=True)
class Table:
    """A table, and its inventory. Shared by these tests: each looks at its own records."""

    records: ImageRecords
    inventory: RecordInventory

    async def all_of(self, ids: set[str], limit: int = 100) -> dict[str, RecordEntry]:
        """What the inventory tells of these ids, none of them twice."""
        told: list[RecordEntry] = []
        after: str | None = None
        while True:
            batch = await self.inventory.all_records(after, limit)
            assert len(batch.entries) <= limit
            told += [each for each in batch.entries if each.image_id in ids]
            if batch.resume is None:
                assert len({each.image_id for each in told}) == len(told)
                return {each.image_id: each for each in told}
            after = batch.resume

    async def deletions_of(self, ids: set[str], before: str, limit: int = 100) -> list[str]:
        told: list[str] = []
        after: str | None = None
        while True:
            batch = await self.inventory.deletions(after, before, limit)
            assert len(batch.entries) <= limit
            told += [each for each in batch.entries if each in ids]
            if batch.resume is None:
                return told
            after = batch.resume


@pytest_asyncio.fixture(
    scope="module", loop_scope="session", params=["memory", "embedded", "dynamodb-local"]
)
async def table(request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    if request.param == "memory":
        records = MemoryImageRecords()
        yield Table(records, MemoryRecordInventory(records))
        return
    name = {"embedded": "embedded", "dynamodb-local": "local_dynamodb"}[request.param]
    settings = random_settings(request.getfixturevalue(name))
    async with provisioned_table(settings) as real, open_clients(settings) as clients:
        yield Table(real, DynamoDBRecordInventory(clients.dynamodb, settings.dynamodb_table_name))


async def pending(table: Table, **changes: object) -> Image:
    image = an_image(image_id=str(uuid4()), status=PENDING, **changes)
    assert await table.records.create(image) is None
    return image


async def completed(table: Table) -> Image:
    image = await table.records.publish(await pending(table), NOON)
    assert image is not None
    return image


async def marked(table: Table, since: str = NOON) -> Image:
    image = await completed(table)
    return await table.records.mark_deleting(image.image_id, image.user_id, since)


async def test_every_record_is_told_with_its_status_and_since_when(table: Table) -> None:
    claim = await pending(table, upload_timestamp="2026-01-02T00:00:00.000000Z")
    image, deleted = await completed(table), await marked(table, LATER)
    told = await table.all_of({claim.image_id, image.image_id, deleted.image_id})

    def entry(of: Image, status: str, since: str) -> RecordEntry:
        return RecordEntry(of.image_id, of.user_id, status, of.s3_key, of.etag, since)  # type: ignore[arg-type]

    assert told == {
        claim.image_id: entry(claim, PENDING, "2026-01-02T00:00:00.000000Z"),
        image.image_id: entry(image, COMPLETED, NOON),
        deleted.image_id: entry(deleted, DELETING, LATER),
    }


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_batches_of_any_size_tell_every_record_once(table: Table, limit: int) -> None:
    ids = {(await pending(table)).image_id for _ in range(7)}
    assert (await table.all_of(ids, limit)).keys() == ids


async def test_going_on_behind_a_record_that_is_gone_leaves_none_out(table: Table) -> None:
    ids = {(await pending(table)).image_id for _ in range(6)}
    told: set[str] = set()
    after: str | None = None
    while True:
        batch = await table.inventory.all_records(after, 2)
        told |= {each.image_id for each in batch.entries} & ids
        for each in batch.entries:
            image = await table.records.find(each.image_id)
            if image is not None and each.image_id in ids:
                await table.records.abandon(image)
        if batch.resume is None:
            break
        after = batch.resume
    assert told == ids


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_deletions_are_told_once_if_they_are_old_enough(table: Table, limit: int) -> None:
    old = {(await marked(table, NOON)).image_id for _ in range(5)}
    young = {(await marked(table, LATER)).image_id for _ in range(2)}
    others = {(await pending(table)).image_id, (await completed(table)).image_id}
    assert sorted(await table.deletions_of(old | young | others, LATER, limit)) == sorted(old)
    assert await table.deletions_of(old, NOON, limit) == []


async def test_a_deletion_that_is_finished_is_told_no_more(table: Table) -> None:
    image = await marked(table)
    await table.records.remove(image.image_id)
    assert await table.deletions_of({image.image_id}, LATER) == []
    assert await table.all_of({image.image_id}) == {}


def a_stray(image_id: str, user_id: str = "ann") -> ObjectEntry:
    return ObjectEntry(f"images/{user_id}/{image_id}_beach.jpg", "0" * 32, 5, NOON)


async def test_no_record_can_be_made_for_a_buried_id_until_it_is_removed(table: Table) -> None:
    image_id, user_id = str(uuid4()), f"user-{uuid4().hex}"
    image = an_image(image_id=image_id, user_id=user_id, status=PENDING)
    assert await table.inventory.bury(a_stray(image_id, user_id), image_id, user_id, NOON)
    assert not await table.inventory.bury(a_stray(image_id, user_id), image_id, user_id, NOON)
    in_place = await table.records.create(image)
    assert in_place is not None
    assert (in_place.status, in_place.user_id, in_place.s3_key) == (
        DELETING,
        user_id,
        f"images/{user_id}/{image_id}_beach.jpg",
    )
    assert await table.records.find(image_id) == in_place
    assert await table.deletions_of({image_id}, LATER) == [image_id]
    assert (await table.all_of({image_id}))[image_id].since == NOON
    assert (await table.records.page(Selection(user_id=user_id), None, 5)).images == ()
    await table.records.remove(image_id)
    assert await table.records.create(image) is None


async def test_an_id_with_a_record_is_not_buried(table: Table) -> None:
    for image in (await pending(table), await completed(table), await marked(table)):
        before = await table.records.find(image.image_id)
        assert not await table.inventory.bury(a_stray(image.image_id), image.image_id, "bob", NOON)
        assert await table.records.find(image.image_id) == before


@dataclass(frozen=True)
class Bucket:
    """A bucket of one test's own, and its inventory."""

    objects: ImageObjects
    inventory: ObjectInventory

    async def put(self, key: str, body: bytes = b"image") -> None:
        """Store bytes at a key, by way of a staged object, as the service does."""
        await self.store("uploads/ann/staged", body)
        etag = md5(body).hexdigest()
        source = "uploads/ann/staged"
        assert await self.objects.promote(source, key, etag=etag, content_type="image/png")

    async def store(self, key: str, body: bytes) -> None:
        raise NotImplementedError

    async def all_of(self, limit: int) -> list[ObjectEntry]:
        told: list[ObjectEntry] = []
        after: str | None = None
        while True:
            batch = await self.inventory.final_objects(after, limit)
            assert len(batch.entries) <= limit
            told += batch.entries
            if batch.resume is None:
                return told
            after = batch.resume


@pytest_asyncio.fixture(loop_scope="session", params=["memory", "embedded"])
async def stock(request: pytest.FixtureRequest) -> AsyncIterator[Bucket]:
    if request.param == "memory":
        memory = MemoryImageObjects()

        class InMemory(Bucket):
            async def store(self, key: str, body: bytes) -> None:
                form = await memory.upload_form(
                    key, content_type="image/png", size=len(body), metadata={}, expires_in=60
                )
                memory.put(form, body)

        now = timestamps.to_text(datetime.now(UTC))
        yield InMemory(memory, MemoryObjectInventory(memory, lambda key: now))
        return
    settings = random_settings(request.getfixturevalue("embedded"))
    async with open_admin_clients(settings) as admin, open_clients(settings) as clients:
        await admin.s3.create_bucket(Bucket=settings.s3_bucket_name)

        class InS3(Bucket):
            async def store(self, key: str, body: bytes) -> None:
                await admin.s3.put_object(Bucket=settings.s3_bucket_name, Key=key, Body=body)

        yield InS3(
            S3ImageObjects(clients, settings.s3_bucket_name),
            S3ObjectInventory(clients.s3, settings.s3_bucket_name),
        )


KEYS = [
    "images/a+b@c:d/x_1.png",
    "images/ann/ü ber.png",
    "images/ann/x_1.png",
    "images/bob/x_1.png",
]


@pytest.mark.parametrize("limit", [1, 3, 4, 100])
async def test_final_objects_are_told_once_in_order_and_no_others(
    stock: Bucket, limit: int
) -> None:
    for key in KEYS:
        await stock.put(key)
    told = await stock.all_of(limit)
    assert [each.key for each in told] == sorted(KEYS, key=str.encode)


async def test_an_object_is_told_with_its_facts(stock: Bucket) -> None:
    body = b"four"
    await stock.put("images/ann/x_1.png", body)
    (told,) = await stock.all_of(10)
    now = datetime.now(UTC)
    assert told == replace(told, key="images/ann/x_1.png", etag=md5(body).hexdigest(), size=4)
    assert timestamps.to_text(now - timedelta(minutes=5)) < told.modified
    assert told.modified <= timestamps.to_text(now)


async def test_going_on_behind_an_object_that_is_gone_leaves_none_out(stock: Bucket) -> None:
    for key in KEYS:
        await stock.put(key)
    first = await stock.inventory.final_objects(None, 2)
    assert first.resume is not None
    await stock.objects.delete([each.key for each in first.entries])
    rest = await stock.inventory.final_objects(first.resume, 10)
    assert len(rest.entries) == len(KEYS) - 2
    assert rest.resume is None


async def test_an_empty_bucket_has_nothing_to_tell(stock: Bucket) -> None:
    assert (await stock.inventory.final_objects(None, 10)).entries == ()


@pytest_asyncio.fixture(loop_scope="session", params=["memory", "embedded"])
async def notes(request: pytest.FixtureRequest) -> AsyncIterator[SweepNotes]:
    if request.param == "memory":
        yield MemorySweepNotes()
        return
    settings = random_settings(request.getfixturevalue("embedded"))
    async with provisioned_table(settings), open_clients(settings) as clients:
        yield DynamoDBSweepNotes(clients.dynamodb, settings.usage_table_name)


async def test_the_last_note_is_the_one_that_is_read(notes: SweepNotes) -> None:
    assert await notes.read() is None
    for place in ("here", None, "there"):
        await notes.write(SweepNote(NOON, place))
        assert await notes.read() == SweepNote(NOON, place)
