"""A sweep on a schedule: a little each time, and in the end everything.

Each run finishes deletions, which costs next to nothing. Then it goes on with the full sweep, where
the run before it stopped, or begins one if the last one began long enough ago: a full sweep reads
every record and lists every object.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from service import timestamps
from service.model import SweepNote
from service.operations.settling import Stores
from service.operations.sweeping import Place
from service.ports import Clock, SweepNotes
from service.sweeper import (
    Orders,
    PlaceUnknown,
    Report,
    place_from_text,
    place_to_text,
    sweep,
)

QUICK = Orders(apply=True, deletions_only=True)
FULL = Orders(apply=True)
"""All that is safe without anybody looking: images whose bytes are gone are only told of."""

_BEHIND_DELETIONS = Place("records")


async def run_scheduled(
    stores: Stores,
    notes: SweepNotes,
    settled: timedelta,
    full_every: timedelta,
    *,
    now: Clock,
    keep_going: Callable[[], bool],
) -> list[Report]:
    """One run: as far as `keep_going` lets it. Raises StoreUnavailable where notes cannot be kept.

    `settled` as of `sweep`. What a store did not let it do is in the reports.
    """
    reports = [await sweep(stores, QUICK, settled, now=now, keep_going=keep_going)]
    last = await notes.read()
    if last is not None and last.place is None and not _is_due(last, full_every, now):
        return reports
    unfinished = last is not None and last.place is not None
    began = last.started_at if last is not None and unfinished else timestamps.to_text(now())
    report = await sweep(stores, FULL, settled, start=_start(last), now=now, keep_going=keep_going)
    place = None if report.place is None else place_to_text(report.place)
    await notes.write(SweepNote(began, place))
    return [*reports, report]


def _is_due(last: SweepNote, full_every: timedelta, now: Clock) -> bool:
    return last.started_at <= timestamps.to_text(now() - full_every)


def _start(last: SweepNote | None) -> Place:
    if last is None or last.place is None:
        return _BEHIND_DELETIONS
    try:
        return place_from_text(last.place, FULL)
    except PlaceUnknown:  # of another release
        return _BEHIND_DELETIONS
