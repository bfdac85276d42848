"""A sweep from beginning to end, or to where it is told to stop: what a command or a schedule runs.

Its report is all that it keeps, and the report is of one size however much there is to sweep.
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import get_args

from service import timestamps
from service.errors import StoreUnavailable
from service.operations.settling import Finding, Kind, Outcome, Settler, Stores
from service.operations.sweeping import BATCH, PHASES, Phase, Place, Scope, Step, take_step
from service.ports import Clock

KINDS: tuple[Kind, ...] = get_args(Kind)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
LEFT: tuple[Outcome, ...] = ("found", "failed")
"""Outcomes after which there is still something to do."""

_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Orders:
    """What a sweep may do. Without `apply` it changes nothing; `rate` is entries a second."""

    apply: bool = False
    min_age: timedelta = timedelta(days=1)
    deletions_only: bool = False
    remove_broken: bool = False
    rate: int | None = None

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of this sweep."""
        return PHASES[:1] if self.deletions_only else PHASES


class PlaceUnknown(ValueError):
    """This is not a place that a sweep of this kind printed."""


def place_to_text(place: Place) -> str:
    """A place as a word, safe in any shell."""
    return urlsafe_b64encode(json.dumps([place.phase, place.after]).encode()).decode().rstrip("=")


def place_from_text(text: str, orders: Orders) -> Place:
    """The inverse. Raises PlaceUnknown."""
    try:
        phase, after = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError) as error:
        raise PlaceUnknown from error
    if phase not in orders.phases or not isinstance(after, str | None):
        raise PlaceUnknown
    return Place(phase, after)


@dataclass(slots=True)
class Report:
    """What a sweep has done so far. `place` is where it would go on: None when it is through."""

    orders: Orders
    place: Place | None
    started_at: str
    finished_at: str = ""
    error: str = ""
    examined_records: int = 0
    examined_objects: int = 0
    counts: dict[Kind, Counter[Outcome]] = field(
        default_factory=lambda: {kind: Counter() for kind in KINDS}
    )
    samples: dict[Kind, list[Finding]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def add(self, step: Step) -> None:
        """Take in what one step did."""
        self.examined_records += step.examined_records
        self.examined_objects += step.examined_objects
        self.place = step.next
        for finding in step.findings:
            self.counts[finding.kind][finding.outcome] += 1
            if len(self.samples[finding.kind]) < _SAMPLES:
                self.samples[finding.kind].append(finding)

    @property
    def left(self) -> int:
        """How many findings are still to be settled, by another sweep or by hand."""
        return sum(counts[outcome] for counts in self.counts.values() for outcome in LEFT)

    def document(self) -> dict[str, object]:
        """All of it as JSON."""
        return {
            "applied": self.orders.apply,
            "min_age_seconds": int(self.orders.min_age.total_seconds()),
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "complete": self.place is None,
            "resume": None if self.place is None else place_to_text(self.place),
            "error": self.error or None,
            "examined": {"records": self.examined_records, "objects": self.examined_objects},
            "left": self.left,
            "found": {
                kind: {
                    "total": counts.total(),
                    "outcomes": dict(sorted(counts.items())),
                    "samples": [_shown(each) for each in self.samples[kind]],
                }
                for kind, counts in self.counts.items()
            },
        }


async def sweep(
    stores: Stores,
    orders: Orders,
    settled: timedelta,
    *,
    start: Place | None = None,
    now: Clock = lambda: datetime.now(UTC),
    keep_going: Callable[[], bool] = lambda: True,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Sweep from `start` (None: the beginning) to the end, or until `keep_going` says no.

    `settled` is `Settings.abandoned_after` of the services on these stores. A store that cannot
    even be listed ends the sweep where it is: `Report.error` says so.
    """
    settler = Settler(stores, now, settled, orders.apply, orders.remove_broken)
    batch = BATCH if orders.rate is None else min(BATCH, orders.rate)
    scope = Scope(settled, max(settled, orders.min_age), orders.phases, batch)
    place = start or Place(orders.phases[0])
    report = Report(orders, place, timestamps.to_text(now()))
    while report.place is not None and keep_going():
        began = time.monotonic()
        try:
            step = await take_step(settler, scope, report.place)
        except StoreUnavailable as error:
            report.error = f"{error.store}: {error.cause}"
            break
        report.add(step)
        progress(report)
        if orders.rate is not None:
            examined = step.examined_records + step.examined_objects
            await asyncio.sleep(max(0.0, examined / orders.rate - (time.monotonic() - began)))
    report.finished_at = timestamps.to_text(now())
    return report


def _shown(finding: Finding) -> dict[str, str]:
    shown = asdict(finding)
    del shown["kind"]
    return {name: value for name, value in shown.items() if value}
