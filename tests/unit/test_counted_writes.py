"""What is asked of DynamoDB when a record comes or goes, and what its refusals mean."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from service.errors import StorageQuotaExceeded, StoreUnavailable
from service.model import NO_QUOTA, PENDING, Edit, StorageQuota
from service.settings import Settings
from service.storage import transactions
from service.storage.dynamodb import DynamoDBImageRecords, names_of
from service.storage.items import to_item
from tests.support.makers import NOON, an_image

QUOTA = StorageQuota(bytes=10_000, images=5)
CLAIM = an_image(status=PENDING)
OTHER = replace(CLAIM, etag="f" * 32, file_size=CLAIM.file_size + 100)


def failed(code: str, **more: Any) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}, **more}, "Operation")


def cancelled(*codes: str, items: dict[int, Any] | None = None) -> ClientError:
    reasons = [
        {"Code": code, **({"Item": items[number]} if items and number in items else {})}
        for number, code in enumerate(codes)
    ]
    return failed("TransactionCanceledException", CancellationReasons=reasons)


HOLDS, FAILS, MEETS = "None", "ConditionalCheckFailed", "TransactionConflict"


@dataclass
class Client:
    """Answers each call with the next outcome it was given; the last one holds from then on."""

    outcomes: list[Any] = field(default_factory=lambda: [{}])
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        async def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return call

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def records(self, quota: StorageQuota = QUOTA) -> DynamoDBImageRecords:
        return DynamoDBImageRecords(self, names_of(Settings()), quota)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_PAUSES", (0.0,) * len(transactions._PAUSES))


Work = Callable[[DynamoDBImageRecords], Awaitable[object]]
WORK: dict[str, tuple[Work, str]] = {
    "create": (lambda records: records.create(CLAIM), "put_item"),
    "replace": (lambda records: records.replace_pending(CLAIM, OTHER), "put_item"),
    "abandon": (lambda records: records.abandon(CLAIM), "delete_item"),
    "remove": (lambda records: records.remove(CLAIM.image_id), "delete_item"),
}


@pytest.mark.parametrize("name", WORK)
async def test_without_a_quota_a_write_is_one_call_of_one_table(name: str) -> None:
    work, call = WORK[name]
    client = Client()
    await work(client.records(NO_QUOTA))
    ((called, arguments),) = client.calls
    assert (called, arguments["TableName"]) == (call, "ImageMetadata")
    assert "counted" not in arguments.get("Item", {})


async def test_without_a_quota_nobody_asks_for_room() -> None:
    client = Client()
    await client.records(NO_QUOTA).demand_room("ann", 10**15)
    await client.records(NO_QUOTA).check()
    assert client.names == ["describe_table"]
    await client.records().check()
    assert [arguments["TableName"] for name, arguments in client.calls[1:]] == [
        "ImageMetadata",
        "MontUsage",
    ]


async def test_with_a_quota_a_new_record_and_its_room_are_one_transaction() -> None:
    client = Client()
    await client.records().create(CLAIM)
    ((called, arguments),) = client.calls
    assert called == "transact_write_items"
    assert arguments["ClientRequestToken"]
    put, update = arguments["TransactItems"]
    assert put["Put"]["Item"]["counted"] == {"N": str(CLAIM.file_size)}
    assert update["Update"]["TableName"] == "MontUsage"
    assert update["Update"]["Key"] == {"counter": {"S": "storage#ann"}}


async def test_a_claim_of_the_same_size_takes_another_s_place_in_one_call() -> None:
    client = Client()
    assert await client.records().replace_pending(CLAIM, replace(OTHER, file_size=CLAIM.file_size))
    assert client.names == ["put_item"]
    assert "counted = :counted" in client.calls[0][1]["ConditionExpression"]


@pytest.mark.parametrize(
    "hindrance",
    [
        cancelled(HOLDS, MEETS),
        cancelled(MEETS, HOLDS),
        # The record's condition is not known to fail for good while somebody writes its room.
        cancelled(FAILS, MEETS),
        cancelled(MEETS, FAILS),
        cancelled(HOLDS, "ThrottlingError"),
        failed("TransactionInProgressException"),
    ],
)
async def test_who_meets_others_tries_again(hindrance: ClientError) -> None:
    client = Client([hindrance, hindrance, {}])
    assert await client.records().create(CLAIM) is None
    tokens = [arguments["ClientRequestToken"] for _, arguments in client.calls]
    assert len(set(tokens)) == 3, "each attempt is one of its own"


@pytest.mark.parametrize("name", ["publish", "edit", "mark_deleting"])
async def test_a_write_that_meets_a_transaction_tries_again(name: str) -> None:
    done = {"Attributes": to_item(an_image())}
    client = Client([failed("TransactionConflictException"), done])
    records = client.records()
    work: dict[str, Callable[[], Awaitable[object]]] = {
        "publish": lambda: records.publish(CLAIM, NOON),
        "edit": lambda: records.edit(CLAIM.image_id, "ann", Edit(), revisions=None),
        "mark_deleting": lambda: records.mark_deleting(CLAIM.image_id, "ann", NOON),
    }
    assert await work[name]() is not None
    assert client.names == ["update_item"] * 2


async def test_who_meets_others_all_the_time_gives_up_and_says_so() -> None:
    client = Client([cancelled(HOLDS, MEETS)])
    with pytest.raises(StoreUnavailable) as unavailable:
        await client.records().create(CLAIM)
    assert "TransactionCanceledException" in unavailable.value.cause
    assert len(client.calls) == len(transactions._PAUSES) + 1


@pytest.mark.parametrize(
    "error", [cancelled("ValidationError", HOLDS), failed("AccessDeniedException")]
)
async def test_what_no_repetition_can_mend_is_not_repeated(error: ClientError) -> None:
    client = Client([error])
    with pytest.raises(StoreUnavailable):
        await client.records().create(CLAIM)
    assert len(client.calls) == 1


USED = {"used_bytes": {"N": "9000"}, "used_images": {"N": "4"}}


async def test_a_refusal_tells_what_is_used_whether_or_not_the_store_sends_it_along() -> None:
    nothing: dict[str, Any] = {}
    told = Client([cancelled(HOLDS, FAILS, items={1: USED}), nothing])
    untold = Client([cancelled(HOLDS, FAILS), nothing, {"Item": USED}])
    for client in (told, untold):
        with pytest.raises(StorageQuotaExceeded, match="9000 of 10000 bytes and 4 of 5 images"):
            await client.records().create(CLAIM)
    assert told.names == ["transact_write_items", "get_item"]
    assert untold.names == ["transact_write_items", "get_item", "get_item"]


async def test_a_record_in_place_goes_before_a_lack_of_room() -> None:
    in_place = to_item(CLAIM, counted=CLAIM.file_size)
    for refusal in (
        cancelled(FAILS, FAILS, items={0: in_place, 1: USED}),
        # A store that tells one reason only.
        cancelled(HOLDS, FAILS, items={1: USED}),
    ):
        client = Client([refusal, {"Item": in_place}])
        assert await client.records().create(CLAIM) == CLAIM


async def test_no_deletion_fails_because_a_number_is_too_small(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client([cancelled(HOLDS, FAILS), {}])
    await client.records().abandon(CLAIM)
    assert client.names == ["transact_write_items", "delete_item"]
    assert "counted = :counted" in client.calls[1][1]["ConditionExpression"]
    (line,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "user ann uses less than their images" in line.getMessage()


async def test_a_record_that_changes_at_every_look_is_given_up_on() -> None:
    def counted(number: int) -> ClientError:
        item = to_item(CLAIM, counted=number)
        return failed("ConditionalCheckFailedException", Item=item)

    refusals = [cancelled(FAILS, HOLDS, items={0: to_item(CLAIM, counted=n)}) for n in range(9)]
    client = Client([counted(1), *refusals])
    with pytest.raises(StoreUnavailable) as unavailable:
        await client.records(NO_QUOTA).abandon(CLAIM)
    assert "keeps changing" in unavailable.value.cause


async def test_what_came_and_went_is_told_from_what_is_taken() -> None:
    for quota, refusal in (
        (NO_QUOTA, failed("ConditionalCheckFailedException")),
        (QUOTA, cancelled(FAILS, HOLDS)),
    ):
        client = Client([refusal, {}])
        with pytest.raises(StoreUnavailable) as unavailable:
            await client.records(quota).create(CLAIM)
        assert "came and went" in unavailable.value.cause
