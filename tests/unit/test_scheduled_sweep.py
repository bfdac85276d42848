"""A sweep on a schedule: a little each time, everything in the end, and nothing twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.errors import StoreUnavailable
from service.model import Batch, ObjectEntry, SweepNote
from service.operations.settling import Stores
from service.scheduled_sweep import run_scheduled
from service.storage.memory_inventory import MemorySweepNotes
from service.sweeper import Report
from tests.support.makers import NOON, World, an_id
from tests.support.sweeps import SETTLED, outcomes, stores_of_world
from tests.unit.test_sweeping import completed, orphan

WEEK = timedelta(days=7)


class Schedule:
    """Runs on one world. `steps` is how many one run has time for."""

    def __init__(self, stores: Stores | None = None) -> None:
        self.world = World()
        self.notes = MemorySweepNotes()
        self.stores = stores or stores_of_world(self.world)
        self.days = 2

    async def run(self, steps: int = 1000) -> list[Report]:
        left = iter(range(steps))
        return await run_scheduled(
            self.stores,
            self.notes,
            SETTLED,
            WEEK,
            now=lambda: self.world.clock.now() + timedelta(days=self.days),
            keep_going=lambda: next(left, None) is not None,
        )


async def a_deletion(world: World) -> str:
    image = await completed(world)
    await world.records.mark_deleting(image.image_id, "ann", NOON)
    return image.image_id


async def test_the_first_run_sweeps_everything() -> None:
    schedule = Schedule()
    await a_deletion(schedule.world)
    await orphan(schedule.world)
    quick, full = await schedule.run()
    assert outcomes(quick) == {"unfinished_deletion": {"finished": 1}}
    assert outcomes(full) == {"orphaned_object": {"removed": 1}}
    assert await schedule.notes.read() == SweepNote("2026-02-15T12:00:00.000000Z", None)


async def test_until_its_day_a_run_only_finishes_deletions() -> None:
    schedule = Schedule()
    await schedule.run()
    await a_deletion(schedule.world)
    await orphan(schedule.world)
    schedule.days += 6
    (quick,) = await schedule.run()
    assert outcomes(quick) == {"unfinished_deletion": {"finished": 1}}
    schedule.days += 1
    _, full = await schedule.run()
    assert outcomes(full) == {"orphaned_object": {"removed": 1}}


async def test_a_run_goes_on_where_the_time_of_the_one_before_was_up() -> None:
    schedule = Schedule()
    for number in range(1200):
        await orphan(schedule.world, number=number)
    removed = []
    for _ in range(10):
        reports = await schedule.run(steps=3)
        schedule.days += 1
        note = await schedule.notes.read()
        assert note is not None
        assert note.started_at == "2026-02-15T12:00:00.000000Z"
        removed.append(reports[1].counts["orphaned_object"].total())
        if note.place is None:
            break
    # A step for the deletions, one for the records, then 500 objects each.
    assert removed == [500, 700]
    (quick,) = await schedule.run()
    assert outcomes(quick) == {}


async def test_a_run_without_any_time_loses_its_place_to_nobody() -> None:
    schedule = Schedule()
    await orphan(schedule.world)
    await schedule.run(steps=0)
    _, full = await schedule.run()
    assert outcomes(full) == {"orphaned_object": {"removed": 1}}


@pytest.mark.parametrize("place", ["", "nonsense", "WyJkZWxldGlvbnMiLCA1XQ"])
async def test_a_place_of_another_release_is_the_beginning(place: str) -> None:
    schedule = Schedule()
    await orphan(schedule.world)
    await schedule.notes.write(SweepNote(NOON, place))
    _, full = await schedule.run()
    assert outcomes(full) == {"orphaned_object": {"removed": 1}}


async def test_a_store_that_is_down_costs_no_more_than_the_time() -> None:
    world = World()
    whole = stores_of_world(world)

    class Down:
        down = True

        async def final_objects(self, after: str | None, limit: int) -> Batch[ObjectEntry]:
            if self.down:
                raise StoreUnavailable("S3", "down")
            return await whole.all_objects.final_objects(after, limit)

    schedule = Schedule(Stores(whole.objects, whole.records, Down(), whole.all_records))
    schedule.world = world
    key = await orphan(world, number=3)
    assert an_id(3) in key
    _, stopped = await schedule.run()
    assert stopped.error == "S3: down"
    Down.down = False
    _, full = await schedule.run()
    assert outcomes(full) == {"orphaned_object": {"removed": 1}}
