"""The records in DynamoDB. Every list is a Query; nothing here scans."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    NO_QUOTA,
    PENDING,
    Edit,
    Image,
    Page,
    Position,
    Revision,
    Selection,
    StorageQuota,
)
from service.settings import Settings
from service.storage.clients import error_code, translated
from service.storage.countedwrites import CountedWrites
from service.storage.graves import is_grave
from service.storage.items import Item, from_item, tags_value, timeline_shard
from service.storage.lists import Lists
from service.storage.outbox import Announcements
from service.storage.recordtable import STORE, RecordTable, key_of
from service.storage.transactions import (
    CONDITION_FAILED,
    TransactionRefused,
    transact,
    unhindered,
)
from service.storage.userusage import UserUsage

DELETING_INDEX = "DeletingIndex"

_BATCH_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Names:
    """The table, its index of a user's images, and the table of what users store."""

    table: str
    user_index: str
    usage_table: str


def names_of(settings: Settings) -> Names:
    """The names in the settings."""
    return Names(
        settings.dynamodb_table_name, settings.dynamodb_gsi_name, settings.usage_table_name
    )


class DynamoDBImageRecords:
    """`ports.ImageRecords` in one table, and in another what they take."""

    def __init__(
        self,
        client: Any,
        names: Names,
        quota: StorageQuota = NO_QUOTA,
        announcements: Announcements | None = None,
    ) -> None:
        """With `announcements`, publishing and removing a record keep an event of it."""
        self._client = client
        self._names = names
        self._table = RecordTable(client, names.table)
        self._lists = Lists(client, names.table, names.user_index)
        self._announcements = announcements
        self._counted = CountedWrites(self._table, UserUsage(client, names.usage_table, quota))

    async def demand_room(self, user_id: str, size: int) -> None:
        """See `ports.ImageRecords`."""
        await self._counted.demand_room(user_id, size)

    async def create(self, image: Image) -> Image | None:
        """See `ports.ImageRecords`."""
        return await self._counted.create(image)

    async def replace_pending(self, pending: Image, image: Image) -> bool:
        """See `ports.ImageRecords`."""
        return await self._counted.replace_pending(pending, image)

    async def publish(self, pending: Image, upload_timestamp: str) -> Image | None:
        """See `ports.ImageRecords`."""
        image = replace(pending, status=COMPLETED, upload_timestamp=upload_timestamp)
        update = {
            "TableName": self._names.table,
            "Key": key_of(pending.image_id),
            "UpdateExpression": (
                "SET #status = :completed, upload_timestamp = :instant, "
                "timeline_shard = :shard REMOVE claimed_at"
            ),
            "ConditionExpression": "#status = :pending AND etag = :etag",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {
                ":pending": {"S": PENDING},
                ":etag": {"S": pending.etag},
                ":completed": {"S": COMPLETED},
                ":instant": {"S": upload_timestamp},
                ":shard": {"N": str(timeline_shard(pending.image_id))},
            },
        }
        with translated(STORE):
            try:
                if self._announcements is None:
                    await unhindered(lambda: self._client.update_item(**update))
                else:
                    told = self._announcements.completed(image)
                    await transact(self._client, [{"Update": update}, told])
            except TransactionRefused:
                return None
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                return None
        return image

    async def abandon(self, pending: Image) -> None:
        """See `ports.ImageRecords`."""
        await self._counted.abandon(pending)

    async def find(self, image_id: str) -> Image | None:
        """See `ports.ImageRecords`."""
        with translated(STORE):
            item = await self._table.get(image_id)
        return None if item is None else from_item(item)

    async def find_many(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """See `ports.ImageRecords`."""
        table = self._names.table
        found: dict[str, Image] = {}
        keys = [key_of(image_id) for image_id in dict.fromkeys(image_ids)]
        asked = {table: {"Keys": keys, "ConsistentRead": True}} if keys else {}
        for attempt in range(_BATCH_ATTEMPTS):
            if not asked:
                return found
            if attempt:
                # Full jitter, as AWS asks of whoever gets keys back unprocessed.
                await asyncio.sleep(random.uniform(0, 0.05 * 2**attempt))
            with translated(STORE):
                answer = await self._client.batch_get_item(RequestItems=asked)
            for item in answer["Responses"].get(table, []):
                image = from_item(item)
                found[image.image_id] = image
            asked = answer.get("UnprocessedKeys") or {}
        if asked:
            raise StoreUnavailable(STORE, "BatchGetItem left keys unprocessed")
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
        # A first try can arrive and its answer not: this tells our own edit from another's.
        mark = {"S": uuid.uuid4().hex}
        condition = (
            "user_id = :user AND #status = :completed "
            "AND (attribute_not_exists(edit_mark) OR edit_mark <> :mark)"
        )
        values: Item = {
            ":user": {"S": user_id},
            ":completed": {"S": COMPLETED},
            ":one": {"N": "1"},
            ":mark": mark,
        }
        names = {"#status": "status"}
        sets, removes = ["revision = revision + :one", "edit_mark = :mark"], []
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
        with translated(STORE):
            try:
                answer = await unhindered(
                    self._client.update_item,
                    TableName=self._names.table,
                    Key=key_of(image_id),
                    UpdateExpression=_update(sets, removes),
                    ConditionExpression=condition,
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                item = await self._table.item_in_place(error, image_id, user_id)
                if item is not None and item.get("edit_mark") == mark:
                    return from_item(item)
                _refuse_others(None if item is None else from_item(item), user_id)
                raise RevisionMismatch from error
        return from_item(answer["Attributes"])

    async def mark_deleting(self, image_id: str, user_id: str, since: str) -> Image:
        """See `ports.ImageRecords`."""
        # A first try can arrive and its answer not: this tells our own mark from another's.
        mark = {"S": uuid.uuid4().hex}
        with translated(STORE):
            try:
                answer = await unhindered(
                    self._client.update_item,
                    TableName=self._names.table,
                    Key=key_of(image_id),
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
                item = await self._table.item_in_place(error, image_id, user_id)
                if item is not None and item.get("deleting_mark") == mark:
                    return from_item(item)
                _refuse_others(None if item is None else from_item(item), user_id)
                # Completed anew between our two calls: what this call meant to delete is gone.
                raise ImageMissing from error
        return from_item(answer["Attributes"])

    async def take_over(self, image_id: str, before: str, since: str) -> Image | None:
        """See `ports.ImageRecords`."""
        mark = {"S": uuid.uuid4().hex}
        with translated(STORE):
            try:
                answer = await unhindered(
                    self._client.update_item,
                    TableName=self._names.table,
                    Key=key_of(image_id),
                    UpdateExpression="SET deleting_since = :since, deleting_mark = :mark",
                    ConditionExpression="#status = :deleting AND deleting_since < :before",
                    ExpressionAttributeNames={"#status": "status"},
                    ExpressionAttributeValues={
                        ":deleting": {"S": DELETING},
                        ":before": {"S": before},
                        ":since": {"S": since},
                        ":mark": mark,
                    },
                    ReturnValues="ALL_NEW",
                )
            except ClientError as error:
                if error_code(error) != CONDITION_FAILED:
                    raise
                # A first try can have arrived and its answer not.
                item = await self._table.get(image_id)
                ours = item is not None and item.get("deleting_mark") == mark
                return from_item(item) if item is not None and ours else None
        return from_item(answer["Attributes"])

    async def remove(self, image_id: str) -> None:
        """See `ports.ImageRecords`."""
        if self._announcements is None:
            await self._counted.remove(image_id)
            return
        # What is told of it is what it was, and nothing is told of what never was an image.
        image = await self.find(image_id)
        if image is not None and image.status == DELETING:
            told = () if is_grave(image) else (self._announcements.deleted(image),)
            await self._counted.remove(image_id, told)

    async def page(self, selection: Selection, after: Position | None, limit: int) -> Page:
        """See `ports.ImageRecords`."""
        return await self._lists.page(selection, after, limit)

    async def check(self) -> None:
        """See `ports.ImageRecords`."""
        with translated(STORE):
            await self._client.describe_table(TableName=self._names.table)
        await self._counted.check()


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
