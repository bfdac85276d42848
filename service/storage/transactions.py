"""A write of two items that happens as a whole, or as a whole does not.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from service.storage.clients import error_code
from service.storage.items import Item

CONDITION_FAILED = "ConditionalCheckFailedException"
# DynamoDB refuses at once what meets another transaction under way on the same item, and the SDK
# does not try again by itself. Many uploads of one user meet on that user's usage. The longest of
# these add up to less than three seconds, which leaves a request time for the rest.
_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2)
_MET = frozenset({"TransactionConflictException", "TransactionInProgressException"})
_PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})

Write = Mapping[str, Mapping[str, Any]]
"""A Put, Update or Delete as TransactWriteItems takes it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Whether one write's condition failed, and the item that made it, where that was told."""

    failed: bool
    item: Item | None


class TransactionRefused(Exception):
    """At least one condition failed, so nothing was written. One refusal for each write."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        super().__init__()
        self.refusals = refusals


async def transact(client: Any, writes: Sequence[Write]) -> None:
    """Make all these writes or none. Raises TransactionRefused, ClientError."""

    async def write() -> None:
        try:
            # The token tells the SDK's own repetitions, after a lost answer, from other attempts.
            await client.transact_write_items(
                TransactItems=list(writes), ClientRequestToken=str(uuid.uuid4())
            )
        except ClientError as error:
            _raise_refusal(error)
            raise

    await unhindered(write)


async def unhindered(write: Callable[..., Awaitable[Any]], **arguments: Any) -> Any:
    """The result of a write, repeated while it only meets others. Raises what it raises."""
    for longest in _PAUSES:
        try:
            return await write(**arguments)
        except ClientError as error:
            if not _is_passing(error):
                raise
        # Full jitter, so that those who met do not meet again.
        await asyncio.sleep(random.uniform(0, longest))
    return await write(**arguments)


def _is_passing(error: ClientError) -> bool:
    reasons = {reason.get("Code") for reason in _reasons(error)}
    return error_code(error) in _MET or bool(reasons & _PASSING)


def _raise_refusal(error: ClientError) -> None:
    """Raise TransactionRefused if conditions failed and nothing else was in the way."""
    reasons = _reasons(error)
    codes = {reason.get("Code") for reason in reasons}
    if "ConditionalCheckFailed" in codes and not codes & _PASSING:
        raise TransactionRefused(
            tuple(
                Refusal(each.get("Code") == "ConditionalCheckFailed", each.get("Item") or None)
                for each in reasons
            )
        ) from error


def _reasons(error: ClientError) -> list[dict[str, Any]]:
    if error_code(error) != "TransactionCanceledException":
        return []
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons") or []
    return reasons
