"""Writes that begin or end a record, together with what its user stores.

A record that was counted says so, and how many bytes it was counted for (`counted`). Every write
here depends on that: so what was added is taken away exactly once, whatever is retried, crashes or
happens beside it, and also after the quota was turned on or off. A write that changes no number is
the one call that it would be without quotas.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from service.errors import StorageQuotaExceeded, StoreUnavailable
from service.model import DELETING, PENDING, Image
from service.storage.clients import error_code, translated
from service.storage.items import Item, counted_bytes, from_item, to_item
from service.storage.recordtable import STORE, RecordTable, key_of
from service.storage.transactions import (
    CONDITION_FAILED,
    TransactionRefused,
    Write,
    transact,
    unhindered,
)
from service.storage.userusage import Change, UserUsage, usage_of

# A record's `counted` changes with each replacement of a claim; each further attempt is one that
# came in between.
_ATTEMPTS = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Target:
    """The record that a write is meant for: by its status and, while it is pending, its bytes."""

    image_id: str
    status: str
    etag: str | None = None

    def is_met_by(self, item: Item | None) -> bool:
        return (
            item is not None
            and item["status"]["S"] == self.status
            and self.etag in (None, item["etag"]["S"])
        )

    def condition(self, counted: int | None) -> dict[str, Any]:
        """That it is still what is in place, and was counted for so many bytes, or not at all."""
        terms = ["#status = :status"]
        values = {":status": {"S": self.status}}
        if self.etag is not None:
            terms.append("etag = :etag")
            values[":etag"] = {"S": self.etag}
        if counted is None:
            terms.append("attribute_not_exists(counted)")
        else:
            terms.append("counted = :counted")
            values[":counted"] = {"N": str(counted)}
        return {
            "ConditionExpression": " AND ".join(terms),
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


@dataclass(frozen=True, slots=True)
class _Held:
    """What a record holds of a user's room; None where it was not counted."""

    user_id: str
    counted: int | None

    def change_to(self, counted: int | None) -> Change:
        """What becomes of the room when the record is counted for so many bytes instead."""
        return Change(
            self.user_id,
            (counted or 0) - (self.counted or 0),
            (counted is not None) - (self.counted is not None),
        )


class _RecordDiffers(Exception):
    """The record in place is not the one that a write was meant for."""

    def __init__(self, told: Item | None) -> None:
        super().__init__()
        self.told = told


class _UsageRefused(Exception):
    """The user has no room for the change."""

    def __init__(self, told: Item | None) -> None:
        super().__init__()
        self.told = told


class CountedWrites:
    """See `ports.ImageRecords` for what each of these does to the record."""

    def __init__(self, table: RecordTable, usage: UserUsage) -> None:
        self._table = table
        self._usage = usage
        self._counting = bool(usage.quota.bytes or usage.quota.images)

    async def check(self) -> None:
        """Return when all that is written to beside the records is there."""
        if self._counting:
            with translated(STORE):
                await self._usage.check()

    async def demand_room(self, user_id: str, size: int) -> None:
        """One read where there is a quota, none where there is none."""
        if self._counting:
            with translated(STORE):
                used = await self._usage.read(user_id)
            if not used.leaves_room(size, self._usage.quota):
                raise StorageQuotaExceeded(size, used, self._usage.quota)

    async def create(self, image: Image) -> Image | None:
        """A new record, and room for it."""
        counted = self._to_count(image)
        record = {
            "Item": to_item(image, counted=counted),
            "ConditionExpression": "attribute_not_exists(image_id)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        change = _Held(image.user_id, None).change_to(counted)
        with translated(STORE):
            try:
                await self._write("Put", record, change)
            except _RecordDiffers as differs:
                item = await self._table.item_behind(differs.told, image.image_id, image.user_id)
                if item is None:
                    # Written by someone else and removed again between our two calls.
                    raise StoreUnavailable(STORE, "the record came and went") from differs
                return from_item(item)
            except _UsageRefused as refused:
                # What is there has its room already: completing it again is no question of room.
                item = await self._table.get(image.image_id)
                if item is None:
                    raise await self._exceeded(image, refused) from refused
                return from_item(item)
        return None

    async def replace_pending(self, pending: Image, image: Image) -> bool:
        """One claim in another's place, and the difference between their rooms."""
        target = _Target(pending.image_id, PENDING, pending.etag)
        counted = self._to_count(image)

        async def write(held: _Held) -> None:
            record = {"Item": to_item(image, counted=counted), **target.condition(held.counted)}
            try:
                await self._write("Put", record, held.change_to(counted))
            except _UsageRefused as refused:
                raise await self._exceeded(image, refused) from refused

        return await self._written(target, self._likely(pending), write)

    async def abandon(self, pending: Image) -> None:
        """A claim that goes, and its room with it."""
        target = _Target(pending.image_id, PENDING, pending.etag)
        await self._delete(target, self._likely(pending))

    async def remove(self, image_id: str, also: Sequence[Write] = ()) -> None:
        """A record whose object is gone, and its room with it; these writes if it was there."""
        # Not counted: what it was counted for, and whose it is, the refusal tells.
        await self._delete(_Target(image_id, DELETING), _Held("", None), also)

    async def _delete(self, target: _Target, likely: _Held, also: Sequence[Write] = ()) -> None:
        async def write(held: _Held) -> None:
            record = {"Key": key_of(target.image_id), **target.condition(held.counted)}
            await self._write("Delete", record, held.change_to(None), also)

        await self._written(target, likely, write)

    async def _written(
        self, target: _Target, likely: _Held, write: Callable[[_Held], Awaitable[None]]
    ) -> bool:
        """Write to a target, whatever it holds; False if it is no longer there."""
        held = likely
        with translated(STORE):
            for _ in range(_ATTEMPTS):
                try:
                    await write(held)
                except _RecordDiffers as differs:
                    item = differs.told or await self._table.get(target.image_id)
                else:
                    return True
                if item is None or not target.is_met_by(item):
                    return False
                held = _Held(item["user_id"]["S"], counted_bytes(item))
        raise StoreUnavailable(STORE, "the record keeps changing")

    async def _write(
        self, kind: str, record: Mapping[str, Any], change: Change, also: Sequence[Write] = ()
    ) -> None:
        """Write a record, change its user's usage with it, and make these writes.

        Raises _RecordDiffers, and _UsageRefused where the usage would grow.
        """
        record = {"TableName": self._table.name, **record}
        usage = [] if change.is_nothing else [self._usage.write(change)]
        if not usage and not also:
            await self._write_alone(kind, record)
            return
        try:
            await transact(self._table.client, [{kind: record}, *usage, *also])
        except TransactionRefused as refused:
            of_record, *others = refused.refusals
            if of_record.failed:
                raise _RecordDiffers(of_record.item) from refused
            if change.grows:
                raise _UsageRefused(others[0].item) from refused
            # Only a hand in the table can have done that, and no deletion may fail because of it.
            _log.error("user %s uses less than their images: nothing released", change.user_id)
            await self._write(kind, record, Change(change.user_id, 0, 0), also)

    async def _write_alone(self, kind: str, record: Mapping[str, Any]) -> None:
        client = self._table.client
        call = client.put_item if kind == "Put" else client.delete_item
        try:
            await unhindered(call, **record)
        except ClientError as error:
            if error_code(error) != CONDITION_FAILED:
                raise
            raise _RecordDiffers(error.response.get("Item")) from error

    def _to_count(self, image: Image) -> int | None:
        return image.file_size if self._counting else None

    def _likely(self, image: Image) -> _Held:
        """What a record holds unless the quota was turned on or off since it was written."""
        return _Held(image.user_id, self._to_count(image))

    async def _exceeded(self, image: Image, refused: _UsageRefused) -> StorageQuotaExceeded:
        told = refused.told
        used = usage_of(told) if told else await self._usage.read(image.user_id)
        return StorageQuotaExceeded(image.file_size, used, self._usage.quota)
