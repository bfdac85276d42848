"""The API keys in DynamoDB.

key_hash     S   the table's key: SHA-256 of the API key, hexadecimal
owner        S   a user id, or * for any
created_at   S
expires_at   S   only if it expires
daily_quota  N   only if it has one of its own
revoked_at   S   only once it is revoked

A key's id is the beginning of its hash, so no index is needed to revoke by it: whoever administers
keys reads the table, which is small, and consistently, which an index is not.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from service.model import ApiKey
from service.storage.clients import error_code, translated
from service.storage.items import Item

_STORE = "DynamoDB"
_CONDITION_FAILED = "ConditionalCheckFailedException"


class DynamoDBApiKeys:
    """`ports.ApiKeys` in one table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    async def find(self, key_hash: str) -> ApiKey | None:
        """See `ports.ApiKeys`."""
        with translated(_STORE):
            answer = await self._client.get_item(
                TableName=self._table, Key={"key_hash": {"S": key_hash}}, ConsistentRead=True
            )
        item: Item | None = answer.get("Item")
        return None if item is None else _from_item(item)

    async def create(self, key: ApiKey) -> None:
        """See `ports.ApiKeys`."""
        with translated(_STORE):
            try:
                await self._client.put_item(
                    TableName=self._table,
                    Item=_to_item(key),
                    # Or a late repetition could bring a revoked key back to life.
                    ConditionExpression="attribute_not_exists(key_hash)",
                )
            except ClientError as error:
                if error_code(error) != _CONDITION_FAILED:
                    raise

    async def list_all(self) -> tuple[ApiKey, ...]:
        """See `ports.ApiKeys`."""
        return tuple(_from_item(item) for item in await self._scan({}))

    async def revoke(self, key_id: str, revoked_at: str) -> ApiKey | None:
        """See `ports.ApiKeys`."""
        wanted = {
            "FilterExpression": "begins_with(key_hash, :id)",
            "ExpressionAttributeValues": {":id": {"S": key_id}},
        }
        revoked = None
        for item in await self._scan(wanted):
            with translated(_STORE):
                answer = await self._client.update_item(
                    TableName=self._table,
                    Key={"key_hash": item["key_hash"]},
                    UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :at)",
                    ExpressionAttributeValues={":at": {"S": revoked_at}},
                    ReturnValues="ALL_NEW",
                )
            revoked = _from_item(answer["Attributes"])
        return revoked

    async def _scan(self, wanted: dict[str, Any]) -> list[Item]:
        items: list[Item] = []
        start: dict[str, Any] = {}
        while True:
            with translated(_STORE):
                answer = await self._client.scan(
                    TableName=self._table, ConsistentRead=True, **wanted, **start
                )
            items += answer["Items"]
            if not answer.get("LastEvaluatedKey"):
                return items
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _to_item(key: ApiKey) -> Item:
    item: Item = {
        "key_hash": {"S": key.key_hash},
        "owner": {"S": key.owner},
        "created_at": {"S": key.created_at},
    }
    if key.expires_at is not None:
        item["expires_at"] = {"S": key.expires_at}
    if key.daily_quota is not None:
        item["daily_quota"] = {"N": str(key.daily_quota)}
    if key.revoked_at is not None:
        item["revoked_at"] = {"S": key.revoked_at}
    return item


def _from_item(item: Item) -> ApiKey:
    quota = item.get("daily_quota")
    return ApiKey(
        key_hash=item["key_hash"]["S"],
        owner=item["owner"]["S"],
        created_at=item["created_at"]["S"],
        expires_at=item.get("expires_at", {}).get("S"),
        daily_quota=None if quota is None else int(quota["N"]),
        revoked_at=item.get("revoked_at", {}).get("S"),
    )
