"""The requests granted to API keys, in the table of usage: one item for each key and day.

counter     S   the table's key: requests#KEY_ID#DAY
used        N   the sum of all leases
expires_at  N   when DynamoDB may remove it, in seconds since 1970
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from service.storage.clients import translated

_STORE = "DynamoDB"
# Clocks differ, and whoever asks what happened yesterday finds the number.
_KEPT_DAYS = 3


class DynamoDBRequestCounts:
    """`ports.RequestCounts` in one table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    async def add(self, key_id: str, day: str, number: int) -> int:
        """See `ports.RequestCounts`."""
        with translated(_STORE):
            answer = await self._client.update_item(
                TableName=self._table,
                Key={"counter": {"S": f"requests#{key_id}#{day}"}},
                UpdateExpression="ADD used :number SET expires_at = :expires_at",
                ExpressionAttributeValues={
                    ":number": {"N": str(number)},
                    ":expires_at": {"N": str(_expiry(day))},
                },
                ReturnValues="UPDATED_NEW",
            )
        return int(answer["Attributes"]["used"]["N"])


def _expiry(day: str) -> int:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return int((start + timedelta(days=_KEPT_DAYS)).timestamp())
