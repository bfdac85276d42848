"""The lists in DynamoDB: pages of an index, read partition by partition. Nothing here scans."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from service.model import Page, Position, Selection
from service.storage.clients import translated
from service.storage.items import TIMELINE_SHARDS, Item, from_item
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
        return await read_page(
            fetches, selection, after, limit, _reading(selection, limit, len(fetches))
        )

    def _partition(self, index: str, hash_name: str, hash_value: Item, tag: str | None) -> Fetch:
        """A reader of one partition of an index."""

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
                answer = await self.client.query(
                    TableName=self.table,
                    IndexName=index,
                    KeyConditionExpression=(
                        f"{hash_name} = :hash AND upload_timestamp BETWEEN :earliest AND :latest"
                    ),
                    ExpressionAttributeValues=values,
                    ScanIndexForward=not descending,
                    Limit=rows,
                    **more,
                )
            last = answer.get("LastEvaluatedKey")
            return Chunk(
                images=[from_item(item) for item in answer["Items"]],
                evaluated=answer["ScannedCount"],
                resume=None if not last else (last["upload_timestamp"]["S"], last),
            )

        return fetch


def _reading(selection: Selection, limit: int, partitions: int) -> Reading:
    """Rows at a time such that most pages need one round of reads.

    Three more than a page's even share: one that tells whether more follow, one of the next
    instant that settles the last, one for the position that the page starts behind.
    """
    budget = None if selection.tag is None else _TAG_READ_BUDGET // partitions
    return Reading(ceil(limit / partitions) + 3, budget)
