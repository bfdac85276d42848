"""The service's own clients on stores that are not botocore's: LocalStack checks signatures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from uuid import uuid4

import aiohttp
import pytest
from botocore.exceptions import ClientError
from yarl import URL

from service.disposition import content_disposition
from service.settings import Settings
from service.storage.clients import Clients, open_clients
from tests.e2e.localstack.harness import Endpoint
from tests.support.stores import no_real_account, provision, random_settings

AWKWARD = [
    "plain.png",
    "with space+plus.png",
    "ümläut 100%.png",
    "a=b&c?d#e.png",
    "x/../y//z~'().png",
]
ITEM = {"image_id": {"S": "ü"}, "n": {"N": "7"}, "raw": {"B": b"\0\xff"}}


@pytest.fixture(scope="module")
def stores(localstack: Endpoint) -> Iterator[Settings]:
    settings = random_settings(localstack.url)
    with no_real_account():
        asyncio.run(provision(settings))
        yield settings


@pytest.fixture(params=["the SDK is asked", "the environment says it"])
async def clients(
    request: pytest.FixtureRequest, stores: Settings, localstack: Endpoint
) -> AsyncIterator[Clients]:
    known = None if request.param == "the SDK is asked" else localstack.environment()
    async with open_clients(stores, known) as clients:
        yield clients


async def upload(clients: Clients, bucket: str, key: str, http: aiohttp.ClientSession) -> int:
    """S3's answer to a form, sent as a browser sends it."""
    ticket = await clients.signer.generate_presigned_post(
        bucket,
        key,
        Fields={"Content-Type": "image/png"},
        Conditions=[{"Content-Type": "image/png"}, ["content-length-range", 9, 9]],
        ExpiresIn=60,
    )
    form = aiohttp.FormData(ticket["fields"])
    form.add_field("file", b"the bytes", filename="blob")
    async with http.post(ticket["url"], data=form) as answer:
        return answer.status


@pytest.mark.parametrize("name", AWKWARD)
async def test_forms_links_and_calls_agree_about_a_key(
    clients: Clients, stores: Settings, http: aiohttp.ClientSession, name: str
) -> None:
    bucket, key = stores.s3_bucket_name, f"uploads/{uuid4().hex}/{name}"
    assert await upload(clients, bucket, key, http) == 204
    shown = content_disposition("attachment", name)
    link = await clients.signer.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": bucket,
            "Key": key,
            "ResponseContentType": "image/gif",
            "ResponseContentDisposition": shown,
        },
        ExpiresIn=60,
    )
    async with http.get(URL(link, encoded=True)) as answer:
        assert (answer.status, await answer.read()) == (200, b"the bytes")
        assert answer.headers["Content-Type"] == "image/gif"
        assert answer.headers["Content-Disposition"] == shown
    async with http.get(URL(link.replace("image%2Fgif", "image%2Fpng"), encoded=True)) as answer:
        assert answer.status == 403
    read = await clients.s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-2")
    assert await read["Body"].read() == b"the"
    assert read["ContentRange"] == "bytes 0-2/9"
    target = f"images/{uuid4().hex}/{name}"
    await clients.s3.copy_object(
        Bucket=bucket,
        Key=target,
        CopySource={"Bucket": bucket, "Key": key},
        CopySourceIfMatch=read["ETag"].strip('"'),
        MetadataDirective="REPLACE",
        ContentType="image/webp",
    )
    head = await clients.s3.head_object(Bucket=bucket, Key=target)
    assert (head["ContentType"], head["ContentLength"]) == ("image/webp", 9)
    listed = await clients.s3.list_objects_v2(Bucket=bucket, Prefix=target, MaxKeys=1)
    assert [each["Key"] for each in listed["Contents"]] == [target]
    await clients.s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": target}], "Quiet": True}
    )
    for gone in (key, target):
        with pytest.raises(ClientError, match="404"):
            await clients.s3.head_object(Bucket=bucket, Key=gone)


async def test_a_form_of_another_secret_is_refused(
    stores: Settings, localstack: Endpoint, http: aiohttp.ClientSession
) -> None:
    others = {**localstack.environment(), "AWS_SECRET_ACCESS_KEY": "guessed"}
    key = f"uploads/{uuid4().hex}"
    async with open_clients(stores, others) as clients:
        assert await upload(clients, stores.s3_bucket_name, key, http) == 403
    async with open_clients(stores, localstack.environment()) as clients:
        assert await upload(clients, stores.s3_bucket_name, key, http) == 204


async def test_records_come_back_as_they_were_put(clients: Clients, stores: Settings) -> None:
    table, tables = stores.dynamodb_table_name, clients.dynamodb
    await tables.put_item(TableName=table, Item=ITEM)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        await tables.put_item(
            TableName=table, Item=ITEM, ConditionExpression="attribute_not_exists(image_id)"
        )
    key = {"image_id": ITEM["image_id"]}
    found = await tables.get_item(TableName=table, Key=key, ConsistentRead=True)
    assert found["Item"] == ITEM
    changed = await tables.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET n = n + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )
    assert changed["Attributes"]["n"] == {"N": "8"}
    await tables.transact_write_items(TransactItems=[{"Delete": {"TableName": table, "Key": key}}])
    assert "Item" not in await tables.get_item(TableName=table, Key=key)


async def test_a_bucket_that_is_not_there_is_none(clients: Clients, stores: Settings) -> None:
    await clients.s3.head_bucket(Bucket=stores.s3_bucket_name)
    elsewhere = replace(stores, s3_bucket_name=f"nowhere-{uuid4().hex}")
    with pytest.raises(ClientError, match="404"):
        await clients.s3.head_bucket(Bucket=elsewhere.s3_bucket_name)
