"""The lists in DynamoDB: pages of an index, read partition by partition. Nothing here scans."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from service.model import Page, Position, Selection
from service.storage.clients import translated
from service.storage.items import TIMELINE_SHARDS, Item
from service.storage.timeline import Bounds, Chunk, Fetch, Reading, read_page

TIMELINE_INDEX = "TimelineIndex"

_STORE = "DynamoDB"
# A tag filter reads past what does not match. This many rows a page (about 5 MB, a second or two)
# is where a page of a very rare tag ends early instead of reading on.
_TAG_READ_BUDGET = 10_000


@dataclass(frozen=True, slots=True)
class Lists:
    """The two lists over one table: of a user (`user_index`), and of everybody."""

    client: Any
    table: str
    user_index: str

    async def page(self, selection: Selection, after: Position | None, limit: int) -> Page:
        """See `ports.ImageRecords`."""
        fetches: list[Fetch]
        if selection.user_id is not None:
            fetches = [
                self._partition(self.user_index, "user_id", {"S": selection.user_id}, selection.tag)
            ]
        else:
            fetches = [
                self._partition(TIMELINE_INDEX, "timeline_shard", {"N": str(shard)}, selection.tag)
                for shard in range(TIMELINE_SHARDS)
            ]
        reading = _reading(selection, after, limit, len(fetches))
        return await read_page(fetches, selection, after, limit, reading)

    def _partition(self, index: str, hash_name: str, hash_value: Item, tag: str | None) -> Fetch:
        """A reader of one partition of an index."""
        # Of use to lists alone: whoever makes none starts without it.
        from service.storage.rows import read_chunk

        condition = f"{hash_name} = :hash AND upload_timestamp BETWEEN :earliest AND :latest"

        async def fetch(
            bounds: Bounds, descending: bool, rows: int, continuation: object | None
        ) -> Chunk:
            values: Item = {
                ":hash": hash_value,
                ":earliest": {"S": bounds.earliest},
                ":latest": {"S": bounds.latest},
            }
            more: dict[str, Any] = {}
            if tag is not None:
                values[":tag"] = {"S": tag}
                more["FilterExpression"] = "contains(tags, :tag)"
            if continuation is not None:
                more["ExclusiveStartKey"] = continuation
            with translated(_STORE):
                chunk: Chunk = await self.client.query_with(
                    read_chunk,
                    TableName=self.table,
                    IndexName=index,
                    KeyConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ScanIndexForward=not descending,
                    Limit=rows,
                    **more,
                )
            return chunk

        return fetch


def _reading(selection: Selection, after: Position | None, limit: int, partitions: int) -> Reading:
    """Rows at a time such that most pages need one round of reads.

    One more than a page tells whether more follow, and the row that it starts behind comes again.
    Of several partitions each is asked for its share and three, for shares are hardly ever even.
    """
    budget = None if selection.tag is None else _TAG_READ_BUDGET // partitions
    if partitions == 1:
        return Reading(limit + (1 if after is None else 2), budget)
    return Reading(ceil(limit / partitions) + 3, budget)
