"""Every implementation of `ports.ImageRecords` gives users their room, to the byte."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from botocore.exceptions import ClientError

from service.errors import (
    ImageMissing,
    NothingUploaded,
    RevisionMismatch,
    StorageQuotaExceeded,
)
from service.model import (
    DELETING,
    NO_QUOTA,
    PENDING,
    Edit,
    Image,
    Revision,
    StorageQuota,
)
from service.operations.images import delete_image
from service.operations.uploading import complete_upload
from service.ports import ImageRecords
from service.storage.clients import open_clients
from service.storage.dynamodb import DynamoDBImageRecords, Names, names_of
from service.storage.memory import MemoryImageRecords
from tests.contract.test_record_store import an_image
from tests.support.crashing import Crash, every_fate
from tests.support.makers import ABANDONED_AFTER, World
from tests.support.stores import provisioned_table, random_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = "2026-02-14T00:00:00.000000Z"
TEN_BYTES = StorageQuota(bytes=10)
TWO_IMAGES = StorageQuota(images=2)


@dataclass(frozen=True)
class Table:
    """One table, as processes with different quotas see it."""

    under: Callable[[StorageQuota], ImageRecords]

    async def room_left(self, user_id: str) -> int:
        """How many bytes of ten are left, as the store itself says it."""
        with pytest.raises(StorageQuotaExceeded) as refusal:
            await self.under(TEN_BYTES).demand_room(user_id, 11)
        used = re.search(r"(\d+) of 10 bytes are used", str(refusal.value))
        assert used is not None
        return 10 - int(used[1])


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=["memory", "embedded", "dynamodb-local"]
)
async def table(request: pytest.FixtureRequest) -> AsyncIterator[Table]:
    if request.param == "memory":
        yield Table(MemoryImageRecords().under)
        return
    name = {"embedded": "embedded", "dynamodb-local": "local_dynamodb"}[request.param]
    settings = random_settings(request.getfixturevalue(name))
    async with provisioned_table(settings), open_clients(settings) as clients:
        yield Table(lambda quota: DynamoDBImageRecords(clients.dynamodb, names_of(settings), quota))


def a_claim(user_id: str, size: int) -> Image:
    image = an_image(user_id=user_id, file_size=size, status=PENDING, description=None)
    return replace(image, etag=uuid4().hex)


def a_user() -> str:
    return f"user-{uuid4().hex}"


async def delete(records: ImageRecords, image: Image) -> None:
    await records.mark_deleting(image.image_id, image.user_id, LATER)
    await records.remove(image.image_id)


async def test_bytes_fit_up_to_the_last_and_no_further(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    assert await records.create(a_claim(user, 7)) is None
    with pytest.raises(StorageQuotaExceeded, match=r"7 of 10 bytes are used") as refusal:
        await records.create(a_claim(user, 4))
    assert "4 bytes does not fit" in str(refusal.value)
    assert await records.create(a_claim(user, 3)) is None
    with pytest.raises(StorageQuotaExceeded, match=r"10 of 10 bytes"):
        await records.create(a_claim(user, 1))


async def test_what_is_larger_than_all_room_never_fits(table: Table) -> None:
    records, user, claim = table.under(TEN_BYTES), a_user(), a_claim("", 11)
    for owner in (user, user):
        with pytest.raises(StorageQuotaExceeded, match="0 of 10 bytes"):
            await records.create(replace(claim, user_id=owner))
    assert await records.find(claim.image_id) is None
    assert await table.room_left(user) == 10


async def test_images_are_counted_too(table: Table) -> None:
    records, user = table.under(TWO_IMAGES), a_user()
    claims = [a_claim(user, 1_000_000) for _ in range(3)]
    assert [await records.create(claim) for claim in claims[:2]] == [None, None]
    with pytest.raises(StorageQuotaExceeded, match="2 of 2 images are used"):
        await records.create(claims[2])
    with pytest.raises(StorageQuotaExceeded):
        await records.demand_room(user, 1)
    await records.abandon(claims[0])
    assert await records.create(claims[2]) is None


async def test_both_quotas_hold_at_once(table: Table) -> None:
    records, user = table.under(StorageQuota(bytes=10, images=2)), a_user()
    await records.create(a_claim(user, 1))
    with pytest.raises(StorageQuotaExceeded, match="1 of 10 bytes and 1 of 2 images are used"):
        await records.create(a_claim(user, 10))
    await records.create(a_claim(user, 1))
    with pytest.raises(StorageQuotaExceeded, match="2 of 10 bytes and 2 of 2 images"):
        await records.create(a_claim(user, 1))


async def test_users_do_not_share_their_room(table: Table) -> None:
    records = table.under(TEN_BYTES)
    for _ in range(3):
        assert await records.create(a_claim(a_user(), 10)) is None


async def test_room_is_asked_for_without_taking_it(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    for _ in range(3):
        await records.demand_room(user, 10)
    with pytest.raises(StorageQuotaExceeded):
        await records.demand_room(user, 11)
    await records.create(a_claim(user, 4))
    await records.demand_room(user, 6)
    with pytest.raises(StorageQuotaExceeded):
        await records.demand_room(user, 7)
    await table.under(NO_QUOTA).demand_room(user, 10**15)


async def test_a_published_image_holds_its_room_until_it_is_removed(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    claim = a_claim(user, 6)
    await records.create(claim)
    published = await records.publish(claim, LATER)
    assert published is not None
    assert await table.room_left(user) == 4
    await records.mark_deleting(claim.image_id, user, LATER)
    assert await table.room_left(user) == 4
    for _ in range(2):
        await records.remove(claim.image_id)
        assert await table.room_left(user) == 10


async def test_what_is_abandoned_gives_its_room_back_once(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    claim, other = a_claim(user, 6), a_claim(user, 3)
    await records.create(claim)
    await records.create(other)
    for _ in range(2):
        await records.abandon(claim)
        assert await records.find(claim.image_id) is None
        assert await table.room_left(user) == 7


async def test_another_claim_abandons_nothing(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    claim = a_claim(user, 6)
    await records.create(claim)
    await records.abandon(replace(claim, etag="f" * 32))
    await records.remove(claim.image_id)
    assert await records.find(claim.image_id) == claim
    assert await table.room_left(user) == 4


@pytest.mark.parametrize(("before", "after"), [(6, 9), (9, 6), (6, 6), (1, 10)])
async def test_a_replaced_claim_holds_the_room_of_its_successor(
    table: Table, before: int, after: int
) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    first = a_claim(user, before)
    second = replace(first, etag=uuid4().hex, file_size=after)
    await records.create(first)
    assert await records.replace_pending(first, second)
    assert await table.room_left(user) == 10 - after
    assert not await records.replace_pending(first, replace(second, etag=uuid4().hex))
    assert await table.room_left(user) == 10 - after
    await records.abandon(second)
    assert await table.room_left(user) == 10


async def test_a_successor_that_does_not_fit_leaves_the_claim_as_it_was(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    first = a_claim(user, 6)
    await records.create(first)
    await records.create(a_claim(user, 2))
    with pytest.raises(StorageQuotaExceeded, match="8 of 10 bytes"):
        await records.replace_pending(first, replace(first, etag=uuid4().hex, file_size=9))
    assert await records.find(first.image_id) == first
    assert await table.room_left(user) == 2


async def test_creating_again_takes_no_room_twice_and_is_no_question_of_room(
    table: Table,
) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    claim = a_claim(user, 10)
    assert await records.create(claim) is None
    for _ in range(2):
        assert await records.create(replace(claim, upload_timestamp=LATER)) == claim
    await records.abandon(claim)
    assert await table.room_left(user) == 10


async def test_an_id_of_somebody_else_takes_no_room(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    theirs = a_claim(a_user(), 5)
    await records.create(theirs)
    assert await records.create(replace(theirs, user_id=user)) == theirs
    assert await table.room_left(user) == 10


async def test_images_from_before_the_quota_hold_no_room_and_give_none_back(table: Table) -> None:
    before, now, user = table.under(NO_QUOTA), table.under(TEN_BYTES), a_user()
    old = [an_image(user_id=user, file_size=8) for _ in range(2)]
    for image in old:
        await before.create(image)
    claim = a_claim(user, 4)
    await now.create(claim)
    assert await table.room_left(user) == 6
    for image in old:
        await delete(now, image)
    assert await table.room_left(user) == 6
    await now.abandon(claim)
    assert await table.room_left(user) == 10


async def test_images_that_were_counted_give_their_room_back_without_a_quota_too(
    table: Table,
) -> None:
    before, now, user = table.under(TEN_BYTES), table.under(NO_QUOTA), a_user()
    counted, claim = an_image(user_id=user, file_size=4), a_claim(user, 5)
    await before.create(counted)
    await before.create(claim)
    uncounted = a_claim(user, 10**9)
    assert await now.create(uncounted) is None
    assert await table.room_left(user) == 1
    await delete(now, counted)
    assert await table.room_left(user) == 5
    await now.abandon(claim)
    await now.abandon(uncounted)
    assert await table.room_left(user) == 10


async def test_a_claim_from_before_the_quota_is_counted_when_it_is_replaced(table: Table) -> None:
    before, now, user = table.under(NO_QUOTA), table.under(TEN_BYTES), a_user()
    first = a_claim(user, 9)
    await before.create(first)
    too_large = replace(first, etag=uuid4().hex, file_size=11)
    with pytest.raises(StorageQuotaExceeded):
        await now.replace_pending(first, too_large)
    second = replace(first, etag=uuid4().hex, file_size=8)
    assert await now.replace_pending(first, second)
    assert await table.room_left(user) == 2
    third = replace(first, etag=uuid4().hex, file_size=10**9)
    assert await before.replace_pending(second, third)
    assert await table.room_left(user) == 10
    await now.abandon(third)
    assert await table.room_left(user) == 10


async def test_a_quota_that_was_lowered_lets_nothing_in_and_everything_out(table: Table) -> None:
    records, user = table.under(StorageQuota(bytes=100)), a_user()
    claims = [a_claim(user, 20) for _ in range(3)]
    for claim in claims:
        await records.create(claim)
    lowered = table.under(TEN_BYTES)
    with pytest.raises(StorageQuotaExceeded, match="60 of 10 bytes"):
        await lowered.create(a_claim(user, 1))
    smaller = replace(claims[0], etag=uuid4().hex, file_size=15)
    assert await lowered.replace_pending(claims[0], smaller)
    for claim in [smaller, *claims[1:]]:
        await lowered.abandon(claim)
    assert await table.room_left(user) == 10


async def test_of_ten_at_once_as_many_fit_as_there_is_room_for(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    claims = [a_claim(user, 3) for _ in range(10)]
    outcomes = await asyncio.gather(
        *(records.create(claim) for claim in claims), return_exceptions=True
    )
    assert outcomes.count(None) == 3
    assert sum(isinstance(each, StorageQuotaExceeded) for each in outcomes) == 7
    assert await table.room_left(user) == 1
    await asyncio.gather(*(records.abandon(claim) for claim in claims for _ in range(2)))
    assert await table.room_left(user) == 10


async def test_of_ten_that_remove_one_image_at_once_its_room_is_given_back_once(
    table: Table,
) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    image, other = an_image(user_id=user, file_size=2), a_claim(user, 5)
    await records.create(image)
    await records.create(other)
    await records.mark_deleting(image.image_id, user, LATER)
    await asyncio.gather(*(records.remove(image.image_id) for _ in range(10)))
    assert await table.room_left(user) == 5


async def test_a_record_that_is_marked_is_found_as_it_was(table: Table) -> None:
    records, user = table.under(TEN_BYTES), a_user()
    image = an_image(user_id=user, file_size=2)
    await records.create(image)
    assert await records.find(image.image_id) == image
    assert await records.mark_deleting(image.image_id, user, LATER) == image
    assert await records.find(image.image_id) == replace(image, status=DELETING)


# Answers that are lost, and processes that end: at every single call of the store.


class Repeating:
    """A client whose every first answer is lost, so that each write is made twice."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        async def call(**arguments: Any) -> Any:
            if not name.startswith(("get", "batch", "query", "describe")):
                # Refused or not, the caller never learns of it.
                with suppress(ClientError):
                    await getattr(self._client, name)(**arguments)
                # As after the ten minutes for which DynamoDB knows a transaction by its token.
                arguments.pop("ClientRequestToken", None)
            return await getattr(self._client, name)(**arguments)

        return call


@asynccontextmanager
async def emulated(embedded: str) -> AsyncIterator[tuple[Any, Names]]:
    settings = random_settings(embedded)
    async with provisioned_table(settings), open_clients(settings) as clients:
        yield clients.dynamodb, names_of(settings)


async def assert_counted(
    records: DynamoDBImageRecords, user_id: str, image_ids: Sequence[str]
) -> None:
    """That the user's number is the sum of those of their records that are there."""
    found = await records.find_many(image_ids)
    there = sum(image.file_size for image in found.values())
    limit = 10**9
    under = DynamoDBImageRecords(records._client, records._names, StorageQuota(bytes=limit))
    await under.demand_room(user_id, limit - there)
    with pytest.raises(StorageQuotaExceeded):
        await under.demand_room(user_id, limit - there + 1)


async def test_lost_answers_count_nothing_twice(embedded: str) -> None:
    async with emulated(embedded) as (client, names):
        world, quota = World(), StorageQuota(bytes=10**6, images=3)
        lossy = DynamoDBImageRecords(Repeating(client), names, quota)
        desk = world.desk_on(world.objects, lossy)
        user, images = a_user(), []
        for _ in range(3):
            request = await world.uploaded(user_id=user)
            images.append(await complete_upload(desk, request))
            assert await complete_upload(desk, request) == images[-1]
        with pytest.raises(StorageQuotaExceeded, match="3 of 3 images"):
            await complete_upload(desk, await world.uploaded(user_id=user))
        await assert_counted(lossy, user, [image.image_id for image in images])
        for image in images:
            # The mark that was made first is known for one's own; nobody else deletes it.
            await delete_image(desk, image.image_id, user)
        await assert_counted(lossy, user, [image.image_id for image in images])


async def test_an_edit_whose_answer_is_lost_is_made_once_and_known_as_ones_own(
    embedded: str,
) -> None:
    async with emulated(embedded) as (client, names):
        image = an_image(image_id=str(uuid4()))
        await DynamoDBImageRecords(client, names).create(image)
        lossy = DynamoDBImageRecords(Repeating(client), names)
        read = (Revision(image.upload_timestamp, image.revision),)
        edited = await lossy.edit(
            image.image_id, image.user_id, Edit(tags=("new",)), revisions=read
        )
        assert (edited.tags, edited.revision) == (("new",), 2)
        with pytest.raises(RevisionMismatch):
            await lossy.edit(image.image_id, image.user_id, Edit(tags=()), revisions=read)
        again = await lossy.edit(image.image_id, image.user_id, Edit(tags=()), revisions=None)
        assert (again.tags, again.revision) == ((), 3)


async def test_whatever_call_of_the_store_a_process_dies_at_what_is_there_is_counted(
    embedded: str,
) -> None:
    async with emulated(embedded) as (client, names):
        world, quota, user = World(), StorageQuota(bytes=10**6, images=2), a_user()
        whole = DynamoDBImageRecords(client, names, quota)
        desk = world.desk_on(world.objects, whole)
        async for fate in every_fate(at_least=6):
            request = await world.uploaded(user_id=user)
            mortal = DynamoDBImageRecords(fate.on(client), names, quota)
            doomed = world.desk_on(fate.on(world.objects), mortal)
            with suppress(Crash):
                await complete_upload(doomed, request)
                await delete_image(doomed, request.image_id, user)
            # A client that tries again: to complete what was begun, or to delete it.
            with suppress(ImageMissing, NothingUploaded):
                await complete_upload(desk, request)
            await assert_counted(whole, user, [request.image_id])
            # What the dead process began to delete is left to it for a while.
            world.clock.seconds += 2 * ABANDONED_AFTER.total_seconds()
            with suppress(ImageMissing):
                await delete_image(desk, request.image_id, user)
            await assert_counted(whole, user, [request.image_id])
