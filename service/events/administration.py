"""mont events: the outbox from the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import orjson

from service import timestamps
from service.model import Delivery, EventState
from service.ports import Outbox
from service.settings import Settings
from service.storage.clients import open_admin_clients
from service.storage.outbox import Destination, DynamoDBOutbox

_STATES: dict[str, EventState] = {
    "waiting": "waiting",
    "delivered": "delivered",
    "dead": "dead",
}


async def list_events(settings: Settings, state: str | None, say: Callable[[str], None]) -> None:
    """Tell of each event in this state (None: any), as it is read. Raises StoreUnavailable."""
    async with _open_outbox(settings) as outbox:
        async for delivery in outbox.list_all(None if state is None else _STATES[state]):
            say(orjson.dumps(_document(delivery)).decode())


async def replay(settings: Settings, event_ids: Sequence[str]) -> list[str]:
    """Have these delivered again; gives those that are not there. Raises StoreUnavailable."""
    now = timestamps.to_text(datetime.now(UTC))
    async with _open_outbox(settings) as outbox:
        return [each for each in event_ids if not await outbox.replay(each, now)]


async def replay_all(settings: Settings, *, dead: bool, since: str | None) -> int:
    """Have all of a kind delivered again: the dead, or what happened since. How many they were.

    What waits for a webhook is left alone: it is delivered anyway. Raises StoreUnavailable.
    """
    now = timestamps.to_text(datetime.now(UTC))
    number = 0
    async with _open_outbox(settings) as outbox:
        async for delivery in outbox.list_all("dead" if dead else None):
            over = delivery.state != "waiting" or settings.events == "eventbridge"
            if over and (since is None or delivery.event.occurred_at >= since):
                number += await outbox.replay(delivery.event.event_id, now)
    return number


@asynccontextmanager
async def _open_outbox(settings: Settings) -> AsyncIterator[Outbox]:
    # Off now, there may be events from before; whoever replays them turns a receiver on again.
    destination: Destination = "webhook" if settings.events == "off" else settings.events
    async with open_admin_clients(settings) as clients:
        yield DynamoDBOutbox(clients.dynamodb, settings.events_table_name, destination)


def _document(delivery: Delivery) -> dict[str, object]:
    event = delivery.event
    return {
        "event_id": event.event_id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "due_at": delivery.due_at,
        "last_error": delivery.last_error,
        "payload": orjson.loads(event.payload),
    }
