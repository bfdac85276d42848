"""A failed call is made again by the rules of the SDK's standard mode."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.retries import standard
from botocore.session import get_session

from service.storage.calls import DamagedAnswer
from service.storage.retries import Retries

URL = {"endpoint_url": "http://x", "error": "e"}


def refusal(code: str, status: int = 400) -> ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {}}
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": metadata}, "GetItem")


class Naps(list[float]):
    """Keeps how long would have been slept."""

    async def take(self, seconds: float) -> None:
        self.append(seconds)


def retries_of(naps: Naps, tries: int = 3, chance: float = 1.0) -> Retries:
    return Retries(tries, lambda: chance, naps.take)


TRANSIENT: list[tuple[Exception, int]] = [
    (EndpointConnectionError(**URL), 5),
    (ConnectionClosedError(**URL), 5),
    (ConnectTimeoutError(**URL), 10),
    (ReadTimeoutError(**URL), 10),
    (DamagedAnswer(error="e"), 5),
    *((refusal("Any", status), 5) for status in (500, 502, 503, 504)),
    *((refusal(code), 5) for code in standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES),
    *((refusal(code), 5) for code in standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES),
    (refusal("ReplicatedWriteConflictException"), 5),
]
FINAL: list[Exception] = [
    NoCredentialsError(),
    *(
        refusal(code)
        for code in (
            *("ConditionalCheckFailedException", "ValidationException", "NoSuchKey", "404"),
            *("AccessDenied", "ExpiredToken", "PreconditionFailed", "TransactionCanceledException"),
        )
    ),
    refusal("NotImplemented", 501),
]


def name_of(value: Any) -> str:
    return str(value)[:60]


@pytest.mark.parametrize(("error", "cost"), TRANSIENT, ids=name_of)
async def test_what_may_pass_is_tried_again_at_the_sdks_price(error: Exception, cost: int) -> None:
    assert await retries_of(Naps()).wait(1, error) == cost


@pytest.mark.parametrize("error", FINAL, ids=name_of)
async def test_what_will_not_pass_is_not(error: Exception) -> None:
    naps = Naps()
    assert await retries_of(naps).wait(1, error) is None
    assert naps == []


async def test_there_are_as_many_attempts_as_said() -> None:
    retries = retries_of(Naps(), tries=3)
    error = refusal("Any", 500)
    assert [await retries.wait(attempt, error) for attempt in (1, 2, 3)] == [5, 5, None]
    assert await retries_of(Naps(), tries=1).wait(1, error) is None


async def test_each_wait_is_up_to_twice_as_long_as_the_one_before_up_to_20_seconds() -> None:
    longest, half = Naps(), Naps()
    for attempt in range(1, 8):
        await retries_of(longest, tries=99).wait(attempt, refusal("Any", 500))
        await retries_of(half, tries=99, chance=0.5).wait(attempt, refusal("Any", 500))
    assert longest == [1, 2, 4, 8, 16, 20, 20]
    assert half == [each / 2 for each in longest]


async def test_without_a_success_a_hundred_retries_are_all_that_there_are() -> None:
    retries = retries_of(Naps())
    error = refusal("Any", 500)
    taken = await asyncio.gather(*(retries.wait(1, error) for _ in range(150)))
    assert taken.count(5) == 100
    assert taken.count(None) == 50


async def test_a_success_gives_back_what_its_retry_took_and_one_that_took_none_a_little() -> None:
    retries = retries_of(Naps())
    error = refusal("Any", 500)
    for _ in range(100):
        assert await retries.wait(1, error) == 5
    assert await retries.wait(1, error) is None
    retries.succeeded(5)
    assert await retries.wait(1, error) == 5
    for _ in range(4):
        retries.succeeded(None)
    assert await retries.wait(1, error) is None
    retries.succeeded(None)
    assert await retries.wait(1, error) == 5


async def test_more_is_never_given_back_than_was_there() -> None:
    retries = retries_of(Naps())
    for _ in range(1000):
        retries.succeeded(None)
    taken = [await retries.wait(1, refusal("Any", 500)) for _ in range(101)]
    assert taken == [5] * 100 + [None]


def test_no_other_error_is_called_retryable_by_the_models() -> None:
    found = set()
    for service in ("s3", "dynamodb"):
        model = get_session().get_service_model(service)
        found |= {
            name
            for name in model.shape_names
            if model.shape_for(name).metadata.get("retryable") is not None
        }
    assert found == {"ReplicatedWriteConflictException"}
