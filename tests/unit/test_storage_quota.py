"""What a user stores is counted to the byte, whatever crashes, is retried or happens at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from service import naming
from service.errors import ImageMissing, NothingUploaded, StorageQuotaExceeded
from service.model import COMPLETED, NO_QUOTA, PENDING, Image, StorageQuota, Usage
from service.operations.images import delete_image, delete_images
from service.operations.uploading import complete_upload
from service.storage.memory import MemoryImageRecords
from tests.support.crashing import Crash, every_fate
from tests.support.interleaving import Check, Paused, Turns, every_order, many_orders
from tests.support.makers import ABANDONED_AFTER, World, an_api, document_of
from tests.support.real_images import RealImage, real_image

SMALL, LARGE = real_image("image/png"), real_image("image/bmp")
TURNED = real_image("image/bmp", turned=90)
assert SMALL.size < LARGE.size == TURNED.size


def a_world(quota: StorageQuota) -> World:
    return World(records=MemoryImageRecords(quota))


def room_for(*files: RealImage) -> StorageQuota:
    return StorageQuota(bytes=sum(file.size for file in files))


def assert_counted(world: World, *context: object) -> None:
    """What is counted is what there is. Holds at every moment, not only in the end."""
    there: Counter[str] = Counter()
    number: Counter[str] = Counter()
    for image in world.records._images.values():
        there[image.user_id] += image.file_size
        number[image.user_id] += 1
    for user in {"ann", "bob", *there}:
        assert world.records.usage_of(user) == Usage(there[user], number[user]), context


async def completed(world: World, file: RealImage = SMALL, **said: Any) -> Image:
    return await complete_upload(world.desk, await world.uploaded(file, **said))


async def test_an_upload_that_does_not_fit_is_refused_and_can_be_completed_later() -> None:
    world = a_world(room_for(LARGE, SMALL))
    first = await completed(world, LARGE)
    request = await world.uploaded(SMALL)
    await completed(world, SMALL)
    with pytest.raises(StorageQuotaExceeded):
        await complete_upload(world.desk, request)
    assert await world.staged_bytes(request) == SMALL.size
    assert await world.records.find(request.image_id) is None
    await delete_image(world.desk, first.image_id, "ann")
    assert (await complete_upload(world.desk, request)).status == COMPLETED
    assert_counted(world)


async def test_completing_again_is_no_question_of_room() -> None:
    world = a_world(room_for(SMALL))
    request = await world.uploaded(SMALL)
    image = await complete_upload(world.desk, request)
    assert await complete_upload(world.desk, request) == image
    assert_counted(world)


async def test_deleting_makes_room_once() -> None:
    world = a_world(room_for(SMALL, SMALL))
    images = [await completed(world) for _ in range(2)]
    await delete_image(world.desk, images[0].image_id, "ann")
    with pytest.raises(ImageMissing):
        await delete_image(world.desk, images[0].image_id, "ann")
    assert world.records.usage_of("ann") == Usage(SMALL.size, 1)
    await delete_images(world.desk, [images[1].image_id] * 3, "ann")
    assert world.records.usage_of("ann") == Usage()


async def test_what_was_never_counted_is_never_released() -> None:
    world = World()
    old = [await completed(world) for _ in range(2)]
    limited = World(world.objects, world.records.under(room_for(SMALL)), world.clock)
    new = await completed(limited)
    for image in old:
        await delete_image(limited.desk, image.image_id, "ann")
    assert limited.records.usage_of("ann") == Usage(SMALL.size, 1)
    free = limited.records.under(NO_QUOTA)
    await delete_image(world.desk_on(world.objects, free), new.image_id, "ann")
    assert free.usage_of("ann") == Usage()


# Through the door


DECLARED = {
    "user_id": "ann",
    "filename": "a.png",
    "content_type": "image/png",
    "file_size": SMALL.size,
}


async def test_what_cannot_fit_any_more_is_refused_before_it_is_uploaded() -> None:
    world = a_world(room_for(SMALL))
    api = an_api(world)
    assert (await api("POST", "/images/upload-url", DECLARED)).status == 200
    await completed(world)
    answer = await api("POST", "/images/upload-url", DECLARED)
    document = document_of(answer)
    assert (answer.status, document["type"]) == (403, "urn:mont:problem:storage-quota-exceeded")
    assert document["detail"] == (
        f"This image of {SMALL.size} bytes does not fit: {SMALL.size} of {SMALL.size} bytes are "
        "used. Delete others and try again."
    )


async def test_a_refused_completion_says_usage_and_limit() -> None:
    world = a_world(StorageQuota(bytes=10**6, images=1))
    request = await world.uploaded(SMALL)
    await completed(world)
    named = {"user_id": "ann", "image_id": request.image_id}
    answer = await an_api(world)("POST", "/images/complete", named)
    document = document_of(answer)
    assert (answer.status, document["title"]) == (403, "Storage quota exceeded")
    assert f"{SMALL.size} of 1000000 bytes and 1 of 1 images are used" in document["detail"]


# Crashes: a process for each store call and each side of it.


async def test_whatever_call_complete_dies_at_its_room_is_held_once() -> None:
    async for fate in every_fate(at_least=4):
        world = a_world(room_for(SMALL))
        request = await world.uploaded(SMALL)
        desk = world.desk_on(fate.on(world.objects), fate.on(world.records))
        try:
            await complete_upload(desk, request)
        except Crash:
            assert_counted(world, fate)
        image = await complete_upload(world.desk, request)
        assert_counted(world, fate)
        await delete_image(world.desk, image.image_id, "ann")
        assert world.records.usage_of("ann") == Usage(), fate


async def test_whatever_call_complete_dies_at_other_bytes_can_take_its_place() -> None:
    async for fate in every_fate(at_least=4):
        world = a_world(room_for(LARGE))
        request, form = await world.declared(LARGE)
        world.objects.put(form, LARGE.body)
        desk = world.desk_on(fate.on(world.objects), fate.on(world.records))
        try:
            await complete_upload(desk, request)
        except Crash:
            world.objects.put(form, TURNED.body)
            assert_counted(world, fate)
        image = await complete_upload(world.desk, request)
        assert world.records.usage_of("ann") == Usage(image.file_size, 1), fate
        assert_counted(world, fate)


async def test_whatever_call_delete_dies_at_the_next_attempt_gives_the_room_back() -> None:
    async for fate in every_fate(at_least=3):
        world = a_world(room_for(SMALL, SMALL))
        image, other = await completed(world), await completed(world)
        desk = world.desk_on(fate.on(world.objects), fate.on(world.records))
        try:
            await delete_image(desk, image.image_id, "ann")
        except Crash:
            assert_counted(world, fate)
            world.clock.seconds += ABANDONED_AFTER.total_seconds() + 1
        # Dead before its first call it has done nothing, and this is the first attempt.
        with suppress(ImageMissing):
            await delete_image(world.desk, image.image_id, "ann")
        assert world.records.usage_of("ann") == Usage(other.file_size, 1), fate


async def test_whatever_call_giving_up_a_claim_dies_at_its_room_comes_back() -> None:
    async for fate in every_fate(at_least=4):
        world = a_world(room_for(SMALL))
        request = await world.uploaded(SMALL)
        claim = replace(await completed(a_world(NO_QUOTA)), image_id=request.image_id)
        claim = replace(claim, status=PENDING, s3_key=f"images/ann/{claim.image_id}_lost.png")
        await world.records.create(claim)
        staged = naming.staging_key("ann", request.image_id)
        await world.objects.delete([staged])
        desk = world.desk_on(fate.on(world.objects), fate.on(world.records))
        for attempt in (desk, world.desk):
            with pytest.raises((Crash, NothingUploaded)):
                await complete_upload(attempt, request)
            assert_counted(world, fate)
        assert world.records.usage_of("ann") == Usage(), fate


# Races: every order of store calls.


Calls = dict[str, Any]


def paused(world: World, turns: Turns) -> Any:
    objects: Any = Paused(world.objects, turns)
    records: Any = Paused(world.records, turns)
    return world.desk_on(objects, records)


async def test_of_two_uploads_with_room_for_one_exactly_one_is_completed() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = a_world(room_for(SMALL))
        requests = {name: await world.uploaded(SMALL) for name in ("one", "two")}
        desk = paused(world, turns)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            kinds = sorted(type(each).__name__ for each in outcomes.values())
            assert kinds == ["Image", "StorageQuotaExceeded"], order
            assert_counted(world, order)

        return {name: complete_upload(desk, each) for name, each in requests.items()}, check

    assert await every_order(scene) >= 10


async def test_two_completions_of_one_upload_take_its_room_once() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = a_world(room_for(SMALL))
        request = await world.uploaded(SMALL)
        desk = paused(world, turns)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            assert outcomes["one"] == outcomes["two"], order
            assert isinstance(outcomes["one"], Image), order
            assert_counted(world, order)

        return {name: complete_upload(desk, request) for name in ("one", "two")}, check

    assert await every_order(scene) >= 70


async def test_completions_and_deletions_of_one_upload_leave_what_is_there_counted() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = a_world(room_for(LARGE))
        request, form = await world.declared(LARGE)
        world.objects.put(form, LARGE.body)
        desk = paused(world, turns)

        async def replay() -> None:
            await turns.wait("put")
            world.objects.put(form, TURNED.body)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            assert_counted(world, order)
            if await world.records.find(request.image_id) is not None:
                assert world.records.usage_of("ann") == Usage(LARGE.size, 1), order
            else:
                assert world.records.usage_of("ann") == Usage(), order

        return {
            "one": complete_upload(desk, request),
            "two": complete_upload(desk, request),
            "delete": delete_image(desk, request.image_id, "ann"),
            "again": delete_image(desk, request.image_id, "ann"),
            "replay": replay(),
        }, check

    await many_orders(scene, 400)
