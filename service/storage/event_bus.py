"""AWS's event bus (EventBridge), as far as events are put onto it.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from service.model import Event
from service.settings import Settings
from service.storage.calls import Call, Caller
from service.storage.clients import open_caller, translated
from service.storage.dynamodb_client import read_answer
from service.storage.places import Place

_MOST_AT_ONCE = 10
_SOURCE = "mont"


class EventBus:
    """One bus. Rules tell our events by `source` (mont) and `detail-type` (image.completed)."""

    def __init__(self, caller: Caller, name: str) -> None:
        self._caller = caller
        self._name = name

    async def put(self, events: Sequence[Event]) -> list[str | None]:
        """Put these onto the bus; for each, in order, None or why it was not taken.

        Raises StoreUnavailable.
        """
        outcomes: list[str | None] = []
        for start in range(0, len(events), _MOST_AT_ONCE):
            outcomes += await self._put(events[start : start + _MOST_AT_ONCE])
        return outcomes

    async def _put(self, events: Sequence[Event]) -> list[str | None]:
        body = orjson.dumps({"Entries": [self._entry(event) for event in events]})
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "AWSEvents.PutEvents",
        }
        digest = hashlib.sha256(body).hexdigest()
        with translated("EventBridge"):
            answer = await self._caller.make(
                Call("PutEvents", "POST", "/", "", headers, body, digest, read_answer)
            )
        return [entry.get("ErrorCode") for entry in answer["Entries"]]

    def _entry(self, event: Event) -> dict[str, Any]:
        # The id lets receivers tell an event that came twice, as `webhook-id` does elsewhere.
        detail = {"event_id": event.event_id, **orjson.loads(event.payload)}
        return {
            "EventBusName": self._name,
            "Source": _SOURCE,
            "DetailType": event.type,
            "Detail": orjson.dumps(detail).decode(),
        }


@asynccontextmanager
async def open_event_bus(
    settings: Settings, environment: Mapping[str, str], name: str
) -> AsyncIterator[EventBus]:
    """The bus of this name in the region and at the endpoint in the settings."""
    region, endpoint = settings.aws_region, settings.aws_endpoint_url
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    place = Place(endpoint or f"https://events.{region}.{suffix}", region, "events")
    async with open_caller(settings, environment, "EventBridge", place) as caller:
        yield EventBus(caller, name)
