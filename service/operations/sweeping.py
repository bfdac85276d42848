"""A sweep: both stores compared, step by step, whatever their size.

    deletions   records that were marked and never removed, from their own sparse index
    records     all of them: claims that nobody finished, images whose object is gone
    objects     all final ones: those that no record names

Each step reads one batch and settles what is in it. Where the next one begins is all that is kept
between two steps, so a sweep can end after any of them and go on from there another day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar, get_args

from service import naming, timestamps
from service.model import COMPLETED, PENDING, Batch, Image, ObjectEntry, RecordEntry
from service.operations.settling import Finding, Settler
from service.together import together

T = TypeVar("T")

Phase = Literal["deletions", "records", "objects"]
PHASES: tuple[Phase, ...] = get_args(Phase)

BATCH = 500
# Enough to hide the stores' latency, few enough to leave connections to others.
_WIDTH = 20
_LONGEST_LOOK_UP = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a sweep a step begins: a phase, and how far in it (None: at its beginning)."""

    phase: Phase
    after: str | None = None


BEGINNING = Place(PHASES[0])


@dataclass(frozen=True, slots=True)
class Scope:
    """What a sweep looks at, how much of it at once, and how old what it settles has to be.

    `settled` is longer than any request can run: what is older has no one at work on it. Deletions
    wait for that alone, since their owner wants the bytes gone; all else for `min_age`.
    """

    settled: timedelta
    min_age: timedelta
    phases: tuple[Phase, ...] = PHASES
    batch: int = BATCH


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did, how much it looked at, and where the next one begins (None: the end)."""

    findings: tuple[Finding, ...]
    examined_records: int
    examined_objects: int
    next: Place | None


async def take_step(settler: Settler, scope: Scope, place: Place) -> Step:
    """Read the batch at a place and settle what is in it. Raises StoreUnavailable."""
    step = {"deletions": _deletions, "records": _records, "objects": _objects}[place.phase]
    return await step(settler, scope, place)


async def _deletions(settler: Settler, scope: Scope, place: Place) -> Step:
    before = timestamps.to_text(settler.now() - scope.settled)
    batch = await settler.stores.all_records.deletions(place.after, before, scope.batch)
    findings = await _each(settler.deletion(image_id) for image_id in batch.entries)
    return Step(tuple(findings), len(batch.entries), 0, _next(place, batch, scope))


async def _records(settler: Settler, scope: Scope, place: Place) -> Step:
    before = timestamps.to_text(settler.now() - scope.min_age)
    batch = await settler.stores.all_records.all_records(place.after, scope.batch)
    old = [entry for entry in batch.entries if entry.since < before]
    found = await _each(_of_record(settler, entry) for entry in old)
    findings = tuple(finding for finding in found if finding is not None)
    return Step(findings, len(batch.entries), 0, _next(place, batch, scope))


async def _of_record(settler: Settler, entry: RecordEntry) -> Finding | None:
    if entry.status == PENDING:
        return await settler.upload(entry)
    if entry.status == COMPLETED:
        return await settler.record(entry)
    return None  # the deletions have had their turn


async def _objects(settler: Settler, scope: Scope, place: Place) -> Step:
    before = timestamps.to_text(settler.now() - scope.min_age)
    batch = await settler.stores.all_objects.final_objects(place.after, scope.batch)
    old = [entry for entry in batch.entries if entry.modified < before]
    owners = {entry.key: naming.owner_of_final_key(entry.key) for entry in old}
    records = await _look_up(settler, [owner[1] for owner in owners.values() if owner])
    found = await _each(_of_object(settler, entry, owners[entry.key], records) for entry in old)
    findings = tuple(finding for finding in found if finding is not None)
    return Step(findings, 0, len(batch.entries), _next(place, batch, scope))


async def _of_object(
    settler: Settler,
    entry: ObjectEntry,
    owner: tuple[str, str] | None,
    records: dict[str, Image],
) -> Finding | None:
    if owner is None:
        return Finding("misplaced_object", entry.key, "found")
    user_id, image_id = owner
    record = records.get(image_id)
    if record is None:
        return await settler.orphan(entry, user_id, image_id)
    # Its id is in use, so it cannot be buried: an operator has to look.
    return None if record.s3_key == entry.key else Finding("misplaced_object", entry.key, "found")


async def _look_up(settler: Settler, image_ids: Sequence[str]) -> dict[str, Image]:
    runs = await _each(
        settler.stores.records.find_many(image_ids[start : start + _LONGEST_LOOK_UP])
        for start in range(0, len(image_ids), _LONGEST_LOOK_UP)
    )
    return {image_id: image for run in runs for image_id, image in run.items()}


async def _each(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order, a few at a time."""
    places = asyncio.Semaphore(_WIDTH)

    async def placed(one: Coroutine[Any, Any, T]) -> T:
        async with places:
            return await one

    return await together(placed(one) for one in work)


def _next(place: Place, batch: Batch[Any], scope: Scope) -> Place | None:
    if batch.resume is not None:
        return Place(place.phase, batch.resume)
    following = scope.phases[scope.phases.index(place.phase) + 1 :]
    return Place(following[0]) if following else None
