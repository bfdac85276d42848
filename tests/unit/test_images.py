"""Finding, linking, editing and deleting images, one by one and in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from service import naming
from service.errors import DeletionPending, ImageMissing, NotOwner, StoreUnavailable
from service.model import Edit, Image
from service.operations import images
from service.operations.uploading import complete_upload
from service.storage.memory import MemoryImageObjects, MemoryImageRecords
from tests.support.interleaving import Check, Paused, Turns, every_order
from tests.support.makers import ABANDONED_AFTER, NOON, World, an_id, an_image


async def completed(world: World, **said: Any) -> Image:
    return await complete_upload(world.desk, await world.uploaded(**said))


async def is_gone(world: World, image: Image) -> bool:
    keys = [image.s3_key, naming.staging_key(image.user_id, image.image_id)]
    heads = [await world.objects.read_head(key, 1) for key in keys]
    return heads == [None, None] and await world.records.find(image.image_id) is None


async def test_deleting_removes_record_object_and_staged_leftover() -> None:
    world = World()
    image = await completed(world)
    await images.delete_image(world.desk, image.image_id, "ann")
    assert await is_gone(world, image)


async def test_deleting_again_finds_nothing() -> None:
    world = World()
    image = await completed(world)
    await images.delete_image(world.desk, image.image_id, "ann")
    with pytest.raises(ImageMissing):
        await images.delete_image(world.desk, image.image_id, "ann")


async def test_an_image_is_hidden_from_the_first_step_of_its_deletion() -> None:
    world = World()
    image = await completed(world)
    await world.records.mark_deleting(image.image_id, "ann", NOON)
    with pytest.raises(ImageMissing):
        await images.find_image(world.desk, image.image_id)
    with pytest.raises(ImageMissing):
        await images.link_download(world.desk, image.image_id, "inline")
    with pytest.raises(ImageMissing):
        await images.edit_image(world.desk, image.image_id, "ann", Edit(tags=()), None)
    (link,) = await images.link_downloads(world.desk, [image.image_id], "ann")
    assert isinstance(link, ImageMissing)


async def test_a_deletion_that_was_cut_short_is_finished_by_the_next_attempt() -> None:
    world = World()
    image = await completed(world)
    await world.records.mark_deleting(image.image_id, "ann", NOON)
    world.clock.seconds += ABANDONED_AFTER.total_seconds() + 1
    with pytest.raises(DeletionPending):
        await images.delete_image(world.desk, image.image_id, "ann")
    assert await is_gone(world, image)


async def test_a_deletion_under_way_is_left_to_whoever_began_it() -> None:
    world = World()
    image = await completed(world)
    await world.records.mark_deleting(image.image_id, "ann", NOON)
    world.clock.seconds += ABANDONED_AFTER.total_seconds()
    with pytest.raises(ImageMissing):
        await images.delete_image(world.desk, image.image_id, "ann")
    assert await world.records.find(image.image_id) is not None
    assert await world.objects.read_head(image.s3_key, 1) is not None


async def test_a_stranger_neither_deletes_nor_finishes_a_deletion() -> None:
    world = World()
    image = await completed(world)
    with pytest.raises(NotOwner):
        await images.delete_image(world.desk, image.image_id, "bob")
    assert await images.find_image(world.desk, image.image_id) == image
    await world.records.mark_deleting(image.image_id, "ann", NOON)
    with pytest.raises(ImageMissing):
        await images.delete_image(world.desk, image.image_id, "bob")
    assert await world.records.find(image.image_id) is not None


async def test_a_store_that_fails_half_way_leaves_a_deletion_to_finish() -> None:
    class Failing(MemoryImageObjects):
        down = True

        async def delete(self, keys: Sequence[str]) -> None:
            if self.down:
                raise StoreUnavailable("S3", "down")
            await super().delete(keys)

    world = World(Failing())
    image = await completed(world)
    with pytest.raises(StoreUnavailable):
        await images.delete_image(world.desk, image.image_id, "ann")
    with pytest.raises(ImageMissing):
        await images.find_image(world.desk, image.image_id)
    Failing.down = False
    world.clock.seconds += ABANDONED_AFTER.total_seconds() + 1
    with pytest.raises(ImageMissing):
        await images.delete_image(world.desk, image.image_id, "ann")
    assert await is_gone(world, image)


async def test_of_two_deletes_at_once_exactly_one_succeeds_in_every_order() -> None:
    async def scene(turns: Turns) -> tuple[dict[str, Any], Check]:
        world = World()
        image = await completed(world)
        desk = world.desk_on(
            Paused(world.objects, turns),  # type: ignore[arg-type]
            Paused(world.records, turns),  # type: ignore[arg-type]
        )

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            lost = [each for each in outcomes.values() if each is not None]
            assert len(lost) == 1, order
            assert isinstance(lost[0], ImageMissing)
            assert await is_gone(world, image), order

        return {
            name: images.delete_image(desk, image.image_id, "ann") for name in ("one", "two")
        }, check

    assert await every_order(scene) > 5


async def test_a_batch_of_links_answers_for_each_id_in_order() -> None:
    world = World()
    mine, other = await completed(world), await completed(world, user_id="bob")
    ids = [other.image_id, mine.image_id, an_id(404), mine.image_id]
    outcomes = await images.link_downloads(world.desk, ids, "ann")
    assert [type(each) for each in outcomes] == [
        NotOwner,
        images.DownloadLink,
        ImageMissing,
        images.DownloadLink,
    ]
    assert outcomes[1] == await images.link_download(world.desk, mine.image_id, "inline")


async def test_a_batch_of_deletes_answers_for_each_id_in_order() -> None:
    world = World()
    mine, other = await completed(world), await completed(world, user_id="bob")
    ids = [mine.image_id, an_id(404), other.image_id]
    outcomes = await images.delete_images(world.desk, ids, "ann")
    assert [type(each) for each in outcomes] == [type(None), ImageMissing, NotOwner]
    assert await is_gone(world, mine)
    assert await images.find_image(world.desk, other.image_id) == other


async def test_an_id_twice_in_a_batch_is_deleted_once() -> None:
    world = World()
    image = await completed(world)
    outcomes = await images.delete_images(world.desk, [image.image_id] * 2, "ann")
    assert outcomes[0] is None
    assert isinstance(outcomes[1], ImageMissing)
    assert await is_gone(world, image)


async def test_one_failing_item_stops_no_other() -> None:
    class HalfDown(MemoryImageRecords):
        async def mark_deleting(self, image_id: str, user_id: str, since: str) -> Image:
            if image_id == an_id(2):
                raise StoreUnavailable("DynamoDB", "down")
            return await super().mark_deleting(image_id, user_id, since)

    world = World(records=HalfDown())
    for number in (1, 2, 3):
        await world.records.create(an_image(image_id=an_id(number)))
    outcomes = await images.delete_images(world.desk, [an_id(n) for n in (1, 2, 3)], "ann")
    assert [type(each) for each in outcomes] == [type(None), StoreUnavailable, type(None)]


async def test_a_large_batch_takes_only_its_share_of_connections() -> None:
    busy = most = 0

    class Slow(MemoryImageRecords):
        async def mark_deleting(self, image_id: str, user_id: str, since: str) -> Image:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            for _ in range(5):
                await asyncio.sleep(0)
            busy -= 1
            raise ImageMissing

    world = World(records=Slow())
    await images.delete_images(world.desk, [an_id(number) for number in range(100)], "ann")
    assert most == 10


async def test_a_batch_of_nothing_is_nothing() -> None:
    assert await images.link_downloads(World().desk, [], "ann") == []
