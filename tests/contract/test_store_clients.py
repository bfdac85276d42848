"""The service's own clients and the SDK's: same requests, same answers, same errors.

Both talk to a store that says what a test tells it to. What is stated about one of them alone is
where the SDK has no rule.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from zlib import crc32

import pytest
import pytest_asyncio
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
)

from service.errors import StoreUnavailable
from service.settings import Settings
from service.storage import patience
from service.storage.clients import Clients, open_admin_clients, open_clients, translated
from service.storage.rows import read_chunk
from service.storage.timeline import Chunk
from tests.support.scripted import (
    HANGS_UP,
    SILENCE,
    Asked,
    Said,
    ScriptedStore,
    says,
    scripted_store,
)
from tests.support.stores import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

Use = Callable[[Clients], Awaitable[Any]]
OPENERS = {"sdk": open_admin_clients, "mont": open_clients}
ITEM = {"id": {"S": "ü"}, "n": {"N": "1.5"}, "l": {"L": [{"BOOL": True}, {"NULL": True}]}}
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long is waited between attempts is botocore's own code on both sides."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_store() -> AsyncIterator[ScriptedStore]:
    async with scripted_store() as store:
        yield store


@pytest.fixture
def store(one_store: ScriptedStore) -> ScriptedStore:
    """A store that nobody has asked anything yet."""
    one_store.asked.clear()
    one_store.connections = 0
    return one_store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sides(one_store: ScriptedStore) -> AsyncIterator[dict[str, Clients]]:
    """Both kinds of clients, which most tests may share."""
    async with client_of("sdk", one_store.url) as sdk, client_of("mont", one_store.url) as mont:
        yield {"sdk": sdk, "mont": mont}


@asynccontextmanager
async def client_of(side: str, url: str) -> AsyncIterator[Clients]:
    async with OPENERS[side](Settings(aws_endpoint_url=url)) as clients:
        yield clients


@pytest.fixture(params=OPENERS)
def clients(
    request: pytest.FixtureRequest, sides: dict[str, Clients], store: ScriptedStore
) -> Clients:
    return sides[request.param]


@pytest_asyncio.fixture(loop_scope="module")
async def ours(store: ScriptedStore) -> AsyncIterator[Clients]:
    """The service's clients, with connections and a clock that no other test has used."""
    async with client_of("mont", store.url) as clients:
        yield clients


def get_item(clients: Clients) -> Awaitable[Any]:
    return clients.dynamodb.get_item(TableName="t", Key={"id": {"S": "a"}})


def put_item(clients: Clients) -> Awaitable[Any]:
    return clients.dynamodb.put_item(TableName="t", Item=ITEM)


def transact(clients: Clients) -> Awaitable[Any]:
    puts = [{"Put": {"TableName": "t", "Item": ITEM}}]
    return clients.dynamodb.transact_write_items(TransactItems=puts)


async def read(clients: Clients, range_: str = "bytes=0-2") -> Any:
    answer = await clients.s3.get_object(Bucket="mont", Key="a/b", Range=range_)
    async with answer["Body"] as stream:
        return {**answer, "Body": await stream.read()}


def copy(clients: Clients) -> Awaitable[Any]:
    return clients.s3.copy_object(
        Bucket="mont",
        Key="images/ü +.png",
        CopySource={"Bucket": "mont", "Key": "uploads/ü +%"},
        CopySourceIfMatch="0123",
        MetadataDirective="REPLACE",
        ContentType="image/png",
        CacheControl="private",
    )


def delete(clients: Clients) -> Awaitable[Any]:
    keys = [{"Key": "a"}, {"Key": "ü<&>\"'\r\n"}]
    return clients.s3.delete_objects(Bucket="mont", Delete={"Objects": keys, "Quiet": True})


def listing(clients: Clients) -> Awaitable[Any]:
    return clients.s3.list_objects_v2(
        Bucket="mont", Prefix="a/ü +", StartAfter="b", ContinuationToken="a+/=", MaxKeys=2
    )


def dynamodb(body: object, status: int = 200, **headers: str) -> Said:
    return says(status, json.dumps(body).encode(), x_amzn_requestid="R", **headers)


def xml(body: str, status: int = 200, **headers: str) -> Said:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return says(status, text.encode(), content_type="application/xml", **headers)


def s3_error(code: str, status: int = 400, more: str = "", **headers: str) -> Said:
    body = f"<Error><Code>{code}</Code><Message>Why</Message>{more}</Error>"
    return xml(body, status, **headers)


# --- the same requests and answers ----------------------------------------------------------------

OBJECT = {
    "etag": '"0123"',
    "content_type": "image/png",
    "last_modified": "Fri, 13 Feb 2026 12:00:05 GMT",
    "X_AMZ_Meta_Mont_Declared": "jWyJhIl0=",
    "x_amz_request_id": "R",
    "x_amz_id_2": "H",
}
COPIED = f'<CopyObjectResult {XMLNS}><LastModified>2026-02-13T12:00:05.000Z</LastModified>\
<ETag>"0123"</ETag></CopyObjectResult>'
LISTED = f"""<ListBucketResult {XMLNS}><Name>mont</Name><Prefix>a/%C3%BC%20%2B</Prefix>
<StartAfter>b</StartAfter><ContinuationToken>a+/=</ContinuationToken><KeyCount>2</KeyCount>
<MaxKeys>2</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<NextContinuationToken>t+</NextContinuationToken>
<Contents><Key>a%2Fb%20c+d</Key><LastModified>2026-02-13T12:00:05.000Z</LastModified>
<ETag>&quot;x&quot;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents>
<Contents><Key>%C3%BC</Key><LastModified>2026-02-13T12:00:06.000Z</LastModified>
<ETag>&quot;y&quot;</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>
<CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes></ListBucketResult>"""
DELETED = f"<DeleteResult {XMLNS}><Error><Key>a</Key><Code>AccessDenied</Code>\
<Message>No</Message></Error></DeleteResult>"

SAME: dict[str, tuple[Use, Said]] = {
    "GetItem": (get_item, dynamodb({"Item": ITEM})),
    "GetItem of nothing": (get_item, dynamodb({})),
    "GetItem, answered with a checksum": (
        get_item,
        dynamodb({"Item": ITEM}, x_amz_crc32=str(crc32(json.dumps({"Item": ITEM}).encode()))),
    ),
    "GetItem of binary values": (
        lambda clients: clients.dynamodb.get_item(TableName="t", Key={"id": {"B": b"\0\xff"}}),
        dynamodb(
            {
                "Item": {
                    "id": {"B": "AP8="},
                    "set": {"BS": ["AP8=", ""]},
                    "B": {"S": "B"},
                    "BS": {"M": {"B": {"L": [{"B": "AA=="}]}}},
                }
            }
        ),
    ),
    "PutItem": (
        lambda clients: clients.dynamodb.put_item(
            TableName="t",
            Item=ITEM,
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        ),
        says(200),
    ),
    "UpdateItem": (
        lambda clients: clients.dynamodb.update_item(
            TableName="t",
            Key={"id": {"S": "a"}},
            UpdateExpression="SET #n = :v",
            ExpressionAttributeNames={"#n": "n"},
            ExpressionAttributeValues={":v": {"N": "2"}},
            ReturnValues="ALL_NEW",
        ),
        dynamodb({"Attributes": ITEM}),
    ),
    "DeleteItem": (
        lambda clients: clients.dynamodb.delete_item(TableName="t", Key={"id": {"S": "a"}}),
        dynamodb({}),
    ),
    "Query": (
        lambda clients: clients.dynamodb.query(
            TableName="t", IndexName="index", ScanIndexForward=False, Limit=3
        ),
        dynamodb({"Items": [ITEM] * 3, "Count": 3, "ScannedCount": 9, "LastEvaluatedKey": ITEM}),
    ),
    "Scan": (
        lambda clients: clients.dynamodb.scan(TableName="t", ConsistentRead=True),
        dynamodb({"Items": [], "Count": 0, "ScannedCount": 0}),
    ),
    "BatchGetItem": (
        lambda clients: clients.dynamodb.batch_get_item(
            RequestItems={"ttt": {"Keys": [{"id": {"S": "a"}}], "ConsistentRead": True}}
        ),
        dynamodb(
            {
                "Responses": {"ttt": [ITEM]},
                "UnprocessedKeys": {"ttt": {"Keys": [{"id": {"S": "b"}}]}},
            }
        ),
    ),
    "BatchWriteItem": (
        lambda clients: clients.dynamodb.batch_write_item(
            RequestItems={"ttt": [{"DeleteRequest": {"Key": {"id": {"S": "a"}}}}]}
        ),
        dynamodb({"UnprocessedItems": {}}),
    ),
    "TransactWriteItems": (
        lambda clients: clients.dynamodb.transact_write_items(
            TransactItems=[{"Put": {"TableName": "t", "Item": ITEM}}], ClientRequestToken="token"
        ),
        dynamodb({}),
    ),
    "DescribeTable": (
        lambda clients: clients.dynamodb.describe_table(TableName="ttt"),
        dynamodb({"Table": {"TableName": "ttt", "TableStatus": "ACTIVE", "ItemCount": 3}}),
    ),
    "GetObject": (read, says(206, b"abc", content_range="bytes 0-2/9", **OBJECT)),
    "GetObject of a smaller one": (
        lambda clients: read(clients, "bytes=0-999"),
        says(206, b"abc", content_range="bytes 0-2/3", **OBJECT),
    ),
    "HeadObject": (
        lambda clients: clients.s3.head_object(Bucket="mont", Key="a/ü +.~!'()*%//../x"),
        says(200, length=0, **OBJECT),
    ),
    "HeadObject, dated in the old way": (
        lambda clients: clients.s3.head_object(Bucket="mont", Key="a"),
        says(200, length=0, **{**OBJECT, "last_modified": "Friday, 13-Feb-26 12:00:05 GMT"}),
    ),
    "HeadBucket": (lambda clients: clients.s3.head_bucket(Bucket="mont"), says(200)),
    "CopyObject": (copy, xml(COPIED)),
    "DeleteObjects": (delete, xml(DELETED)),
    "DeleteObjects, all gone": (delete, xml(f"<DeleteResult {XMLNS}/>")),
    "ListObjectsV2": (listing, xml(LISTED)),
    "ListObjectsV2 of nothing": (
        listing,
        xml(f"<ListBucketResult {XMLNS}><IsTruncated>false</IsTruncated></ListBucketResult>"),
    ),
}
# Signatures depend on the moment; the rest is the SDK's way of introducing itself.
NOT_COMPARED = {"host", "authorization", "x-amz-date", "user-agent"} | {
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "accept",
    "accept-encoding",
}


def essence(asked: Asked) -> tuple[object, ...]:
    """What of a request makes a difference to the store."""
    headers = {name: value for name, value in asked.headers.items() if name not in NOT_COMPARED}
    if "x-amz-target" in headers:
        headers.pop("x-amz-content-sha256", None)  # not for DynamoDB
        headers.pop("content-length")  # the SDK's JSON has blanks in it
        body: object = json.loads(asked.body)
    else:
        headers.pop("x-amz-checksum-mode", None)  # no checksum is said of a range
        body = asked.body
        if b"<Delete" in asked.body:
            headers.pop("content-type", None)
    path, _, query = asked.target.partition("?")
    pairs = {pair if "=" in pair else f"{pair}=" for pair in query.split("&")}
    return asked.method, path, pairs, headers, body


@pytest.mark.parametrize("call", SAME)
async def test_a_call_sends_and_returns_the_same(
    sides: dict[str, Clients], store: ScriptedStore, call: str
) -> None:
    use, said = SAME[call]
    answers = []
    for clients in sides.values():
        store.script = [said]
        answer = await use(clients)
        facts = answer.pop("ResponseMetadata")
        answers.append((answer, facts["HTTPStatusCode"], facts["RetryAttempts"]))
    assert answers[0] == answers[1]
    theirs, ours = store.asked
    assert essence(ours) == essence(theirs)


async def test_a_transaction_has_one_token_for_all_its_attempts(
    clients: Clients, store: ScriptedStore
) -> None:
    store.script = [dynamodb({}, 500), dynamodb({})]
    for _ in range(2):
        await transact(clients)
    tokens = [json.loads(asked.body)["ClientRequestToken"] for asked in store.asked]
    assert tokens[0] == tokens[1] != tokens[2]


async def test_a_keyword_that_nobody_thought_of_is_refused_not_left_out(ours: Clients) -> None:
    with pytest.raises(TypeError, match="IfMatch"):
        await ours.s3.get_object(Bucket="mont", Key="a", IfMatch="x")
    with pytest.raises(TypeError, match="set"):
        await ours.dynamodb.get_item(TableName="t", Key={"id": {"SS": {"a"}}})


# --- the same errors ------------------------------------------------------------------------------

TYPE = "com.amazonaws.dynamodb.v20120810#"
REFUSED: dict[str, tuple[Use, Said]] = {
    "a condition, with the item": (
        get_item,
        dynamodb(
            {"__type": f"{TYPE}ConditionalCheckFailedException", "message": "No", "Item": ITEM}, 400
        ),
    ),
    "a transaction, with reasons": (
        transact,
        dynamodb(
            {
                "__type": f"{TYPE}TransactionCanceledException",
                "Message": "Cancelled",
                "CancellationReasons": [
                    {"Code": "None"},
                    {"Code": "ConditionalCheckFailed", "Item": ITEM, "Message": "No"},
                ],
            },
            400,
        ),
    ),
    "no such table": (
        get_item,
        dynamodb({"__type": f"{TYPE}ResourceNotFoundException", "message": "Not here"}, 400),
    ),
    "an expired token": (
        get_item,
        dynamodb({"__type": f"{TYPE}ExpiredTokenException", "message": "Expired"}, 400),
    ),
    "another's page": (get_item, says(403, b"<html>No", content_type="text/html")),
    "no such key": (read, s3_error("NoSuchKey", 404, "<Key>a</Key><RequestId>R</RequestId>")),
    "no such range": (read, s3_error("InvalidRange", 416)),
    "an expired token of S3": (read, s3_error("ExpiredToken", 400)),
    "nobody's object": (
        lambda clients: clients.s3.head_object(Bucket="mont", Key="a"),
        says(404, length=0),
    ),
    "nobody's bucket": (lambda clients: clients.s3.head_bucket(Bucket="mont"), says(404)),
    "a forbidden bucket": (lambda clients: clients.s3.head_bucket(Bucket="mont"), says(403)),
    "a changed source": (copy, s3_error("PreconditionFailed", 412)),
    "a write under way": (copy, s3_error("ConditionalRequestConflict", 409)),
    "not S3 at all": (read, says(404, b"<html><p>Lost", content_type="text/html")),
    "a listing of nobody's bucket": (listing, s3_error("NoSuchBucket", 404)),
}


async def refusals(
    sides: dict[str, Clients], use: Use, store: ScriptedStore, said: Said
) -> tuple[ClientError, ClientError]:
    """The SDK's and ours."""
    store.script = [said]
    with pytest.raises(ClientError) as theirs:
        await use(sides["sdk"])
    with pytest.raises(ClientError) as ours:
        await use(sides["mont"])
    return theirs.value, ours.value


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_is_the_same_and_final(
    sides: dict[str, Clients], store: ScriptedStore, case: str
) -> None:
    use, said = REFUSED[case]
    theirs, ours = await refusals(sides, use, store, said)
    assert len(store.asked) == 2
    assert ours.operation_name == theirs.operation_name
    assert ours.response["Error"] == theirs.response["Error"]
    for member in ("Item", "CancellationReasons"):
        assert ours.response.get(member) == theirs.response.get(member)
    for fact in ("HTTPStatusCode", "RetryAttempts"):
        assert ours.response["ResponseMetadata"][fact] == theirs.response["ResponseMetadata"][fact]


PASSING: dict[str, tuple[Use, Said]] = {
    "throttled by DynamoDB": (
        get_item,
        dynamodb({"__type": f"{TYPE}ProvisionedThroughputExceededException"}, 400),
    ),
    "throttled by the account": (get_item, dynamodb({"__type": f"{TYPE}ThrottlingException"}, 400)),
    "a write of another region": (
        put_item,
        dynamodb({"__type": f"{TYPE}ReplicatedWriteConflictException"}, 400),
    ),
    "an internal error": (get_item, dynamodb({"__type": f"{TYPE}InternalServerError"}, 500)),
    "a gateway's page": (get_item, says(502, b"<html>Bad", content_type="text/html")),
    "nothing but a status": (get_item, says(503)),
    "S3 slowing down": (read, s3_error("SlowDown", 503)),
    "a request that took too long": (copy, s3_error("RequestTimeout", 400)),
    "a copy that failed after all": (copy, s3_error("InternalError", 200)),
    "a deletion that failed after all": (delete, s3_error("InternalError", 200)),
    "a listing that failed after all": (listing, s3_error("SlowDown", 200)),
    "a copy's answer that breaks off": (copy, xml("<CopyObjectResult><ETag>")),
    "a head": (lambda clients: clients.s3.head_object(Bucket="mont", Key="a"), says(500)),
}
GOOD: dict[Use, Said] = {
    get_item: dynamodb({}),
    put_item: dynamodb({}),
    read: says(206, b"abc", content_range="bytes 0-2/3", **OBJECT),
    copy: xml(COPIED),
    delete: xml(DELETED),
    listing: xml(LISTED),
}


@pytest.mark.parametrize("case", PASSING)
async def test_what_may_pass_is_asked_three_times_and_then_raised(
    sides: dict[str, Clients], store: ScriptedStore, case: str
) -> None:
    use, said = PASSING[case]
    theirs, ours = await refusals(sides, use, store, said)
    assert len(store.asked) == 2 * patience.TRIES
    assert ours.response["Error"] == theirs.response["Error"]
    assert ours.response["ResponseMetadata"]["RetryAttempts"] == patience.TRIES - 1
    assert (
        ours.response["ResponseMetadata"]["HTTPStatusCode"]
        == theirs.response["ResponseMetadata"]["HTTPStatusCode"]
    )


@pytest.mark.parametrize("case", PASSING)
async def test_what_passes_is_answered(clients: Clients, store: ScriptedStore, case: str) -> None:
    use, said = PASSING[case]
    store.script = [said, said, GOOD.get(use, says(200, length=0))]
    answer = await use(clients)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert len({asked.headers["authorization"] for asked in store.asked}) <= 2
    assert len({(asked.target, asked.body) for asked in store.asked}) == 1


# --- connections ----------------------------------------------------------------------------------


async def failure_of(side: str, url: str) -> tuple[type[BaseException], ...]:
    """The kinds of error that a call of each store ends with."""
    kinds = []
    async with client_of(side, url) as clients:
        for use in (get_item, copy):
            with pytest.raises(BotoCoreError) as caught:
                await use(clients)
            kinds.append(type(caught.value))
    return tuple(kinds)


BROKEN: dict[str, tuple[Said, type[BaseException]]] = {
    "hangs up": (HANGS_UP, ConnectionClosedError),
    "is silent": (SILENCE, ReadTimeoutError),
    "breaks off": (says(200, b'{"Item', length=100), ConnectionClosedError),
    "speaks no HTTP": (Said(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", then_hang_up=True), HTTPClientError),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_exchange_is_the_same_error_and_was_tried_again(
    store: ScriptedStore, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, kind = BROKEN[case]
    if said is SILENCE:
        monkeypatch.setattr(patience, "READ_SECONDS", 0.04)
    store.script = [said]
    for side in OPENERS:
        store.asked.clear()
        assert await failure_of(side, store.url) == (kind, kind)
        # aiohttp itself sends a PUT again on a connection that is closed; never a POST.
        puts = sum(asked.method == "PUT" for asked in store.asked)
        assert len(store.asked) - puts == patience.TRIES
        assert puts in {patience.TRIES, 2 * patience.TRIES}


async def test_nobody_listening_is_the_same_error() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for side in OPENERS:
        assert await failure_of(side, url) == (EndpointConnectionError, EndpointConnectionError)


async def test_a_connection_that_is_never_made_is_the_same_error() -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(patience, "CONNECT_SECONDS", 0.04)
        patched.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", never)
        for side in OPENERS:
            failure = await failure_of(side, "http://127.0.0.1:9")
            assert failure == (ConnectTimeoutError, ConnectTimeoutError)


async def test_whoever_has_no_keys_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for opener in OPENERS.values():
        async with opener(Settings(s3_bucket_name="mont")) as clients:
            for use in (get_item, copy):
                with pytest.raises(NoCredentialsError):
                    await use(clients)


async def test_an_object_that_breaks_off_is_asked_for_again(
    ours: Clients, store: ScriptedStore
) -> None:
    store.script = [says(206, b"ab", length=3, **OBJECT), says(206, b"abc", **OBJECT)]
    assert (await read(ours))["Body"] == b"abc"
    assert len(store.asked) == 2


async def test_reading_takes_one_connection_however_often(
    ours: Clients, store: ScriptedStore
) -> None:
    store.script = [GOOD[read], s3_error("NoSuchKey", 404), GOOD[read]]
    await read(ours)
    with pytest.raises(ClientError):
        await read(ours)
    for _ in range(5):
        await read(ours)
    assert store.connections == 1


async def test_of_a_server_that_knows_no_ranges_no_more_is_read_than_was_asked_for(
    ours: Clients, store: ScriptedStore
) -> None:
    store.script = [says(200, bytes(4_000_000), **OBJECT), says(206, b"abc", **OBJECT)]
    answer = await read(ours)
    assert (answer["Body"], answer["ContentLength"]) == (bytes(3), 4_000_000)
    # What was left unread cannot be taken for the next answer.
    assert (await read(ours))["Body"] == b"abc"
    assert store.connections == 2


async def test_a_redirect_is_not_followed_and_says_where_the_bucket_is(
    ours: Clients, store: ScriptedStore
) -> None:
    redirect = s3_error("PermanentRedirect", 301, location="/x", x_amz_bucket_region="eu-west-1")
    temporary = s3_error("TemporaryRedirect", 307, location="/x")
    wrong = s3_error("AuthorizationHeaderMalformed", 400, "<Region>eu-west-1</Region>")
    for said, code, hint in (
        (redirect, "PermanentRedirect", "the bucket is in eu-west-1: AWS_REGION has to say so"),
        (wrong, "AuthorizationHeaderMalformed", "the bucket is in eu-west-1"),
        (temporary, "TemporaryRedirect", "Why"),
    ):
        store.script = [said]
        with pytest.raises(ClientError, match=hint) as caught:
            await read(ours)
        assert caught.value.response["Error"]["Code"] == code
    store.script = [says(301, length=0, x_amz_bucket_region="eu-west-1")]
    with pytest.raises(ClientError, match=r"301.*the bucket is in eu-west-1"):
        await ours.s3.head_bucket(Bucket="mont")
    assert len(store.asked) == 4


# --- where the SDK has no rule --------------------------------------------------------------------


@pytest.mark.parametrize(
    "damaged",
    [dynamodb({"Item": ITEM}, x_amz_crc32="1"), says(200, b'{"Item": '), says(200, b"<html>")],
    ids=["checksum", "cut", "not JSON"],
)
async def test_a_damaged_answer_is_none(ours: Clients, store: ScriptedStore, damaged: Said) -> None:
    store.script = [damaged, dynamodb({"Item": ITEM})]
    assert (await get_item(ours))["Item"] == ITEM
    store.script = [damaged]
    with pytest.raises(HTTPClientError, match="damaged"):
        await get_item(ours)
    assert len(store.asked) == 2 + patience.TRIES


def query(clients: Clients) -> Awaitable[Any]:
    return clients.dynamodb.query(TableName="t", IndexName="index", Limit=3)


def query_with(clients: Clients, read: Callable[[bytes], Any] = bytes) -> Awaitable[Any]:
    return clients.dynamodb.query_with(read, TableName="t", IndexName="index", Limit=3)


async def test_a_query_read_by_its_caller_is_the_same_query(
    ours: Clients, store: ScriptedStore
) -> None:
    store.script = [dynamodb({"Items": [ITEM], "ScannedCount": 1})] * 2
    answer = await query(ours)
    document = json.loads(await query_with(ours))
    assert document == {name: answer[name] for name in ("Items", "ScannedCount")}
    asked, asked_again = store.asked
    assert essence(asked) == essence(asked_again)


@pytest.mark.parametrize("use", [query, query_with])
async def test_whoever_reads_a_query_it_is_refused_and_repeated_alike(
    ours: Clients, store: ScriptedStore, use: Use
) -> None:
    refused = dynamodb({"__type": f"{TYPE}ValidationException", "message": "Why"}, 400)
    damaged = dynamodb({"Items": []}, x_amz_crc32="1")
    store.script = [refused]
    with pytest.raises(ClientError, match="Why"):
        await use(ours)
    assert len(store.asked) == 1
    store.script = [damaged, dynamodb({"Items": []})]
    assert "Items" in str(await use(ours))
    store.script = [damaged]
    with pytest.raises(HTTPClientError, match="damaged"):
        await use(ours)
    assert len(store.asked) == 3 + patience.TRIES


async def test_a_query_whose_reader_finds_it_damaged_is_made_again(
    ours: Clients, store: ScriptedStore
) -> None:
    store.script = [says(200, b'{"Items": '), dynamodb({"Items": [], "ScannedCount": 0})]
    assert await query_with(ours, read_chunk) == Chunk([], 0, None)
    assert len(store.asked) == 2


SKEWED: dict[str, tuple[Use, Callable[..., Said]]] = {
    "DynamoDB": (
        get_item,
        lambda **date: dynamodb(
            {"__type": f"{TYPE}InvalidSignatureException", "message": "Signature expired"},
            400,
            **date,
        ),
    ),
    "S3": (read, lambda **date: s3_error("RequestTimeTooSkewed", 403, **date)),
    "a HEAD of S3": (
        lambda clients: clients.s3.head_object(Bucket="mont", Key="a"),
        lambda **date: says(403, length=0, **date),
    ),
}


@pytest.mark.parametrize("case", SKEWED)
@pytest.mark.parametrize("hours", [-3, 3])
async def test_a_wrong_clock_is_corrected_once_and_for_all(
    ours: Clients, store: ScriptedStore, case: str, hours: int
) -> None:
    use, skewed = SKEWED[case]
    theirs = datetime.now(UTC) + timedelta(hours=hours)
    good = GOOD.get(use, says(200, length=0))
    store.script = [skewed(date=format_datetime(theirs, usegmt=True)), good]
    await use(ours)
    await use(ours)
    assert len(store.asked) == 3
    for asked in store.asked[1:]:
        sent = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%S%z")
        assert math.isclose(sent.timestamp(), theirs.timestamp(), abs_tol=60)


async def test_a_signature_that_is_wrong_at_the_right_time_is_refused_at_once(
    ours: Clients, store: ScriptedStore
) -> None:
    now = format_datetime(datetime.now(UTC), usegmt=True)
    store.script = [s3_error("SignatureDoesNotMatch", 403, date=now)]
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        await read(ours)
    store.script = [s3_error("SignatureDoesNotMatch", 403, date="yesterday")]
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        await read(ours)
    assert len(store.asked) == 2


async def test_links_are_signed_by_the_clock_that_s3_goes_by(
    ours: Clients, store: ScriptedStore
) -> None:
    theirs = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    skewed = s3_error("RequestTimeTooSkewed", 403, date=format_datetime(theirs, usegmt=True))
    store.script = [skewed, GOOD[read]]
    await read(ours)
    form = await ours.signer.generate_presigned_post(
        "mont", "a", Fields={}, Conditions=[], ExpiresIn=60
    )
    assert re.fullmatch(r"20010203T0405\d\dZ", form["fields"]["x-amz-date"])
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    assert policy["expiration"].startswith("2001-02-03T04:06")


# --- observers ------------------------------------------------------------------------------------


async def test_each_call_is_told_to_whoever_listens(store: ScriptedStore) -> None:
    told: list[tuple[str, str, int, str | None]] = []

    def listen(name: str, operation: str, seconds: float, attempts: int, code: str | None) -> None:
        assert seconds > 0
        told.append((name, operation, attempts, code))

    async with open_clients(Settings(aws_endpoint_url=store.url), on_call=listen) as clients:
        store.script = [dynamodb({}, 500), dynamodb({})]
        await get_item(clients)
        store.script = [s3_error("NoSuchKey", 404)]
        with pytest.raises(ClientError):
            await read(clients)
        store.script = [HANGS_UP]
        with pytest.raises(BotoCoreError):
            await copy(clients)
        store.script = [SILENCE]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await get_item(clients)
    assert told == [
        ("DynamoDB", "GetItem", 2, None),
        ("S3", "GetObject", 1, "NoSuchKey"),
        ("S3", "CopyObject", patience.TRIES, "ConnectionClosedError"),
        ("DynamoDB", "GetItem", 1, "CancelledError"),
    ]


async def test_whatever_goes_wrong_is_one_error_to_the_core(
    ours: Clients, store: ScriptedStore
) -> None:
    broken = [said for said, _ in BROKEN.values() if said is not SILENCE]
    for said in (*broken, *(said for _, said in REFUSED.values())):
        store.script = [said]
        with pytest.raises(StoreUnavailable), translated("S3"):
            await copy(ours)
