"""The scheduled sweep: as much of it as one invocation has time for.

Its event may say after how many days a full sweep begins anew: `{"full_every_days": 7}`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from lambda_bridge.observation import NAMESPACE, SERVICE, logger
from service.events.waiting import tell_what_waits
from service.scheduled_sweep import run_scheduled
from service.settings import Settings, load_settings
from service.storage.clients import open_clients
from service.storage.outbox import DynamoDBOutbox
from service.storage.sweep_notes import DynamoDBSweepNotes
from service.storage.sweeping import stores_of
from service.sweeper import KINDS, Report

DEFAULT_DAYS = 7
# For the step under way, should a store be slow, and for the note of where to go on.
_RESERVE_MILLISECONDS = 60_000


class SweepStopped(Exception):
    """A store could not be read; the next run goes on from where this one stopped."""


@logger.inject_lambda_context
def run(event: Mapping[str, Any], context: Any) -> dict[str, object]:
    """Sweep while there is time; answers and logs what was done. Raises SweepStopped.

    Whoever watches the function's errors sees a sweep that does not get on.
    """
    given = event.get("full_every_days") if isinstance(event, Mapping) else None
    days = given if isinstance(given, int) else DEFAULT_DAYS

    def keep_going() -> bool:
        remaining: int = context.get_remaining_time_in_millis()
        return remaining > _RESERVE_MILLISECONDS

    settings = load_settings(os.environ)
    reports = asyncio.run(_sweep(settings, timedelta(days=days), keep_going))
    documents = [report.document() for report in reports]
    _count(reports)
    logger.info("sweep", extra={"reports": documents})
    if errors := [report.error for report in reports if report.error]:
        raise SweepStopped("; ".join(errors))
    return {"reports": documents}


async def _sweep(
    settings: Settings, full_every: timedelta, keep_going: Callable[[], bool]
) -> list[Report]:
    async with open_clients(settings, os.environ) as clients:
        if settings.events == "webhook":
            outbox = DynamoDBOutbox(clients.dynamodb, settings.events_table_name, "webhook")
            await tell_what_waits(outbox, _measure_waiting, _now)
        return await run_scheduled(
            stores_of(settings, clients),
            DynamoDBSweepNotes(clients.dynamodb, settings.usage_table_name),
            settings.abandoned_after,
            full_every,
            now=_now,
            keep_going=keep_going,
        )


def _measure_waiting(number: int, overdue_seconds: float) -> None:
    """By the names of the standalone server, which is who sends events."""
    _measure("mont_events_waiting", MetricUnit.Count, number)
    _measure("mont_events_overdue_seconds", MetricUnit.Seconds, overdue_seconds)


def _now() -> datetime:
    return datetime.now(UTC)


def _count(reports: list[Report]) -> None:
    """One metric for each kind, also of none: an alarm needs the zeros, too."""
    for kind in KINDS:
        number = sum(report.counts[kind].total() for report in reports)
        _measure("mont_swept_total", MetricUnit.Count, number, kind=kind)


def _measure(name: str, unit: MetricUnit, value: float, /, **dimensions: str) -> None:
    with single_metric(name=name, unit=unit, value=value, namespace=NAMESPACE) as metric:
        for dimension, its_value in {"service": SERVICE, **dimensions}.items():
            metric.add_dimension(dimension, its_value)
