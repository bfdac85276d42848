"""How much each user stores, in the table of usage: one item for each user, two numbers.

counter      S   the table's key: storage#USER_ID
used_bytes   N   of all images that were counted
used_images  N   their number

Whatever changes a number does it together with the record that it counts, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.model import StorageQuota, Usage
from service.storage.items import Item
from service.storage.transactions import Write


@dataclass(frozen=True, slots=True)
class Change:
    """What a write adds to a user's usage; below zero it takes away."""

    user_id: str
    bytes: int
    images: int

    @property
    def is_nothing(self) -> bool:
        """Whether the usage stays as it is."""
        return not (self.bytes or self.images)

    @property
    def grows(self) -> bool:
        """Whether more is used than before, which the quota may refuse."""
        return self.bytes > 0 or self.images > 0


class UserUsage:
    """The users' numbers, and the quota that they are held to."""

    def __init__(self, client: Any, table: str, quota: StorageQuota) -> None:
        self._client = client
        self._table = table
        self.quota = quota

    async def read(self, user_id: str) -> Usage:
        """What a user's images take. Raises what the client raises."""
        answer = await self._client.get_item(
            TableName=self._table, Key=_key(user_id), ConsistentRead=True
        )
        return usage_of(answer.get("Item"))

    async def check(self) -> None:
        """Return when the table is there. Raises what the client raises."""
        await self._client.describe_table(TableName=self._table)

    def write(self, change: Change) -> Write:
        """The write of a change: refused where it would exceed the quota or go below zero."""
        conditions: list[str] = []
        values = {
            ":bytes": {"N": str(change.bytes)},
            ":images": {"N": str(change.images)},
        }
        for name, by, limit in (
            ("used_bytes", change.bytes, self.quota.bytes),
            ("used_images", change.images, self.quota.images),
        ):
            if by < 0:
                values[f":least_{name}"] = {"N": str(-by)}
                conditions.append(f"{name} >= :least_{name}")
            elif by > 0 and limit:
                values[f":most_{name}"] = {"N": str(limit - by)}
                fits = f"{name} <= :most_{name}"
                # Nothing is used yet: that leaves room for whatever is within the limit.
                conditions.append(
                    f"(attribute_not_exists({name}) OR {fits})" if by <= limit else fits
                )
        condition = {"ConditionExpression": " AND ".join(conditions)} if conditions else {}
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(change.user_id),
                "UpdateExpression": "ADD used_bytes :bytes, used_images :images",
                "ExpressionAttributeValues": values,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **condition,
            }
        }


def usage_of(item: Item | None) -> Usage:
    """The usage that an item tells; none is nothing."""
    if item is None:
        return Usage()
    return Usage(int(item["used_bytes"]["N"]), int(item["used_images"]["N"]))


def _key(user_id: str) -> Item:
    return {"counter": {"S": f"storage#{user_id}"}}
