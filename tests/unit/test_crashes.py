"""Every operation, its process dying before and after each store call that it makes.

Afterwards the client tries again, or a sweep runs: either way both stores agree, nothing half done
is ever seen, and nobody else's images have changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest

from service.errors import ImageMissing, MontError
from service.model import NO_QUOTA, Edit, Image, StorageQuota
from service.operations import images
from service.operations.desk import Desk
from service.operations.settling import Stores
from service.operations.uploading import CompleteUpload, complete_upload
from service.storage.memory import MemoryImageRecords
from service.sweeper import sweep
from tests.support.consistency import Contents, violations
from tests.support.crashing import Crash, every_fate
from tests.support.makers import World
from tests.support.sweeps import (
    APPLY,
    SETTLED,
    contents_of_world,
    later,
    stores_of_world,
    sweep_world,
)

BOB = "bob"


@dataclass
class Scene:
    """A world in which something is about to happen, and an untouched neighbour."""

    world: World
    uploads: list[CompleteUpload] = field(default_factory=list)
    neighbours: Contents | None = None

    @property
    def ids(self) -> list[str]:
        return [each.image_id for each in self.uploads]

    async def staged(self, count: int = 1) -> None:
        self.uploads += [await self.world.uploaded(tags=("sea",)) for _ in range(count)]
        await complete_upload(self.world.desk, await self.world.uploaded(user_id=BOB))
        await self.world.uploaded(user_id=BOB)
        self.neighbours = contents_of_world(self.world).of_user(BOB)

    async def completed(self, count: int = 1) -> None:
        await self.staged(count)
        for upload in self.uploads:
            await complete_upload(self.world.desk, upload)


Act = Callable[[Desk, Scene], Awaitable[object]]
Setting = Callable[[Scene], Awaitable[None]]


async def complete(desk: Desk, scene: Scene) -> object:
    return await complete_upload(desk, scene.uploads[0])


async def delete(desk: Desk, scene: Scene) -> object:
    return await images.delete_image(desk, scene.ids[0], "ann")


async def delete_whose(desk: Desk, scene: Scene) -> object:
    return await images.delete_image(desk, scene.ids[0], None)


async def delete_several(desk: Desk, scene: Scene) -> object:
    return await images.delete_images(desk, scene.ids, "ann")


async def edit(desk: Desk, scene: Scene) -> object:
    return await images.edit_image(desk, scene.ids[0], "ann", Edit(tags=("new",)), None)


OPERATIONS: dict[str, tuple[Act, Setting, int]] = {
    "complete": (complete, Scene.staged, 4),
    "delete": (delete, Scene.completed, 3),
    "delete as a service": (delete_whose, Scene.completed, 4),
    "delete several": (delete_several, lambda scene: scene.completed(3), 9),
    "edit": (edit, Scene.completed, 1),
}
"""What happens, where, and how many store calls it makes at least."""


async def is_done(name: str, scene: Scene) -> bool:
    """Whether the operation's end was reached."""
    records = [await scene.world.records.find(image_id) for image_id in scene.ids]
    if name.startswith("delete"):
        return records == [None] * len(records)
    return all(
        isinstance(each, Image)
        and each.status == "completed"
        and each.tags == (("new",) if name == "edit" else ("sea",))
        for each in records
    )


QUOTAS = {"no quota": NO_QUOTA, "a quota": StorageQuota(bytes=1_000_000, images=100)}


@pytest.mark.parametrize("quota", QUOTAS)
@pytest.mark.parametrize("rescue", ["retry", "sweep", "sweep, retry", "retry, sweep"])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_whatever_call_a_process_dies_at_both_stores_agree_again(
    name: str, rescue: str, quota: str
) -> None:
    act, setting, calls = OPERATIONS[name]
    async for fate in every_fate(at_least=calls):
        scene = Scene(World(records=MemoryImageRecords(QUOTAS[quota])))
        await setting(scene)
        world = scene.world
        try:
            await act(world.desk_on(fate.on(world.objects), fate.on(world.records)), scene)
        except Crash:
            assert fate.died
        assert violations(contents_of_world(world), settled=False) == [], fate
        for each in rescue.split(", "):
            if each == "sweep":
                await sweep_world(world)
            else:
                await tried_again(act, scene)
        assert violations(contents_of_world(world)) == [], fate
        assert contents_of_world(world).of_user(BOB) == scene.neighbours, fate
        assert bool(contents_of_world(world).usage) == (quota == "a quota")
        if "retry" in rescue:
            assert await is_done(name, scene), fate


async def tried_again(act: Act, scene: Scene) -> None:
    # What the dead process began to delete is left to it for a while.
    scene.world.clock.seconds += 2 * SETTLED.total_seconds()
    with suppress(ImageMissing):  # deleted already by an attempt before it, or by a sweep
        await act(scene.world.desk, scene)


async def test_a_sweep_that_dies_is_finished_by_the_next_one() -> None:
    async for fate in every_fate(at_least=15):
        scene = Scene(World(records=MemoryImageRecords(QUOTAS["a quota"])))
        await scene.completed(3)
        world = scene.world
        await a_mess_of(scene)
        stores = stores_of_world(world)
        doomed = Stores(
            fate.on(stores.objects),
            fate.on(stores.records),
            fate.on(stores.all_objects),
            fate.on(stores.all_records),
        )
        orders = replace(APPLY, remove_broken=True)
        try:
            await sweep(doomed, orders, SETTLED, now=later(world))
        except Crash:
            assert fate.died
        await sweep_world(world, orders)
        world.clock.seconds += 10_000
        await sweep_world(world, orders)
        assert violations(contents_of_world(world)) == [], fate
        assert contents_of_world(world).of_user(BOB) == scene.neighbours, fate


async def a_mess_of(scene: Scene) -> None:
    """One image that is being deleted, one without its object, one object without its record."""
    world, (marked, broken, orphan) = scene.world, scene.ids
    await world.records.mark_deleting(marked, "ann", "2026-02-13T12:00:00.000000Z")
    image = await world.records.find(broken)
    assert image is not None
    await world.objects.delete([image.s3_key])
    del world.records._images[orphan]


async def test_an_operation_that_fails_is_told_from_one_that_dies() -> None:
    # Or the outcome of a batch would hide that its process is dead.
    assert not issubclass(Crash, MontError)
