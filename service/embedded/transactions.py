"""Transactions of moto's DynamoDB that cost what they touch.

moto copies every table that a transaction names, to have something to go back to: ever slower the
more images there are. Here all conditions are looked at first, and what a failure half-way would
have to undo is the items that the transaction names.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import TransactionCanceledException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

_Reason = tuple[str | None, str | None, dict[str, Any] | None]
_HOLDS: _Reason = (None, None, None)


def speed_up_transactions() -> None:
    """Replace the method; call it once, before the first request."""
    transact = DynamoDBBackend.transact_write_items

    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        writes = [write for item in transact_items for write in item.values()]
        if any(write["TableName"] not in self.tables for write in writes):
            transact(self, transact_items)  # to be refused
            return
        reasons = [_reason(self, write) for write in writes]
        if any(code for code, _, _ in reasons):
            raise TransactionCanceledException(reasons)
        # Copies: an update changes an item in place.
        before = [(write, copy.deepcopy(_item(self, write))) for write in writes]
        try:
            with _tables_stay():
                transact(self, transact_items)
        except Exception:
            for write, item in before:
                _put_back(self, write, item)
            raise

    DynamoDBBackend.transact_write_items = transact_write_items  # type: ignore[method-assign]


def _reason(backend: DynamoDBBackend, write: dict[str, Any]) -> _Reason:
    """Why a write would be refused, as moto says it."""
    condition = write.get("ConditionExpression")
    if condition is None:
        return _HOLDS
    current = _item(backend, write)
    holds = get_filter_expression(
        condition,
        write.get("ExpressionAttributeNames"),
        write.get("ExpressionAttributeValues"),
    )
    if holds.expr(current):
        return _HOLDS
    told = write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and current
    return (
        "ConditionalCheckFailed",
        "The conditional request failed",
        current.to_json()["Attributes"] if told else None,
    )


def _item(backend: DynamoDBBackend, write: dict[str, Any]) -> Any:
    return backend.get_item(write["TableName"], _key(backend, write))


def _key(backend: DynamoDBBackend, write: dict[str, Any]) -> dict[str, Any]:
    if "Key" in write:
        key: dict[str, Any] = write["Key"]
        return key
    table = backend.get_table(write["TableName"])
    names = [name for name in (table.hash_key_attr, table.range_key_attr) if name is not None]
    return {name: write["Item"][name] for name in names}


def _put_back(backend: DynamoDBBackend, write: dict[str, Any], item: Any) -> None:
    name = write["TableName"]
    if item is None:
        backend.delete_item(name, _key(backend, write))
    else:
        backend.put_item(name, item.to_json()["Attributes"])


@contextmanager
def _tables_stay() -> Iterator[None]:
    """Let a copy of a table be the table itself: requests are handled one at a time."""
    Table.__deepcopy__ = lambda self, _: self  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del Table.__deepcopy__  # type: ignore[attr-defined]
