"""What a sweep finds, what it does about it, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service import naming
from service.errors import ImageMissing, NothingUploaded, StoreUnavailable
from service.model import PENDING, Image
from service.operations import images
from service.operations.settling import Settler, Stores
from service.operations.sweeping import Place
from service.operations.uploading import CompleteUpload, complete_upload
from service.settings import Settings
from service.storage.memory import MemoryImageObjects
from service.sweeper import (
    Orders,
    PlaceUnknown,
    Report,
    place_from_text,
    place_to_text,
    sweep,
)
from tests.support.consistency import violations
from tests.support.interleaving import Check, Paused, Turns, every_order, many_orders
from tests.support.makers import NOON, World, an_id, an_image
from tests.support.real_images import real_image
from tests.support.sweeps import (
    APPLY,
    SETTLED,
    contents_of_world,
    later,
    outcomes,
    samples,
    stores_of_world,
    sweep_world,
)

DRY = Orders()


async def completed(world: World, **said: Any) -> Image:
    return await complete_upload(world.desk, await world.uploaded(**said))


async def claimed(world: World, *, promoted: bool = False, staged: bool = True) -> CompleteUpload:
    """An upload whose completion died after its claim, or after its promotion."""
    request = await world.uploaded()
    image = await complete_upload(world.desk, request)
    world.records._images[image.image_id] = replace(image, status=PENDING)
    if not promoted:
        await world.objects.delete([image.s3_key])
    if not staged:
        await world.objects.delete([naming.staging_key("ann", image.image_id)])
    return request


async def orphan(world: World, *, user_id: str = "ann", number: int = 7) -> str:
    """An object that no record names; its key."""
    _, form = await world.declared(user_id=user_id)
    key = f"images/{user_id}/{an_id(number)}_photo.jpg"
    world.objects.put(replace(form, fields={**form.fields, "key": key}), real_image().body)
    return key


async def a_mess(world: World) -> dict[str, dict[str, int]]:
    """One of everything beside a whole image; what a sweep that changes nothing says of it."""
    await completed(world)
    marked = await completed(world)
    await world.records.mark_deleting(marked.image_id, "ann", NOON)
    await claimed(world, promoted=True)
    await claimed(world)
    await claimed(world, staged=False)
    broken = await completed(world)
    await world.objects.delete([broken.s3_key])
    await orphan(world)
    return {
        "unfinished_deletion": {"found": 1},
        "unfinished_upload": {"found": 3},
        "broken_record": {"found": 1},
        "orphaned_object": {"found": 1},
    }


async def test_a_sweep_without_apply_finds_everything_and_changes_nothing() -> None:
    world = World()
    mess = await a_mess(world)
    before = contents_of_world(world)
    report = await sweep_world(world, DRY)
    assert outcomes(report) == mess
    assert report.left == 6
    assert contents_of_world(world) == before


async def test_a_sweep_settles_what_can_be_settled_without_losing_an_image() -> None:
    world = World()
    await a_mess(world)
    report = await sweep_world(world)
    assert outcomes(report) == {
        "unfinished_deletion": {"finished": 1},
        "unfinished_upload": {"published": 2, "abandoned": 1},
        "broken_record": {"found": 1},
        "orphaned_object": {"removed": 1},
    }
    (broken,) = report.samples["broken_record"]
    assert violations(contents_of_world(world)) == [f"record {broken.name}: its object is gone"]


async def test_broken_records_go_only_where_that_is_asked_for() -> None:
    world = World()
    await a_mess(world)
    await sweep_world(world, replace(DRY, remove_broken=True))
    report = await sweep_world(world, replace(APPLY, remove_broken=True))
    assert outcomes(report)["broken_record"] == {"removed": 1}
    assert violations(contents_of_world(world)) == []
    assert outcomes(await sweep_world(world)) == {}


async def test_whole_images_are_never_touched() -> None:
    world = World()
    for user_id in ("ann", "bob"):
        await completed(world, user_id=user_id)
    await world.uploaded()
    before = contents_of_world(world)
    report = await sweep_world(world, replace(APPLY, remove_broken=True))
    assert outcomes(report) == {}
    assert (report.examined_records, report.examined_objects) == (2, 2)
    assert contents_of_world(world) == before


@pytest.mark.parametrize("age", [timedelta(0), timedelta(hours=23)])
async def test_what_is_young_is_left_to_whoever_is_at_work_on_it(age: timedelta) -> None:
    world = World()
    await claimed(world)
    await orphan(world)
    broken = await completed(world)
    await world.objects.delete([broken.s3_key])
    before = contents_of_world(world)
    orders = replace(APPLY, remove_broken=True)
    report = await sweep(
        stores_of_world(world), orders, SETTLED, now=lambda: world.clock.now() + age
    )
    assert outcomes(report) == {}
    assert contents_of_world(world) == before


async def test_a_deletion_waits_only_until_no_request_can_be_at_work_on_it() -> None:
    world = World()
    image = await completed(world)
    await world.records.mark_deleting(image.image_id, "ann", NOON)

    async def swept(age: timedelta) -> Report:
        now = world.clock.now() + age
        return await sweep(stores_of_world(world), APPLY, SETTLED, now=lambda: now)

    assert outcomes(await swept(SETTLED)) == {}
    assert outcomes(await swept(SETTLED + timedelta(seconds=1))) == {
        "unfinished_deletion": {"finished": 1}
    }


async def test_no_age_is_below_that_of_a_request() -> None:
    world = World()
    await orphan(world)
    orders = replace(APPLY, min_age=timedelta(0))
    report = await sweep(stores_of_world(world), orders, SETTLED, now=world.clock.now)
    assert outcomes(report) == {}
    assert Settings().abandoned_after > timedelta(seconds=Settings().request_time_limit)


async def test_a_quick_sweep_only_finishes_deletions() -> None:
    world = World()
    await a_mess(world)
    report = await sweep_world(world, replace(APPLY, deletions_only=True))
    assert outcomes(report) == {"unfinished_deletion": {"finished": 1}}
    assert (report.examined_records, report.examined_objects) == (1, 0)


async def test_an_upload_is_published_as_it_was_claimed() -> None:
    world = World()
    request = await claimed(world)
    claim = world.records._images[request.image_id]
    await sweep_world(world)
    image = await world.records.find(request.image_id)
    assert image == replace(
        claim, status="completed", upload_timestamp="2026-02-15T12:00:00.000000Z"
    )
    assert await complete_upload(world.desk, request) == image


async def test_an_upload_whose_staged_bytes_expired_is_published_if_they_were_promoted() -> None:
    world = World()
    await claimed(world, promoted=True, staged=False)
    report = await sweep_world(world)
    assert outcomes(report) == {"unfinished_upload": {"published": 1}}
    assert violations(contents_of_world(world)) == []


async def test_a_record_that_is_not_the_one_listed_is_not_broken() -> None:
    world = World()
    image = await completed(world)
    await world.objects.delete([image.s3_key])
    settler = Settler(
        stores_of_world(world), world.clock.now, SETTLED, apply=True, remove_broken=True
    )
    listed = (await settler.stores.all_records.all_records(None, 1)).entries[0]
    assert await settler.record(replace(listed, since="2026-01-01T00:00:00.000000Z")) is None
    assert await world.records.find(image.image_id) == image
    assert await settler.record(listed) is not None


async def test_bytes_that_replaced_the_claimed_ones_are_not_published() -> None:
    world = World()
    request = await claimed(world)
    key = naming.staging_key("ann", request.image_id)
    world.objects._objects[key] = replace(world.objects._objects[key], body=b"something else")
    report = await sweep_world(world)
    assert outcomes(report) == {"unfinished_upload": {"abandoned": 1}}
    assert violations(contents_of_world(world)) == []


@pytest.mark.parametrize(
    "key",
    [
        "images/notes.txt",
        "images/ann/notes.txt",
        f"images/a/b/{an_id(1)}_a.jpg",
        f"images/ann/{an_id(1)}_",
        f"images/ann/{an_id(1).replace('1', 'A')}_a.jpg",
    ],
)
async def test_an_object_that_the_service_never_made_is_told_and_kept(key: str) -> None:
    world = World()
    _, form = await world.declared()
    world.objects.put(replace(form, fields={**form.fields, "key": key}), b"notes")
    report = await sweep_world(world)
    assert outcomes(report) == {"misplaced_object": {"found": 1}}
    assert [each.name for each in samples(report)] == [key]
    assert key in contents_of_world(world).objects


async def test_a_second_object_of_one_image_is_told_and_kept() -> None:
    world = World()
    image = await completed(world)
    other = image.s3_key.replace("photo", "other")
    world.objects._objects[other] = world.objects._objects[image.s3_key]
    report = await sweep_world(world)
    assert outcomes(report) == {"misplaced_object": {"found": 1}}
    assert contents_of_world(world).objects.keys() >= {image.s3_key, other}


async def test_objects_outside_images_are_not_looked_at() -> None:
    world = World()
    await world.uploaded()
    assert (await sweep_world(world)).examined_objects == 0


async def test_a_key_tells_whose_it_is() -> None:
    key = naming.final_key("a.b@c+d:e", an_id(3), "ünser Foto.jpg")
    assert naming.owner_of_final_key(key) == ("a.b@c+d:e", an_id(3))


# Any size: a batch at a time, from any place.


async def test_a_sweep_that_stops_at_each_step_ends_as_one_that_does_not() -> None:
    world, whole = World(), World()
    for each in (world, whole):
        for number in range(12):
            await orphan(each, number=number)
            await each.records.create(
                an_image(
                    image_id=an_id(100 + number),
                    status=PENDING,
                    s3_key=naming.final_key("ann", an_id(100 + number), "beach.jpg"),
                )
            )
    once = await sweep_world(whole)
    orders = replace(APPLY, rate=5)  # which makes batches of five
    place: Place | None = Place("deletions")
    total: dict[str, int] = {}
    rounds = 0
    while place is not None:
        steps = iter([True, False])
        report = await sweep(
            stores_of_world(world),
            replace(orders, rate=None),
            SETTLED,
            start=place_from_text(place_to_text(place), orders),
            now=later(world),
            keep_going=lambda: next(steps),  # noqa: B023
        )
        for kind, counts in report.counts.items():
            total[kind] = total.get(kind, 0) + counts.total()
        place = report.place
        rounds += 1
    assert rounds == 3
    assert total == {kind: counts.total() for kind, counts in once.counts.items()}
    assert contents_of_world(world) == contents_of_world(whole)


async def test_a_batch_holds_no_more_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    world, limits = World(), []
    stores = stores_of_world(world)
    for number in range(7):
        await orphan(world, number=number)

    class Watched:
        async def final_objects(self, after: str | None, limit: int) -> Any:
            limits.append(limit)
            return await stores.all_objects.final_objects(after, limit)

    monkeypatch.setattr("service.sweeper.BATCH", 3)
    report = await sweep_world(world, DRY, replace(stores, all_objects=Watched()))
    assert limits == [3, 3, 3]
    assert report.counts["orphaned_object"].total() == 7


async def test_a_report_stays_small_however_much_is_found() -> None:
    world = World()
    for number in range(600):
        await orphan(world, number=number)
    report = await sweep_world(world)
    assert report.counts["orphaned_object"] == {"removed": 600}
    assert len(report.samples["orphaned_object"]) == 20
    assert len(json.dumps(report.document())) < 8_000


@pytest.mark.parametrize(
    "text", ["", "x", "e30", "WzFd", place_to_text(Place("objects", "k"))[:-2]]
)
def test_a_place_that_no_sweep_printed_is_refused(text: str) -> None:
    with pytest.raises(PlaceUnknown):
        place_from_text(text, APPLY)


def test_a_place_is_good_for_a_sweep_of_its_kind_alone() -> None:
    text = place_to_text(Place("objects", "images/ann/ü"))
    assert place_from_text(text, APPLY) == Place("objects", "images/ann/ü")
    with pytest.raises(PlaceUnknown):
        place_from_text(text, replace(APPLY, deletions_only=True))


# Stores that fail.


async def test_what_a_store_cannot_settle_now_is_told_and_stops_nothing_else() -> None:
    class HalfDown(MemoryImageObjects):
        async def delete(self, keys: Sequence[str]) -> None:
            if an_id(3) in keys[0]:
                raise StoreUnavailable("S3", "slow down")
            await super().delete(keys)

    world = World(HalfDown())
    for number in range(5):
        await orphan(world, number=number)
    report = await sweep_world(world)
    assert outcomes(report) == {"orphaned_object": {"removed": 4, "failed": 1}}
    (failed,) = [each for each in samples(report) if each.outcome == "failed"]
    assert failed.detail == "S3: slow down"
    assert report.left == 1
    # Nothing is left in between: the next sweep finishes it.
    world.objects.__class__ = MemoryImageObjects
    assert outcomes(await sweep(stores_of_world(world), APPLY, SETTLED, now=much_later(world))) == {
        "unfinished_deletion": {"finished": 1}
    }
    assert violations(contents_of_world(world)) == []


def much_later(world: World) -> Any:
    return lambda: world.clock.now() + timedelta(days=4)


async def test_a_store_that_cannot_be_listed_ends_the_sweep_where_it_is() -> None:
    world = World()
    await orphan(world)
    stores = stores_of_world(world)

    class Down:
        async def final_objects(self, after: str | None, limit: int) -> Any:
            raise StoreUnavailable("S3", "down")

    report = await sweep_world(world, APPLY, replace(stores, all_objects=Down()))
    assert (report.error, report.place) == ("S3: down", Place("objects"))
    document = report.document()
    assert document["complete"] is False
    again = await sweep(
        stores,
        APPLY,
        SETTLED,
        start=place_from_text(str(document["resume"]), APPLY),
        now=later(world),
    )
    assert outcomes(again) == {"orphaned_object": {"removed": 1}}


async def test_a_rate_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("service.sweeper.asyncio.sleep", sleep)
    world = World()
    for number in range(10):
        await orphan(world, number=number)
    await sweep_world(world, Orders(rate=4))
    # Two empty phases, then 4 + 4 + 2 entries at 4 a second.
    assert [round(seconds, 1) for seconds in slept] == [0, 0, 1.0, 1.0, 0.5]


# Beside requests and other sweeps, in every order that their store calls can come in.

Calls = dict[str, Coroutine[Any, Any, object]]


def paused_stores(world: World, turns: Turns) -> Stores:
    stores = stores_of_world(world)
    return Stores(
        *(
            Paused(each, turns)  # type: ignore[arg-type]
            for each in (stores.objects, stores.records, stores.all_objects, stores.all_records)
        )
    )


def paused_desk(world: World, turns: Turns) -> Any:
    return world.desk_on(
        Paused(world.objects, turns),  # type: ignore[arg-type]
        Paused(world.records, turns),  # type: ignore[arg-type]
    )


def paused_sweep(
    world: World, turns: Turns, orders: Orders = APPLY, start: Place | None = None
) -> Coroutine[Any, Any, Report]:
    return sweep(paused_stores(world, turns), orders, SETTLED, start=start, now=later(world))


async def assert_settled(world: World, order: list[str]) -> None:
    """Nothing that anybody can see is wrong, and another sweep leaves nothing to be found."""
    assert violations(contents_of_world(world), settled=False) == [], order
    await sweep(stores_of_world(world), APPLY, SETTLED, now=much_later(world))
    assert violations(contents_of_world(world)) == [], order


@pytest.mark.parametrize("promoted", [False, True], ids=["claimed", "promoted"])
async def test_a_sweep_beside_a_retry_of_complete_ends_with_the_image(promoted: bool) -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request = await claimed(world, promoted=promoted)

        async def check(results: Mapping[str, object], order: list[str]) -> None:
            assert isinstance(results["complete"], Image), order
            assert await world.records.find(request.image_id) == results["complete"], order
            await assert_settled(world, order)
            assert await complete_upload(world.desk, request) == results["complete"]

        return {
            "sweep": paused_sweep(world, turns, start=Place("records")),
            "complete": complete_upload(paused_desk(world, turns), request),
        }, check

    assert await every_order(scene) > 100


async def test_a_sweep_beside_a_retry_whose_bytes_are_gone_ends_with_nothing() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request = await claimed(world, staged=False)

        async def check(results: Mapping[str, object], order: list[str]) -> None:
            assert isinstance(results["complete"], NothingUploaded | ImageMissing), order
            await assert_settled(world, order)
            assert await world.records.find(request.image_id) is None

        return {
            "sweep": paused_sweep(world, turns, start=Place("records")),
            "complete": complete_upload(paused_desk(world, turns), request),
        }, check

    assert await every_order(scene) > 10


async def test_an_upload_completed_beside_a_sweep_of_its_key_never_loses_its_bytes() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request, form = await world.declared()
        world.objects.put(form, real_image().body)
        # As a claim that was dropped too early, or a table restored from a backup, leaves it.
        key = naming.final_key("ann", request.image_id, "photo.jpg")
        world.objects.put(replace(form, fields={**form.fields, "key": key}), real_image().body)

        async def check(results: Mapping[str, object], order: list[str]) -> None:
            assert violations(contents_of_world(world), settled=False) == [], order
            # Told that there is no such image, for the moment that its id was buried.
            assert isinstance(results["complete"], Image | ImageMissing), order
            image = await complete_upload(world.desk, request)
            assert results["complete"] == image or isinstance(results["complete"], ImageMissing)
            assert violations(contents_of_world(world)) == [], order

        return {
            "sweep": paused_sweep(world, turns, start=Place("objects")),
            "complete": complete_upload(paused_desk(world, turns), request),
        }, check

    assert await every_order(scene) > 30


async def test_a_sweep_beside_a_delete_ends_with_nothing_in_every_order() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        image = await completed(world)
        desk = paused_desk(world, turns)

        async def check(results: Mapping[str, object], order: list[str]) -> None:
            assert results["delete"] is None, order
            assert contents_of_world(world).records == {}, order
            assert contents_of_world(world).objects == {}, order

        return {
            "sweep": paused_sweep(world, turns, replace(APPLY, remove_broken=True)),
            "delete": images.delete_image(desk, image.image_id, "ann"),
        }, check

    assert await every_order(scene) > 50


async def test_a_sweep_beside_a_second_attempt_to_delete_ends_with_nothing() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        image = await completed(world)
        await world.records.mark_deleting(image.image_id, "ann", NOON)

        async def check(results: Mapping[str, object], order: list[str]) -> None:
            assert isinstance(results["delete"], ImageMissing), order
            assert contents_of_world(world).records == {}, order
            assert contents_of_world(world).objects == {}, order

        return {
            "sweep": paused_sweep(world, turns),
            "delete": images.delete_image(paused_desk(world, turns), image.image_id, "ann"),
        }, check

    assert await every_order(scene) > 30


@pytest.mark.parametrize("make", ["claimed", "promoted", "marked", "orphan", "broken"])
async def test_two_sweeps_at_once_settle_it_once(make: str) -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        if make in ("claimed", "promoted"):
            await claimed(world, promoted=make == "promoted")
        elif make == "orphan":
            await orphan(world)
        else:
            image = await completed(world)
            if make == "broken":
                await world.objects.delete([image.s3_key])
            else:
                await world.records.mark_deleting(image.image_id, "ann", NOON)

        async def check(results: Mapping[str, object], order: list[str]) -> None:
            assert all(isinstance(each, Report) for each in results.values()), results
            await assert_settled(world, order)

        start = Place({"marked": "deletions", "orphan": "objects"}.get(make, "records"))
        orders = replace(APPLY, remove_broken=True)
        return {name: paused_sweep(world, turns, orders, start) for name in ("one", "two")}, check

    await many_orders(scene, 200)


async def test_a_sweep_beside_complete_and_delete_leaves_nothing_broken() -> None:
    async def scene(turns: Turns) -> tuple[Calls, Check]:
        world = World()
        request = await claimed(world)
        desk = paused_desk(world, turns)

        async def check(results: Mapping[str, object], order: list[str]) -> None:
            await assert_settled(world, order)

        return {
            "sweep": paused_sweep(world, turns),
            "complete": complete_upload(desk, request),
            "delete": images.delete_image(desk, request.image_id, "ann"),
        }, check

    await many_orders(scene, 500)
