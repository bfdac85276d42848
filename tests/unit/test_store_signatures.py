"""What is sent to a store is signed as botocore's own signer would sign it."""

from __future__ import annotations

import string
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from service.storage.calls import Caller, Reach
from service.storage.dynamodb_client import DynamoDBClient
from service.storage.places import FixedKeys, Place
from service.storage.retries import Retries
from service.storage.s3_client import S3Client
from service.storage.signing import Clock
from service.storage.transport import Reply, StoreSession

NOW = datetime(2026, 2, 13, 12, 0, 5, tzinfo=UTC)
# What AWS does not want signed, and what the signature itself is.
UNSIGNED = {"authorization", "user-agent", "accept-encoding", "host", "x-amz-date"}


@dataclass
class Sent(StoreSession):  # type: ignore[misc]
    """Keeps what would be sent."""

    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def exchange(
        self,
        method: str,
        origin: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        most: int | None = None,
    ) -> Reply:
        self.requests.append((method, origin + target, dict(headers), body))
        return Reply(200, {}, b"")


Use = Callable[[Caller], Awaitable[object]]


async def sent(use: Use, place: Place, keys: FixedKeys) -> tuple[str, str, dict[str, str], bytes]:
    session = Sent()

    async def locate(_: str) -> Place:
        return place

    async def connect() -> StoreSession:
        return session

    reach = Reach(keys, locate, connect)
    await use(Caller("store", reach, Clock(NOW.timestamp), Retries(1), None))
    ((method, url, headers, body),) = session.requests
    return method, url, headers, body


def as_botocore_signs(
    request: tuple[str, str, dict[str, str], bytes], place: Place, keys: FixedKeys
) -> str:
    method, url, headers, body = request
    kept = {name: value for name, value in headers.items() if name not in UNSIGNED}
    kept.pop("x-amz-security-token", None)
    aws = AWSRequest(method=method, url=url, data=body, headers=kept)
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    kind = S3SigV4Auth if place.service == "s3" else SigV4Auth
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        kind(credentials, place.service, place.region).add_auth(aws)
    authorization: str = aws.headers["Authorization"]
    return authorization


async def assert_signed_as_botocore_does(use: Use, place: Place, keys: FixedKeys) -> None:
    request = await sent(use, place, keys)
    assert request[2]["authorization"] == as_botocore_signs(request, place, keys)
    assert request[2].get("x-amz-security-token") == keys.token


BUCKETS = [
    Place("https://mont.s3.eu-west-3.amazonaws.com", "eu-west-3", "s3"),
    Place("http://localhost:4566/mont", "us-east-1", "s3"),
    Place("http://[::1]:4566/mont", "us-east-1", "s3"),
    Place("http://LOCALHOST:80/mont", "us-east-1", "s3"),
    Place("https://s3.example:9443/base/mont", "eu-west-3", "s3"),
]
TABLES = [
    Place("https://dynamodb.eu-west-3.amazonaws.com", "eu-west-3", "dynamodb"),
    Place("http://localhost:8000", "us-east-1", "dynamodb"),
    Place("https://dynamo.example:9443/base", "eu-west-3", "dynamodb"),
]
_keys = st.text(
    st.one_of(st.sampled_from(string.printable), st.characters(exclude_categories=["Cs"])),
    min_size=1,
)
_credentials = st.builds(
    FixedKeys,
    st.text(string.ascii_uppercase + string.digits, min_size=1),
    st.text(string.ascii_letters + "/+", min_size=1),
    st.none() | st.text(string.ascii_letters + string.digits + "/+=", min_size=1),
)


def _s3_calls(key: str, token: str) -> list[Use]:
    return [
        lambda caller: S3Client(caller).get_object(Bucket="mont", Key=key, Range="bytes=0-9"),
        lambda caller: S3Client(caller).head_object(Bucket="mont", Key=key),
        lambda caller: S3Client(caller).head_bucket(Bucket="mont"),
        lambda caller: S3Client(caller).copy_object(
            Bucket="mont",
            Key=key,
            CopySource={"Bucket": "mont", "Key": key},
            CopySourceIfMatch="0123",
            MetadataDirective="REPLACE",
            ContentType="image/png",
            CacheControl="private,  immutable",
        ),
        lambda caller: S3Client(caller).delete_objects(
            Bucket="mont", Delete={"Objects": [{"Key": key}], "Quiet": True}
        ),
        lambda caller: S3Client(caller).list_objects_v2(
            Bucket="mont", Prefix=key, StartAfter=key, ContinuationToken=token, MaxKeys=7
        ),
    ]


@settings(max_examples=50)
@given(
    key=_keys, token=_keys, credentials=_credentials, place=st.sampled_from(BUCKETS), data=st.data()
)
async def test_every_call_of_s3(
    key: str, token: str, credentials: FixedKeys, place: Place, data: st.DataObject
) -> None:
    use = data.draw(st.sampled_from(_s3_calls(key, token)))
    await assert_signed_as_botocore_does(use, place, credentials)


@settings(max_examples=30)
@given(text=_keys, credentials=_credentials, place=st.sampled_from(TABLES))
async def test_every_call_of_dynamodb(text: str, credentials: FixedKeys, place: Place) -> None:
    async def use(caller: Caller) -> object:
        return await DynamoDBClient(caller).get_item(TableName="t", Key={"id": {"S": text}})

    await assert_signed_as_botocore_does(use, place, credentials)


@pytest.mark.parametrize("place", [*BUCKETS, *TABLES])
def test_the_host_is_signed_as_it_is_sent(place: Place) -> None:
    aws = AWSRequest("GET", f"{place.url}/")
    (host,) = SigV4Auth(None, "s", "r").headers_to_sign(aws).get_all("host")
    assert place.host == host


async def test_a_signature_tells_credentials_apart_but_never_holds_the_secret() -> None:
    async def use(caller: Caller) -> Any:
        return await DynamoDBClient(caller).get_item(TableName="t", Key={})

    first = await sent(use, TABLES[0], FixedKeys("AKID", "first-secret", "a-token"))
    second = await sent(use, TABLES[0], FixedKeys("AKID", "second-secret", "a-token"))
    assert first[2]["authorization"] != second[2]["authorization"]
    assert "first-secret" not in str(first)
