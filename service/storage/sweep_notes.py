"""What one scheduled sweep tells the next: an item of its own in the table of usage.

counter     S  sweep#note
started_at  S
place       S  only where it has not come to its end
"""

from __future__ import annotations

from typing import Any

from service.model import SweepNote
from service.storage.clients import translated
from service.storage.items import Item

NOTE = "sweep#note"


class DynamoDBSweepNotes:
    """`ports.SweepNotes` in the table that counts what is used."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    async def read(self) -> SweepNote | None:
        """See `ports.SweepNotes`."""
        with translated("DynamoDB"):
            answer = await self._client.get_item(
                TableName=self._table, Key={"counter": {"S": NOTE}}, ConsistentRead=True
            )
        item: Item = answer.get("Item") or {}
        if "started_at" not in item:
            return None
        return SweepNote(item["started_at"]["S"], item.get("place", {}).get("S"))

    async def write(self, note: SweepNote) -> None:
        """See `ports.SweepNotes`."""
        item: Item = {"counter": {"S": NOTE}, "started_at": {"S": note.started_at}}
        if note.place is not None:
            item["place"] = {"S": note.place}
        with translated("DynamoDB"):
            await self._client.put_item(TableName=self._table, Item=item)
