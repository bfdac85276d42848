"""`python -m tests.load.bench_stores`: what a call of a store costs, beside the SDK's own client.

Both ask the same canned store in turn, in rounds; what is shown is processor time of this process
for a call, medians of the rounds, and the median of each round's ratio. Presigning needs no store.
Exits with 1 when a figure is above its target.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from service.disposition import content_disposition
from service.settings import Settings
from service.storage.clients import Clients, open_admin_clients, open_clients
from service.storage.dynamodb_client import DynamoDBClient
from service.storage.items import to_item
from service.storage.rows import read_chunk
from tests.support.makers import an_image
from tests.support.stores import no_real_account

ROUNDS = int(os.environ.get("ROUNDS", "11"))
CALLS, SIGNATURES = 200, 1000
BUCKET, TABLE, KEY = "mont-images", "ImageMetadata", "images/ann/0b8f7d0e_beach day.jpg"
_ITEM = to_item(an_image())
_KEY = {"image_id": {"S": "0b8f7d0e-7e0f-4d7c-9c73-0a0c5b7f0a11"}}

Use = Callable[[Clients], Awaitable[object]]


async def _get_item(clients: Clients) -> object:
    return await clients.dynamodb.get_item(TableName=TABLE, Key=_KEY, ConsistentRead=True)


async def _put_item(clients: Clients) -> object:
    return await clients.dynamodb.put_item(
        TableName=TABLE,
        Item=_ITEM,
        ConditionExpression="attribute_not_exists(image_id)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )


async def _query(clients: Clients) -> object:
    """On our side the images are made as well, as for every list."""
    asked: dict[str, Any] = {
        "TableName": TABLE,
        "IndexName": "UserIdTimestampIndex",
        "KeyConditionExpression": (
            "user_id = :hash AND upload_timestamp BETWEEN :earliest AND :latest"
        ),
        "ExpressionAttributeValues": {
            ":hash": {"S": "ann"},
            ":earliest": {"S": "0"},
            ":latest": {"S": "9999-12-31T23:59:59.999999Z"},
        },
        "ScanIndexForward": False,
        "Limit": 51,
    }
    if isinstance(clients.dynamodb, DynamoDBClient):
        return await clients.dynamodb.query_with(read_chunk, **asked)
    return await clients.dynamodb.query(**asked)


async def _ranged_read(clients: Clients) -> object:
    answer = await clients.s3.get_object(Bucket=BUCKET, Key=KEY, Range="bytes=0-65535")
    async with answer["Body"] as stream:
        return await stream.read()


async def _head(clients: Clients) -> object:
    return await clients.s3.head_object(Bucket=BUCKET, Key=KEY)


async def _form(clients: Clients) -> object:
    fields = {"Content-Type": "image/jpeg", "x-amz-meta-mont-declared": "jWyJhIl0=" * 8}
    conditions: list[Any] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", 123456, 123456])
    return await clients.signer.generate_presigned_post(
        BUCKET, KEY, Fields=fields, Conditions=conditions, ExpiresIn=3600
    )


_DISPOSITION = content_disposition("inline", "beach day.jpg")


async def _link(clients: Clients) -> object:
    return await clients.signer.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": BUCKET,
            "Key": KEY,
            "ResponseContentType": "image/jpeg",
            "ResponseContentDisposition": _DISPOSITION,
        },
        ExpiresIn=900,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured; its target is a ratio to the SDK's, or microseconds."""

    name: str
    use: Use
    repeats: int
    ratio: float | None = None
    microseconds: float | None = None


MEASURED = (
    Measured("GetItem", _get_item, CALLS, ratio=0.45),
    Measured("PutItem", _put_item, CALLS, ratio=0.45),
    Measured("Query, 50 items", _query, CALLS, ratio=0.2),
    Measured("S3 ranged read, 64 KB", _ranged_read, CALLS, ratio=0.45),
    Measured("S3 head", _head, CALLS, ratio=0.45),
    Measured("form (POST policy)", _form, SIGNATURES, microseconds=20),
    Measured("link (GET)", _link, SIGNATURES, microseconds=12),
)


def main() -> None:
    """Measure and print."""
    with no_real_account(), _canned_stores() as endpoint:
        missed = asyncio.run(_compare(endpoint))
    sys.exit(1 if missed else 0)


@contextmanager
def _canned_stores() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.load.canned_stores"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


@asynccontextmanager
async def _both(endpoint: str) -> AsyncIterator[dict[str, Clients]]:
    settings = Settings(aws_endpoint_url=endpoint)
    async with AsyncExitStack() as stack:
        yield {
            "sdk": await stack.enter_async_context(open_admin_clients(settings)),
            "mont": await stack.enter_async_context(open_clients(settings)),
        }


async def _compare(endpoint: str) -> bool:
    """Print the table; whether a target is missed."""
    print(f"Processor time of a call in microseconds, medians of {ROUNDS} rounds in turn\n")
    print(f"{'':24}{'sdk':>8}{'mont':>8}{'ratio':>8}   target")
    missed = False
    async with _both(endpoint) as sides:
        for each in MEASURED:
            spent: dict[str, list[float]] = {name: [] for name in sides}
            for number in range(-1, ROUNDS):  # a first, unmeasured round connects and warms up
                for name in list(sides) if number % 2 else reversed(sides):
                    cost = await _cost(each, sides[name])
                    if number >= 0:
                        spent[name].append(cost)
            missed |= not _report(each, spent)
    return missed


async def _cost(measured: Measured, clients: Clients) -> float:
    started = time.process_time()
    for _ in range(measured.repeats):
        await measured.use(clients)
    return 1e6 * (time.process_time() - started) / measured.repeats


def _report(measured: Measured, spent: dict[str, list[float]]) -> bool:
    ours, theirs = median(spent["mont"]), median(spent["sdk"])
    ratio = median(mine / sdk for mine, sdk in zip(spent["mont"], spent["sdk"], strict=True))
    if measured.ratio is not None:
        target, met = f"ratio {measured.ratio}", ratio <= measured.ratio
    else:
        assert measured.microseconds is not None
        target, met = f"{measured.microseconds:g} us", ours <= measured.microseconds
    verdict = "" if met else "  MISSED"
    print(f"{measured.name:24}{theirs:8.1f}{ours:8.1f}{ratio:8.2f}   {target}{verdict}", flush=True)
    return met


if __name__ == "__main__":
    main()
