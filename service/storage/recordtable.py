"""One record of the table: found, and what is in place where a condition on it has failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from service.storage.clients import error_code
from service.storage.items import Item
from service.storage.transactions import CONDITION_FAILED

STORE = "DynamoDB"


@dataclass(frozen=True, slots=True)
class RecordTable:
    """The table of records, by its keys."""

    client: Any
    name: str

    async def get(self, image_id: str) -> Item | None:
        """The item as it is now."""
        answer = await self.client.get_item(
            TableName=self.name, Key=key_of(image_id), ConsistentRead=True
        )
        item: Item | None = answer.get("Item")
        return item

    async def item_in_place(self, error: ClientError, image_id: str, user_id: str) -> Item | None:
        """The item that made a condition fail. Any other error is raised on."""
        if error_code(error) != CONDITION_FAILED:
            raise error
        return await self.item_behind(error.response.get("Item"), image_id, user_id)

    async def item_behind(self, told: Item | None, image_id: str, user_id: str) -> Item | None:
        """The item in place, given the one that a refusal told of, if it did."""
        if told and told["user_id"]["S"] == user_id:
            return told
        # Older emulators leave it out, and so does DynamoDB when there was no item at all. Somebody
        # else's is looked up too: an answer that came a call sooner would tell that it exists.
        looked_up = await self.get(image_id)
        return told or looked_up


def key_of(image_id: str) -> Item:
    """The key of a record."""
    return {"image_id": {"S": image_id}}
