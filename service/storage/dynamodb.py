"""The records in DynamoDB. Every list is a Query; nothing here scans."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from botocore.exceptions import ClientError

from service.errors import (
    DeletionPending,
    ImageMissing,
    NotOwner,
    RevisionMismatch,
    StoreUnavailable,
)
from service.model import (
    COMPLETED,
    DELETING,
    KEEP,
    PENDING,
    Edit,
    Image,
    Page,
    Position,
    Revision,
    Selection,
)
from service.storage.clients import error_code, translated
from service.storage.items import (
    TIMELINE_SHARDS,
    Item,
    from_item,
    tags_value,
    timeline_shard,
    to_item,
)
from service.storage.timeline import Bounds, Chunk, Fetch, Reading, read_page

TIMELINE_INDEX = "TimelineIndex"
DELETING_INDEX = "DeletingIndex"

_STORE = "DynamoDB"
_CONDITION_FAILED = "ConditionalCheckFailedException"
# A tag filter reads past what does not match. This many rows a page (about 5 MB, a second or two)
# is where a page of a very rare tag ends early instead of reading on.
_TAG_READ_BUDGET = 10_000
_BATCH_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Names:
    """The table and its index of a user's images."""

    table: str
    user_index: str


class DynamoDBImageRecords:
    """`ports.ImageRecords` in one table."""

    def __init__(self, client: Any, names: Names) -> None:
        self._client = client
        self._names = names

    async def create(self, image: Image) -> Image | None:
        """See `ports.ImageRecords`."""
        with translated(_STORE):
            try:
                await self._client.put_item(
                    TableName=self._names.table,
                    Item=to_item(image),
                    ConditionExpression="attribute_not_exists(image_id)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                item = await self._item_in_place(error, image.image_id, image.user_id)
                if item is None:
                    # Written by someone else and removed again between our two calls.
                    raise StoreUnavailable(_STORE, "the record came and went") from error
                return from_item(item)
        return None

    async def replace_pending(self, pending: Image, image: Image) -> bool:
        """See `ports.ImageRecords`."""
        return await self._if_in_place(self._client.put_item, pending, Item=to_item(image))

    async def publish(self, pending: Image, upload_timestamp: str) -> Image | None:
        """See `ports.ImageRecords`."""
        published = await self._if_in_place(
            self._client.update_item,
            pending,
            {
                ":completed": {"S": COMPLETED},
                ":instant": {"S": upload_timestamp},
                ":shard": {"N": str(timeline_shard(pending.image_id))},
            },
            Key=_key(pending.image_id),
            UpdateExpression=(
                "SET #status = :completed, upload_timestamp = :instant, timeline_shard = :shard "
                "REMOVE claimed_at"
            ),
        )
        if not published:
            return None
        return replace(pending, status=COMPLETED, upload_timestamp=upload_timestamp)

    async def abandon(self, pending: Image) -> None:
        """See `ports.ImageRecords`."""
        await self._if_in_place(self._client.delete_item, pending, Key=_key(pending.image_id))

    async def find(self, image_id: str) -> Image | None:
        """See `ports.ImageRecords`."""
        with translated(_STORE):
            item = await self._get(image_id)
        return None if item is None else from_item(item)

    async def find_many(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """See `ports.ImageRecords`."""
        table = self._names.table
        found: dict[str, Image] = {}
        keys = [_key(image_id) for image_id in dict.fromkeys(image_ids)]
        asked = {table: {"Keys": keys, "ConsistentRead": True}} if keys else {}
        for attempt in range(_BATCH_ATTEMPTS):
            if not asked:
                return found
            if attempt:
                # Full jitter, as AWS asks of whoever gets keys back unprocessed.
                await asyncio.sleep(random.uniform(0, 0.05 * 2**attempt))
            with translated(_STORE):
                answer = await self._client.batch_get_item(RequestItems=asked)
            for item in answer["Responses"].get(table, []):
                image = from_item(item)
                found[image.image_id] = image
            asked = answer.get("UnprocessedKeys") or {}
        if asked:
            raise StoreUnavailable(_STORE, "BatchGetItem left keys unprocessed")
        return found

    async def edit(
        self,
        image_id: str,
        user_id: str,
        edit: Edit,
        *,
        revisions: tuple[Revision, ...] | None,
    ) -> Image:
        """See `ports.ImageRecords`."""
        condition = "user_id = :user AND #status = :completed"
        values: Item = {
            ":user": {"S": user_id},
            ":completed": {"S": COMPLETED},
            ":one": {"N": "1"},
        }
        names = {"#status": "status"}
        sets, removes = ["revision = revision + :one"], []
        if edit.tags is not KEEP:
            sets.append("tags = :tags")
            values[":tags"] = tags_value(edit.tags)
        if edit.description is None:
            removes.append("description")
        elif edit.description is not KEEP:
            sets.append("description = :description")
            values[":description"] = {"S": edit.description}
        if revisions is not None:
            states = []
            for index, each in enumerate(revisions):
                states.append(f"revision = :r{index} AND upload_timestamp = :i{index}")
                values[f":r{index}"] = {"N": str(each.number)}
                values[f":i{index}"] = {"S": each.upload_timestamp}
            condition += f" AND ({' OR '.join(states)})"
        with translated(_STORE):
            try:
                answer = await self._client.update_item(
                    TableName=self._names.table,
                    Key=_key(image_id),
                    UpdateExpression=_update(sets, removes),
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                item = await self._item_in_place(error, image_id, user_id)
                _refuse_others(None if item is None else from_item(item), user_id)
                raise RevisionMismatch from error
        return from_item(answer["Attributes"])

    async def mark_deleting(self, image_id: str, user_id: str, since: str) -> Image:
        """See `ports.ImageRecords`."""
        # A first try can arrive and its answer not: this tells our own mark from another's.
        mark = {"S": uuid.uuid4().hex}
        with translated(_STORE):
            try:
                answer = await self._client.update_item(
                    TableName=self._names.table,
                    Key=_key(image_id),
                    UpdateExpression=(
                        "SET #status = :deleting, deleting_since = :since, deleting_mark = :mark, "
                        "deleting_shard = :shard, completed_at = upload_timestamp "
                        "REMOVE upload_timestamp, timeline_shard"
                    ),
                    ConditionExpression="user_id = :user AND #status = :completed",
                    ExpressionAttributeNames={"#status": "status"},
                    ExpressionAttributeValues={
                        ":user": {"S": user_id},
                        ":completed": {"S": COMPLETED},
                        ":deleting": {"S": DELETING},
                        ":since": {"S": since},
                        ":mark": mark,
                        ":shard": {"N": str(timeline_shard(image_id))},
                    },
                    ReturnValues="ALL_OLD",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                item = await self._item_in_place(error, image_id, user_id)
                if item is not None and item.get("deleting_mark") == mark:
                    return from_item(item)
                _refuse_others(None if item is None else from_item(item), user_id)
                # Completed anew between our two calls: what this call meant to delete is gone.
                raise ImageMissing from error
        return from_item(answer["Attributes"])

    async def remove(self, image_id: str) -> None:
        """See `ports.ImageRecords`."""
        with translated(_STORE):
            try:
                await self._client.delete_item(
                    TableName=self._names.table,
                    Key=_key(image_id),
                    ConditionExpression="#status = :deleting",
                    ExpressionAttributeNames={"#status": "status"},
                    ExpressionAttributeValues={":deleting": {"S": DELETING}},
                )
            except ClientError as error:
                if error_code(error) != _CONDITION_FAILED:
                    raise

    async def page(self, selection: Selection, after: Position | None, limit: int) -> Page:
        """See `ports.ImageRecords`."""
        fetches: list[Fetch]
        if selection.user_id is not None:
            fetches = [
                self._partition(
                    self._names.user_index, "user_id", {"S": selection.user_id}, selection.tag
                )
            ]
        else:
            fetches = [
                self._partition(TIMELINE_INDEX, "timeline_shard", {"N": str(shard)}, selection.tag)
                for shard in range(TIMELINE_SHARDS)
            ]
        return await read_page(
            fetches, selection, after, limit, _reading(selection, limit, len(fetches))
        )

    async def check(self) -> None:
        """See `ports.ImageRecords`."""
        with translated(_STORE):
            await self._client.describe_table(TableName=self._names.table)

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
                answer = await self._client.query(
                    TableName=self._names.table,
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

    async def _if_in_place(
        self,
        write: Callable[..., Awaitable[Any]],
        pending: Image,
        values: Item | None = None,
        **arguments: Any,
    ) -> bool:
        """Write if this pending record is what is there; whether it was."""
        with translated(_STORE):
            try:
                await write(
                    TableName=self._names.table,
                    ConditionExpression="#status = :pending AND etag = :etag",
                    ExpressionAttributeNames={"#status": "status"},
                    ExpressionAttributeValues={
                        ":pending": {"S": PENDING},
                        ":etag": {"S": pending.etag},
                        **(values or {}),
                    },
                    **arguments,
                )
            except ClientError as error:
                if error_code(error) != _CONDITION_FAILED:
                    raise
                return False
        return True

    async def _item_in_place(self, error: ClientError, image_id: str, user_id: str) -> Item | None:
        """The item that made a condition fail. Any other error is raised on."""
        if error_code(error) != _CONDITION_FAILED:
            raise error
        sent_along: Item | None = error.response.get("Item")
        if sent_along and sent_along["user_id"]["S"] == user_id:
            return sent_along
        # Older emulators leave it out, and so does DynamoDB when there was no item at all. Somebody
        # else's is looked up too: an answer that came a call sooner would tell that it exists.
        looked_up = await self._get(image_id)
        return sent_along or looked_up

    async def _get(self, image_id: str) -> Item | None:
        answer = await self._client.get_item(
            TableName=self._names.table, Key=_key(image_id), ConsistentRead=True
        )
        item: Item | None = answer.get("Item")
        return item


def _key(image_id: str) -> Item:
    return {"image_id": {"S": image_id}}


def _update(sets: list[str], removes: list[str]) -> str:
    return f"SET {', '.join(sets)}" + (f" REMOVE {', '.join(removes)}" if removes else "")


def _refuse_others(image: Image | None, user_id: str) -> None:
    """Raise what is wrong when a condition on owner and status has failed."""
    if image is None or image.status == PENDING:
        raise ImageMissing
    if image.status == DELETING:
        # To anyone but its owner it is gone already.
        raise DeletionPending(image) if image.user_id == user_id else ImageMissing
    if image.user_id != user_id:
        raise NotOwner


def _reading(selection: Selection, limit: int, partitions: int) -> Reading:
    """Rows at a time such that most pages need one round of reads.

    Three more than a page's even share: one that tells whether more follow, one of the next
    instant that settles the last, one for the position that the page starts behind.
    """
    budget = None if selection.tag is None else _TAG_READ_BUDGET // partitions
    return Reading(ceil(limit / partitions) + 3, budget)
