"""Sweeps of test worlds: long after what they find, so that everything is old enough."""

from __future__ import annotations

from datetime import timedelta

from service.model import COMPLETED, DELETING, PENDING
from service.operations.settling import Finding, Stores
from service.ports import Clock
from service.storage.items import to_item
from service.storage.memory_inventory import MemoryObjectInventory, MemoryRecordInventory
from service.sweeper import Orders, Report, sweep
from tests.support.consistency import Contents
from tests.support.makers import ABANDONED_AFTER, NOON, World

APPLY = Orders(apply=True)
SETTLED = ABANDONED_AFTER


def stores_of_world(world: World) -> Stores:
    """A world's stores with their inventories. Objects are as old as the world."""
    return Stores(
        world.objects,
        world.records,
        MemoryObjectInventory(world.objects, lambda key: NOON),
        MemoryRecordInventory(world.records),
    )


def later(world: World) -> Clock:
    """The world's clock, two days on."""
    return lambda: world.clock.now() + timedelta(days=2)


async def sweep_world(world: World, orders: Orders = APPLY, stores: Stores | None = None) -> Report:
    """Sweep a world to its end, two days later."""
    return await sweep(stores or stores_of_world(world), orders, SETTLED, now=later(world))


def outcomes(report: Report) -> dict[str, dict[str, int]]:
    """What was found: kind -> outcome -> how often, without what was not."""
    return {kind: dict(counts) for kind, counts in report.counts.items() if counts}


def samples(report: Report) -> list[Finding]:
    """All that the report tells by name."""
    return [finding for kind in report.samples.values() for finding in kind]


def contents_of_world(world: World) -> Contents:
    """A world's stores as the checker of real ones reads them."""
    records = {}
    for image_id, image in world.records._images.items():
        item = to_item(image, counted=world.records._usage._held.get(image_id))
        if image.status == DELETING:
            item = {name: value for name, value in item.items() if name not in _LISTED}
            item |= {"deleting_since": {"S": world.records.marked_since[image_id]}}
        assert image.status in (COMPLETED, PENDING, DELETING)
        records[image_id] = item
    objects = {key: stored.body for key, stored in world.objects._objects.items()}
    usage = {
        user_id: (used.bytes, used.images) for user_id, used in world.records._usage._used.items()
    }
    return Contents(records, objects, usage)


_LISTED = ("upload_timestamp", "timeline_shard")
