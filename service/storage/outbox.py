"""The outbox in DynamoDB: one item for each event, written together with what it tells of.

event_id     S  the table's key
type, occurred_at, payload   S
state        S  waiting, delivered or dead
attempts     N  so far
due_at       S  when to try next; with due_shard (N) there only while an attempt is to be made
last_error   S  why the last attempt failed
replayed_at  S  when somebody asked for it again
expires_at   N  when DynamoDB may remove it, in seconds since 1970; not while it waits

`DueIndex` (due_shard, due_at) holds just what is to be tried. An event bus reads the table's
stream instead, so what goes there never gets a due_at.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.exceptions import ClientError

from service import timestamps
from service.events.event import image_completed, image_deleted
from service.model import Backlog, Delivery, Event, EventState, EventType, Image
from service.ports import Clock
from service.settings import Settings
from service.storage.clients import error_code, translated
from service.storage.items import Item
from service.storage.transactions import CONDITION_FAILED, Write
from service.together import together

DUE_INDEX = "DueIndex"
DUE_SHARDS = 4
"""Each takes 1,000 events a second; each look at what is due asks all of them."""

Destination = Literal["webhook", "eventbridge"]

_STORE = "DynamoDB"
# In each shard. Ten thousand of them fit into a page, but would cost as much as 128 reads.
_COUNTED = 1_000
# Long enough to be asked for again after a weekend, and for somebody to find out why it is dead.
_DELIVERED_KEPT, _DEAD_KEPT = timedelta(days=7), timedelta(days=30)
_STATES: dict[str, EventState] = {
    "waiting": "waiting",
    "delivered": "delivered",
    "dead": "dead",
}
_TYPES: dict[str, EventType] = {
    "image.completed": "image.completed",
    "image.deleted": "image.deleted",
}


def event_item(event: Event, destination: Destination) -> Item:
    """The item of a new event, due at once."""
    item: Item = {
        "event_id": {"S": event.event_id},
        "type": {"S": event.type},
        "occurred_at": {"S": event.occurred_at},
        "payload": {"S": event.payload},
        "state": {"S": "waiting"},
        "attempts": {"N": "0"},
    }
    if destination == "webhook":
        item |= _due(event.occurred_at)
    return item


class Announcements:
    """Makes the writes that keep events, for the transactions of what they tell of."""

    def __init__(self, table: str, destination: Destination, now: Clock) -> None:
        self._table = table
        self._destination = destination
        self._now = now

    def completed(self, image: Image) -> Write:
        """An upload is an image now."""
        return self._kept(image_completed(image))

    def deleted(self, image: Image) -> Write:
        """An image and its bytes are gone."""
        return self._kept(image_deleted(image, timestamps.to_text(self._now())))

    def _kept(self, event: Event) -> Write:
        return {"Put": {"TableName": self._table, "Item": event_item(event, self._destination)}}


def announcements_of(settings: Settings, now: Clock) -> Announcements | None:
    """As the settings have it; None where nobody is told."""
    if settings.events == "off":
        return None
    return Announcements(settings.events_table_name, settings.events, now)


class DynamoDBOutbox:
    """`ports.Outbox` in one table."""

    def __init__(self, client: Any, table: str, destination: Destination) -> None:
        self._client = client
        self._table = table
        self._destination = destination

    async def due(self, now: str, limit: int) -> list[tuple[str, str]]:
        """See `ports.Outbox`."""
        found = await together(self._due_in(shard, now, limit) for shard in range(DUE_SHARDS))
        oldest_first = sorted((due_at, event_id) for part in found for event_id, due_at in part)
        return [(event_id, due_at) for due_at, event_id in oldest_first[:limit]]

    async def claim(self, event_id: str, due_at: str, until: str) -> Delivery | None:
        """See `ports.Outbox`."""
        item = await self._update(
            event_id,
            "SET due_at = :until ADD attempts :one",
            "due_at = :seen",
            {":until": {"S": until}, ":one": {"N": "1"}, ":seen": {"S": due_at}},
        )
        return None if item is None else delivery_of(item)

    async def delivered(self, event_id: str, lease: str, at: str) -> None:
        """See `ports.Outbox`."""
        await self._update(
            event_id,
            "SET #state = :state, expires_at = :expiry REMOVE due_at, due_shard, last_error",
            "due_at = :lease" if self._destination == "webhook" else "attribute_exists(event_id)",
            {
                ":state": {"S": "delivered"},
                ":expiry": _expiry(at, _DELIVERED_KEPT),
                **({":lease": {"S": lease}} if self._destination == "webhook" else {}),
            },
        )

    async def failed(self, event_id: str, lease: str, due_at: str | None, reason: str) -> None:
        """See `ports.Outbox`."""
        values: Item = {":lease": {"S": lease}, ":reason": {"S": reason}}
        if due_at is not None:
            await self._update(
                event_id,
                "SET due_at = :due, last_error = :reason",
                "due_at = :lease",
                {**values, ":due": {"S": due_at}},
            )
            return
        await self._update(
            event_id,
            "SET #state = :state, expires_at = :expiry, last_error = :reason "
            "REMOVE due_at, due_shard",
            "due_at = :lease",
            {**values, ":state": {"S": "dead"}, ":expiry": _expiry(lease, _DEAD_KEPT)},
        )

    async def backlog(self) -> Backlog:
        """See `ports.Outbox`."""
        parts = await together(self._backlog_in(shard) for shard in range(DUE_SHARDS))
        due = [part.first_due_at for part in parts if part.first_due_at is not None]
        return Backlog(sum(part.waiting for part in parts), min(due, default=None))

    async def find(self, event_id: str) -> Delivery | None:
        """See `ports.Outbox`."""
        with translated(_STORE):
            answer = await self._client.get_item(
                TableName=self._table, Key=_key(event_id), ConsistentRead=True
            )
        item: Item | None = answer.get("Item")
        return None if item is None else delivery_of(item)

    async def list_all(self, state: EventState | None) -> AsyncIterator[Delivery]:
        """See `ports.Outbox`."""
        wanted: dict[str, Any] = {}
        if state is not None:
            wanted = {
                "FilterExpression": "#state = :state",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {":state": {"S": state}},
            }
        start: dict[str, Any] = {}
        while True:
            with translated(_STORE):
                answer = await self._client.scan(
                    TableName=self._table, ConsistentRead=True, **wanted, **start
                )
            for item in answer["Items"]:
                yield delivery_of(item)
            if not answer.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def replay(self, event_id: str, now: str) -> bool:
        """See `ports.Outbox`."""
        due, values = "", {":now": {"S": now}}
        if self._destination == "webhook":
            due = ", due_at = :now, due_shard = :shard"
            values[":shard"] = _due(now)["due_shard"]
        item = await self._update(
            event_id,
            f"SET #state = :state, attempts = :none, replayed_at = :now{due} "
            "REMOVE expires_at, last_error",
            "attribute_exists(event_id)",
            {**values, ":state": {"S": "waiting"}, ":none": {"N": "0"}},
        )
        return item is not None

    async def _backlog_in(self, shard: int) -> Backlog:
        with translated(_STORE):
            answer = await self._client.query(
                TableName=self._table,
                IndexName=DUE_INDEX,
                KeyConditionExpression="due_shard = :shard",
                ExpressionAttributeValues={":shard": {"N": str(shard)}},
                Select="COUNT",
                Limit=_COUNTED,
            )
        waiting: int = answer["Count"]
        first = await self._due_in(shard, timestamps.LATEST, 1) if waiting else []
        return Backlog(waiting, first[0][1] if first else None)

    async def _due_in(self, shard: int, now: str, limit: int) -> list[tuple[str, str]]:
        with translated(_STORE):
            answer = await self._client.query(
                TableName=self._table,
                IndexName=DUE_INDEX,
                KeyConditionExpression="due_shard = :shard AND due_at <= :now",
                ExpressionAttributeValues={":shard": {"N": str(shard)}, ":now": {"S": now}},
                Limit=limit,
            )
        return [(item["event_id"]["S"], item["due_at"]["S"]) for item in answer["Items"]]

    async def _update(
        self, event_id: str, update: str, condition: str, values: Item
    ) -> Item | None:
        """The item as it now is; None where the condition did not hold."""
        names = {"#state": "state"} if "#state" in update else None
        with translated(_STORE):
            try:
                answer = await self._client.update_item(
                    TableName=self._table,
                    Key=_key(event_id),
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                    **({"ExpressionAttributeNames": names} if names else {}),
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                return None
        item: Item = answer["Attributes"]
        return item


def delivery_of(item: Item) -> Delivery:
    """The event of an item, as far as it got."""
    return Delivery(
        event=Event(
            event_id=item["event_id"]["S"],
            type=_TYPES[item["type"]["S"]],
            occurred_at=item["occurred_at"]["S"],
            payload=item["payload"]["S"],
        ),
        attempts=int(item["attempts"]["N"]),
        due_at=item.get("due_at", {}).get("S"),
        state=_STATES[item["state"]["S"]],
        last_error=item.get("last_error", {}).get("S"),
    )


def _key(event_id: str) -> Item:
    return {"event_id": {"S": event_id}}


def _due(at: str) -> Item:
    return {"due_at": {"S": at}, "due_shard": {"N": str(random.randrange(DUE_SHARDS))}}


def _expiry(since: str, kept: timedelta) -> dict[str, str]:
    moment = datetime.fromisoformat(since) + kept
    return {"N": str(int(moment.timestamp()))}
