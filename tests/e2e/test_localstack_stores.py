"""What the end-to-end tests may rely on: LocalStack's stores refuse what those of AWS refuse."""

import base64
import hmac
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientSession, FormData
from botocore.exceptions import ClientError
from yarl import URL

from tests.e2e.localstack.harness import Endpoint
from tests.e2e.localstack.sample.deployment import Deployed, client, invoke

_SIZE = 1000


# ---- S3 ------------------------------------------------------------------------------------------


async def _form(s3: Any, bucket: str, key: str = "uploads/picture") -> dict[str, Any]:
    form: dict[str, Any] = await s3.generate_presigned_post(
        Bucket=bucket,
        Key=key,
        Fields={"Content-Type": "image/png", "x-amz-meta-name": "picture"},
        Conditions=[
            {"Content-Type": "image/png"},
            {"x-amz-meta-name": "picture"},
            ["content-length-range", _SIZE, _SIZE],
        ],
        ExpiresIn=60,
    )
    return form


async def _post(http: ClientSession, form: dict[str, Any], body: bytes) -> tuple[int, str]:
    data = FormData()
    for name, value in form["fields"].items():
        data.add_field(name, value)
    data.add_field("file", body, filename="picture.png", content_type="image/png")
    async with http.post(form["url"], data=data) as got:
        return got.status, await got.text()


async def test_a_form_that_keeps_its_policy_is_stored_with_its_metadata(
    sample: Deployed, s3: Any, http: ClientSession
) -> None:
    status, text = await _post(http, await _form(s3, sample.bucket), b"x" * _SIZE)

    assert status == 204, text
    head = await s3.head_object(Bucket=sample.bucket, Key="uploads/picture")
    assert head["ContentLength"] == _SIZE
    assert head["ContentType"] == "image/png"
    assert head["Metadata"] == {"name": "picture"}


Change = Callable[[dict[str, str]], object]


def _changed(name: str, value: str) -> Change:
    def change(fields: dict[str, str]) -> None:
        assert fields[name] != value
        fields[name] = value

    return change


def _expired(fields: dict[str, str]) -> None:
    """Sign the same policy anew with a date that has passed, as S3 itself would verify it."""
    policy = json.loads(base64.b64decode(fields["policy"]))
    policy["expiration"] = "2026-01-01T00:00:00Z"
    fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
    key = b"AWS4test"
    for part in fields["x-amz-credential"].split("/")[1:]:
        key = hmac.digest(key, part.encode(), "sha256")
    fields["x-amz-signature"] = hmac.digest(key, fields["policy"].encode(), "sha256").hex()


@pytest.mark.parametrize(
    ("change", "size", "status", "code"),
    [
        pytest.param(None, _SIZE + 1, 400, "EntityTooLarge", id="a byte too many"),
        pytest.param(None, _SIZE - 1, 400, "EntityTooSmall", id="a byte too few"),
        pytest.param(
            _changed("Content-Type", "image/gif"), _SIZE, 403, "AccessDenied", id="another type"
        ),
        pytest.param(_changed("key", "uploads/other"), _SIZE, 403, "AccessDenied", id="key"),
        pytest.param(
            _changed("x-amz-meta-name", "other"), _SIZE, 403, "AccessDenied", id="metadata"
        ),
        pytest.param(
            _changed("x-amz-signature", "0" * 64),
            _SIZE,
            403,
            "SignatureDoesNotMatch",
            id="signature",
        ),
        pytest.param(
            _changed("policy", base64.b64encode(b'{"conditions": []}').decode()),
            _SIZE,
            403,
            "SignatureDoesNotMatch",
            id="another policy",
        ),
        pytest.param(
            lambda fields: fields.update(acl="public-read"),
            _SIZE,
            403,
            "AccessDenied",
            id="a field more than the policy names",
        ),
        pytest.param(_expired, _SIZE, 403, "AccessDenied", id="an expired policy"),
    ],
)
async def test_a_form_that_breaks_its_policy_is_refused(
    sample: Deployed,
    s3: Any,
    http: ClientSession,
    change: Change | None,
    size: int,
    status: int,
    code: str,
) -> None:
    key = f"uploads/{uuid.uuid4()}"
    form = await _form(s3, sample.bucket, key)
    if change:
        change(form["fields"])

    got, text = await _post(http, form, b"x" * size)

    assert (got, f"<Code>{code}</Code>" in text) == (status, True), text
    listed = await s3.list_objects_v2(Bucket=sample.bucket, Prefix=key)
    assert listed["KeyCount"] == 0


async def test_a_presigned_get_serves_the_object_and_a_changed_one_nothing(
    sample: Deployed, s3: Any, http: ClientSession
) -> None:
    await s3.put_object(Bucket=sample.bucket, Key="images/ä b", Body=b"bytes")
    url = await s3.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": sample.bucket,
            "Key": "images/ä b",
            "ResponseContentDisposition": "attachment; filename*=UTF-8''%C3%A4.png",
        },
        ExpiresIn=60,
    )

    async with http.get(URL(url, encoded=True)) as got:
        assert (got.status, await got.read()) == (200, b"bytes")
        assert got.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%A4.png"
    for changed in (url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), url[:-1] + "g"):
        async with http.get(URL(changed, encoded=True)) as got:
            assert (got.status, b"bytes" in await got.read()) == (403, False)


async def test_what_a_function_signs_with_its_temporary_credentials_is_accepted(
    sample: Deployed, functions: Any, localstack: Endpoint, http: ClientSession
) -> None:
    seen, _, _ = await invoke(functions, sample.function, {"do": "describe"})
    given = seen["environment"]
    async with get_session().create_client(
        "s3",
        endpoint_url=localstack.url,
        region_name=given["AWS_REGION"],
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=given["AWS_SESSION_TOKEN"],
        config=AioConfig(signature_version="s3v4"),
    ) as s3:
        form = await _form(s3, sample.bucket, "uploads/by-function")
        url = await s3.generate_presigned_url(
            "get_object", Params={"Bucket": sample.bucket, "Key": "uploads/by-function"}
        )

    without_token = {**form, "fields": {**form["fields"], "x-amz-security-token": "another"}}
    refused, _ = await _post(http, without_token, b"x" * _SIZE)
    stored, text = await _post(http, form, b"x" * _SIZE)
    async with http.get(URL(url, encoded=True)) as got:
        assert (refused, stored, got.status) == (403, 204, 200), text


async def test_a_range_gives_its_bytes_and_the_whole_size(sample: Deployed, s3: Any) -> None:
    await s3.put_object(Bucket=sample.bucket, Key="range", Body=b"0123456789")

    got = await s3.get_object(Bucket=sample.bucket, Key="range", Range="bytes=0-3")

    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (await got["Body"].read(), got["ContentRange"]) == (b"0123", "bytes 0-3/10")


async def test_a_copy_of_what_has_changed_meanwhile_is_refused(sample: Deployed, s3: Any) -> None:
    put = await s3.put_object(Bucket=sample.bucket, Key="source", Body=b"bytes")
    copy = {"Bucket": sample.bucket, "CopySource": f"{sample.bucket}/source", "Key": "copy"}

    with pytest.raises(ClientError) as refused:
        await s3.copy_object(**copy, CopySourceIfMatch='"0123456789abcdef0123456789abcdef"')
    copied = await s3.copy_object(**copy, CopySourceIfMatch=put["ETag"])

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
    assert copied["CopyObjectResult"]["ETag"] == put["ETag"]


async def test_a_put_that_may_not_overwrite_does_not(sample: Deployed, s3: Any) -> None:
    await s3.put_object(Bucket=sample.bucket, Key="once", Body=b"first", IfNoneMatch="*")

    with pytest.raises(ClientError) as refused:
        await s3.put_object(Bucket=sample.bucket, Key="once", Body=b"second", IfNoneMatch="*")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


# ---- DynamoDB ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["put_item", "update_item", "delete_item"])
async def test_a_failed_condition_shows_the_record_that_broke_it(
    sample: Deployed, localstack: Endpoint, call: str
) -> None:
    identity = {"id": {"S": uuid.uuid4().hex}}
    record = {**identity, "owner": {"S": "a"}, "at": {"S": "1"}}
    arguments: dict[str, dict[str, Any]] = {
        "put_item": {"Item": record},
        "update_item": {
            "Key": identity,
            "UpdateExpression": "SET note = :note",
            "ExpressionAttributeValues": {":note": {"S": "seen"}},
        },
        "delete_item": {"Key": identity},
    }
    async with client(localstack, "dynamodb") as dynamodb:
        await dynamodb.put_item(TableName=sample.table, Item=record)
        with pytest.raises(ClientError) as refused:
            await getattr(dynamodb, call)(
                TableName=sample.table,
                ConditionExpression="attribute_not_exists(id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **arguments[call],
            )

    assert refused.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert refused.value.response["Item"] == record
