"""Takes events from the stream of their table to AWS's event bus.

What was not taken is reported as the batch's failure, so that the stream hands it out again from
there on; what was is marked in the table as delivered. At least once, in the order of the stream
for as long as nothing fails.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lambda_bridge.observation import logger
from service import timestamps
from service.errors import StoreUnavailable
from service.model import Event
from service.settings import Settings, load_settings
from service.storage.clients import open_clients
from service.storage.event_bus import open_event_bus
from service.storage.outbox import DynamoDBOutbox, delivery_of

_BUS = "EVENT_BUS_NAME"


@dataclass(frozen=True, slots=True)
class _Told:
    """One event of the stream, and where it stands there."""

    sequence: str
    event: Event


@logger.inject_lambda_context
def run(batch: Mapping[str, Any], context: Any) -> dict[str, object]:
    """Put a batch of the stream onto the bus; tells Lambda where to begin anew."""
    told = told_by(batch.get("Records", []))
    failed = asyncio.run(_pass_on(load_settings(os.environ), told)) if told else None
    return {"batchItemFailures": [] if failed is None else [{"itemIdentifier": failed}]}


def told_by(records: Sequence[Mapping[str, Any]]) -> list[_Told]:
    """The events that are new, or were asked for again; all other changes are bookkeeping."""
    told = []
    for record in records:
        change = record["dynamodb"]
        now, before = change.get("NewImage"), change.get("OldImage") or {}
        is_new = record["eventName"] == "INSERT"
        if now and (is_new or now.get("replayed_at") != before.get("replayed_at")):
            told.append(_Told(change["SequenceNumber"], delivery_of(now).event))
    return told


async def _pass_on(settings: Settings, told: Sequence[_Told]) -> str | None:
    """Pass these on; where the first stands that was not taken, if any."""
    try:
        async with (
            open_clients(settings, os.environ) as clients,
            open_event_bus(settings, os.environ, os.environ.get(_BUS) or "default") as bus,
        ):
            outcomes = await bus.put([each.event for each in told])
            outbox = DynamoDBOutbox(clients.dynamodb, settings.events_table_name, "eventbridge")
            now = timestamps.to_text(datetime.now(UTC))
            for each, refusal in zip(told, outcomes, strict=True):
                if refusal is not None:
                    logger.error("event %s was not taken: %s", each.event.event_id, refusal)
                    return each.sequence
                await outbox.delivered(each.event.event_id, "", now)
    except StoreUnavailable as error:
        logger.error("%s unavailable: %s", error.store, error.cause)
        return told[0].sequence
    return None
