"""From a declared upload to a completed image: once, whatever is retried, crashes or races."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from service import imageformat, naming
from service.errors import (
    IdTaken,
    ImageMissing,
    MontError,
    NothingUploaded,
    UploadRejected,
    UploadUnsettled,
)
from service.model import COMPLETED, Image, StoredObject
from service.operations.desk import Desk
from service.operations.images import delete_image
from service.operations.uploading import (
    CompleteUpload,
    RequestUpload,
    complete_upload,
    request_upload,
)
from service.storage.memory import MemoryImageObjects
from tests.support.crashing import Crash, every_fate
from tests.support.interleaving import Check, Paused, Turns, every_order, many_orders
from tests.support.makers import NOON, World, an_image
from tests.support.real_images import (
    RealImage,
    jpeg_behind_profile,
    large_jpeg,
    real_image,
    real_images,
)

DECLARED = RequestUpload("ann", "ünser Foto.jpg", "image/jpeg", 2_048, ("sea", "sun"), "Evening")


async def final_of(world: World, image: Image) -> StoredObject | None:
    return await world.objects.read_head(image.s3_key, imageformat.HEAD_BYTES)


async def test_a_form_writes_to_the_staging_key_and_names_the_final_one() -> None:
    world = World()
    ticket = await request_upload(world.desk, DECLARED, None)
    assert ticket.form.fields["key"] == f"uploads/ann/{ticket.image_id}"
    assert ticket.s3_key == f"images/ann/{ticket.image_id}__nser_Foto.jpg"
    assert (ticket.expires_in, ticket.expires_at) == (3600, "2026-02-13T13:00:00.000000Z")


async def test_only_the_same_declaration_under_the_same_key_repeats_an_id() -> None:
    desk = World().desk
    keyed = [await request_upload(desk, DECLARED, key) for key in ("one", "one", "two")]
    others = await request_upload(desk, replace(DECLARED, user_id="bob"), "one")
    assert keyed[0].image_id == keyed[1].image_id
    assert len({each.image_id for each in [*keyed, others]}) == 3
    unkeyed = [await request_upload(desk, DECLARED, None) for _ in range(2)]
    assert unkeyed[0].image_id != unkeyed[1].image_id


@pytest.mark.parametrize("file", real_images(), ids=lambda file: file.content_type)
async def test_a_real_file_becomes_an_image_with_its_own_measures(file: RealImage) -> None:
    world = World()
    request = await world.uploaded(file, filename="mein Föto.x", tags=("sea",), description="Dusk")
    image = await complete_upload(world.desk, request)
    assert image == Image(
        image_id=request.image_id,
        user_id="ann",
        filename="mein Föto.x",
        content_type=file.content_type,
        file_size=file.size,
        upload_timestamp=NOON,
        s3_key=f"images/ann/{request.image_id}_mein_F_to.x",
        etag=image.etag,
        width=file.width,
        height=file.height,
        tags=("sea",),
        description="Dusk",
    )
    final = await final_of(world, image)
    assert final is not None
    assert (final.size, final.etag, final.content_type) == (
        file.size,
        image.etag,
        file.content_type,
    )
    assert await world.records.find(image.image_id) == image


async def test_what_the_request_says_goes_before_what_was_declared() -> None:
    world = World()
    request = await world.uploaded(tags=("sea",), description="Dusk")
    said = replace(request, filename="other.jpg", tags=(), description="Dawn")
    image = await complete_upload(world.desk, said)
    assert (image.filename, image.tags, image.description) == ("other.jpg", (), "Dawn")
    assert image.s3_key.endswith("_photo.jpg"), "the key in the ticket holds"


async def test_completing_again_changes_nothing() -> None:
    world = World()
    request = await world.uploaded()
    first = await complete_upload(world.desk, request)
    world.clock.seconds += 60
    assert await complete_upload(world.desk, replace(request, tags=("late",))) == first


async def test_nothing_can_be_completed_before_it_is_uploaded() -> None:
    world = World()
    request, _ = await world.declared()
    with pytest.raises(NothingUploaded):
        await complete_upload(world.desk, request)


async def test_nobody_completes_what_someone_else_uploaded() -> None:
    world = World()
    request = await world.uploaded()
    stranger = replace(request, user_id="bob")
    with pytest.raises(NothingUploaded):
        await complete_upload(world.desk, stranger)
    await complete_upload(world.desk, request)
    with pytest.raises(IdTaken):
        await complete_upload(world.desk, stranger)


async def test_an_image_being_deleted_cannot_be_completed_again() -> None:
    world = World()
    request = await world.uploaded()
    await complete_upload(world.desk, request)
    await world.records.mark_deleting(request.image_id, "ann", NOON)
    with pytest.raises(ImageMissing):
        await complete_upload(world.desk, request)


async def test_a_deleted_image_does_not_come_back_by_a_late_retry() -> None:
    world = World()
    request = await world.uploaded()
    await complete_upload(world.desk, request)
    await delete_image(world.desk, request.image_id, "ann")
    with pytest.raises(NothingUploaded):
        await complete_upload(world.desk, request)


@pytest.mark.parametrize("replayed", [False, True], ids=["same bytes", "other bytes"])
async def test_whatever_call_complete_dies_at_the_next_attempt_makes_it_good(
    replayed: bool,
) -> None:
    first, second = real_image("image/bmp"), real_image("image/bmp", turned=90)
    async for fate in every_fate(at_least=4):
        world = World()
        request, form = await world.declared(first, tags=("sea",))
        world.objects.put(form, first.body)
        with suppress(Crash):
            await complete_upload(
                world.desk_on(fate.on(world.objects), fate.on(world.records)), request
            )
        await assert_sound(world, request)
        if fate.died and replayed:
            world.objects.put(form, second.body)
        image = await complete_upload(world.desk, request)
        assert await assert_sound(world, request) == image, fate
        assert image.tags == ("sea",)
        assert await complete_upload(world.desk, request) == image


REJECTED = {
    "no image": (b"#!/bin/sh\n".ljust(100, b"x"), {}, "no image"),
    "another format": (real_image("image/png").body, {}, "image/jpeg was declared.*image/png"),
    "cut short": (real_image().body[:-20], {"file_size": real_image().size - 20}, "no image"),
    "another size": (real_image().body, {"file_size": 5}, "5 were declared"),
}


@pytest.mark.parametrize("why", REJECTED)
async def test_bytes_that_are_not_what_was_declared_are_refused_and_removed(why: str) -> None:
    body, said, message = REJECTED[why]
    world = World()
    file = RealImage("photo.jpg", "image/jpeg", 0, 0, body)
    request = await world.uploaded(file, **said)
    with pytest.raises(UploadRejected, match=message):
        await complete_upload(world.desk, request)
    assert await world.staged_bytes(request) is None
    assert await world.records.find(request.image_id) is None
    with pytest.raises(NothingUploaded):
        await complete_upload(world.desk, request)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"file_size": 7}, "file_size is 7"),
        ({"content_type": "image/png"}, "content_type is image/png"),
    ],
)
async def test_a_request_that_contradicts_good_bytes_leaves_them_for_the_right_one(
    claim: dict[str, Any], message: str
) -> None:
    world = World()
    request = await world.uploaded()
    with pytest.raises(UploadRejected, match=message):
        await complete_upload(world.desk, replace(request, **claim))
    assert await world.staged_bytes(request) == real_image().size
    right = replace(request, file_size=real_image().size, content_type="image/jpeg")
    assert (await complete_upload(world.desk, right)).file_size == real_image().size


class CountingObjects(MemoryImageObjects):
    """Remembers how much was read at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    async def read_head(self, key: str, length: int) -> StoredObject | None:
        self.lengths.append(length)
        return await super().read_head(key, length)


async def test_one_read_tells_all_about_an_ordinary_file() -> None:
    world = World(CountingObjects())
    await complete_upload(world.desk, await world.uploaded())
    assert world.objects.lengths == [imageformat.HEAD_BYTES]


@pytest.mark.parametrize(
    ("make", "reads"),
    [(lambda: large_jpeg(800, 600), 2), (lambda: real_image("image/bmp", 300, 300), 1)],
    ids=["jpeg", "bmp"],
)
async def test_the_end_of_a_long_file_is_read_unless_its_beginning_tells_where_that_is(
    make: Callable[[], RealImage], reads: int
) -> None:
    world, long = World(CountingObjects()), make()
    assert long.size > imageformat.HEAD_BYTES
    await complete_upload(world.desk, await world.uploaded(long))
    assert len(world.objects.lengths) == reads


async def test_a_size_behind_a_long_profile_is_found_by_reading_on() -> None:
    world, file = World(CountingObjects()), jpeg_behind_profile()
    image = await complete_upload(world.desk, await world.uploaded(file))
    assert (image.width, image.height) == (file.width, file.height)
    assert world.objects.lengths == [imageformat.HEAD_BYTES, 2 * 1024 * 1024]


async def test_a_size_that_is_still_not_in_sight_is_refused() -> None:
    world, file = World(), jpeg_behind_profile(3_000_000)
    with pytest.raises(UploadRejected, match="metadata before the picture is too long"):
        await complete_upload(world.desk, await world.uploaded(file))


async def test_an_object_that_never_stands_still_is_given_up_on() -> None:
    class Restless(MemoryImageObjects):
        async def promote(self, source: str, target: str, *, etag: str, content_type: str) -> bool:
            stored = self._objects[source]
            self._objects[source] = replace(stored, body=stored.body + b"\0")
            return await super().promote(source, target, etag=etag, content_type=content_type)

    world = World(Restless())
    file = real_image("image/bmp")
    request = await world.uploaded(file)
    # Without a declaration: an operator's own object, so its size may change.
    key = naming.staging_key("ann", request.image_id)
    world.objects._objects[key] = replace(world.objects._objects[key], metadata={})
    request = replace(request, filename="a.bmp")
    with pytest.raises(UploadUnsettled):
        await complete_upload(world.desk, request)
    assert await assert_sound(world, request) is None


async def test_an_object_that_declares_nothing_takes_its_name_from_the_request() -> None:
    world = World()
    request, form = await world.declared()
    bare = {name: form.fields[name] for name in ("key", "Content-Type")}
    world.objects.put(replace(form, fields=bare), real_image().body)
    image = await complete_upload(world.desk, replace(request, filename="said.jpg"))
    assert (image.filename, image.tags, image.description) == ("said.jpg", (), None)


# Races: every order in which the store calls of a few callers can come in.

Calls = dict[str, Coroutine[Any, Any, object]]


def paused(world: World, turns: Turns) -> Desk:
    return world.desk_on(
        Paused(world.objects, turns),  # type: ignore[arg-type]
        Paused(world.records, turns),  # type: ignore[arg-type]
    )


async def assert_sound(world: World, request: CompleteUpload) -> Image | None:
    """The image, if clients see one, has its object, and tells the truth about it."""
    image = await world.records.find(request.image_id)
    if image is None or image.status != COMPLETED:
        return None
    final = await final_of(world, image)
    assert final is not None
    assert (final.etag, final.size) == (image.etag, image.file_size)
    header = imageformat.read_header(final.head, final.size)
    assert (header.width, header.height) == (image.width, image.height)
    return image


async def test_two_completes_at_once_agree_in_every_order() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request = await world.uploaded()
        desk = paused(world, turns)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            image = await assert_sound(world, request)
            assert image is not None, order
            assert await final_of(world, image) is not None
            assert outcomes == {"one": image, "two": image}, order

        return {
            "one": complete_upload(desk, replace(request, tags=("one",))),
            "two": complete_upload(desk, replace(request, tags=("two",))),
        }, check

    assert await every_order(scene) >= 70


async def test_two_owners_of_one_id_end_with_one_image_in_every_order() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request = await world.uploaded()
        stranger = replace(request, user_id="bob")
        _, form = await world.declared(user_id="bob")
        form.fields["key"] = naming.staging_key("bob", request.image_id)
        world.objects.put(form, real_image().body)
        desk = paused(world, turns)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            image = await assert_sound(world, request)
            assert image is not None
            winner = outcomes.pop(image.user_id)  # type: ignore[attr-defined]
            (loser,) = outcomes.values()
            assert winner == image
            assert isinstance(loser, IdTaken)

        return {
            "ann": complete_upload(desk, request),
            "bob": complete_upload(desk, stranger),
        }, check

    assert await every_order(scene) >= 20


async def test_a_replayed_upload_between_two_completes_never_mixes_two_files() -> None:
    first, second = real_image("image/bmp"), real_image("image/bmp", turned=90)
    assert (first.size, first.body != second.body) == (second.size, True)

    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request, form = await world.declared(first)
        world.objects.put(form, first.body)
        desk = paused(world, turns)

        async def replay() -> None:
            await turns.wait("put")
            world.objects.put(form, second.body)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            image = await assert_sound(world, request)
            assert image is not None, order
            final = await final_of(world, image)
            assert final is not None
            assert final.head in (first.body, second.body)
            assert outcomes["one"] == outcomes["two"] == image, order

        return {
            "one": complete_upload(desk, request),
            "two": complete_upload(desk, request),
            "replay": replay(),
        }, check

    await many_orders(scene, 1500)


async def test_a_retry_beside_a_delete_never_brings_the_image_back() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request = await world.uploaded()
        image = await complete_upload(world.desk, request)
        desk = paused(world, turns)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            assert outcomes["delete"] is None
            assert outcomes["retry"] == image or isinstance(
                outcomes["retry"], ImageMissing | NothingUploaded
            )
            assert await world.records.find(request.image_id) is None, order
            assert await final_of(world, image) is None, order
            assert await world.staged_bytes(request) is None, order

        return {
            "retry": complete_upload(desk, request),
            "delete": delete_image(desk, request.image_id, "ann"),
        }, check

    assert await every_order(scene) >= 10


async def test_an_image_that_is_uploaded_anew_keeps_its_bytes_from_late_deletions() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request, form = await world.declared()
        world.objects.put(form, real_image().body)
        await complete_upload(world.desk, request)
        desk = paused(world, turns)

        async def again() -> Image | None:
            with suppress(ImageMissing):
                await delete_image(desk, request.image_id, "ann")
            world.objects.put(form, real_image().body)
            with suppress(ImageMissing, NothingUploaded):
                return await complete_upload(desk, request)
            return None

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            if outcomes["again"] is not None:
                image = await world.records.find(request.image_id)
                assert image is None or image.status != COMPLETED or await final_of(world, image), (
                    order
                )

        return {
            "delete": suppressing(delete_image(desk, request.image_id, "ann")),
            "again": again(),
        }, check

    assert await every_order(scene) >= 10


async def suppressing(deletion: Coroutine[Any, Any, None]) -> None:
    with suppress(ImageMissing):
        await deletion


async def test_a_first_complete_beside_a_delete_ends_with_an_image_or_with_nothing() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request = await world.uploaded()
        desk = paused(world, turns)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            image = await assert_sound(world, request)
            assert isinstance(outcomes["complete"], Image)
            assert (image is None) == (outcomes["delete"] is None), order
            assert image is not None or isinstance(outcomes["complete"], Image)
            there = await final_of(world, outcomes["complete"])
            assert (there is None) == (image is None), order

        return {
            "complete": complete_upload(desk, request),
            "delete": delete_image(desk, request.image_id, "ann"),
        }, check

    assert await every_order(scene) >= 5


async def test_two_completes_beside_a_delete_end_with_a_whole_image_or_with_nothing() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request = await world.uploaded()
        desk = paused(world, turns)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            known = Image | MontError | None
            assert all(isinstance(each, known) for each in outcomes.values()), outcomes
            if await assert_sound(world, request) is not None:
                await delete_image(world.desk, request.image_id, "ann")
            assert await world.records.find(request.image_id) is None, order
            assert not [key for key in world.objects._objects if key.startswith("images/")], order

        return {
            "one": complete_upload(desk, request),
            "two": complete_upload(desk, request),
            "delete": delete_image(desk, request.image_id, "ann"),
        }, check

    await many_orders(scene, 1500)


async def test_a_store_that_is_down_fails_complete_as_itself_and_loses_nothing() -> None:
    class Down(MemoryImageObjects):
        async def promote(self, source: str, target: str, *, etag: str, content_type: str) -> bool:
            raise TimeoutError

    world = World(Down())
    request = await world.uploaded()
    with pytest.raises(TimeoutError):
        await complete_upload(world.desk, request)
    assert await world.staged_bytes(request) == real_image().size
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_image_of_another_upload_is_untouched() -> None:
    world = World()
    other = an_image()
    await world.records.create(other)
    request = await world.uploaded(tags=())
    await complete_upload(world.desk, request)
    assert await world.records.find(other.image_id) == other
