"""Provisioning makes the stores of the template, repairs them, and otherwise leaves them alone."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from botocore.exceptions import ClientError

from service.errors import StoreUnavailable
from service.storage.definitions import IndexDefinition, KeySchema, StoreDefinitions
from service.storage.provisioning import Change, ProvisioningConflict, provision
from service.storage.template import load_template, template_path

REGION = "eu-central-1"


@contextmanager
def moto(*options: str) -> Iterator[str]:
    """A moto server on a free port; gives its address."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        try:
            found = (re.search(r"Running on (https?://\S+)", line) for line in server.stderr)
            address = next(match[1] for match in found if match)
            # Its log has to flow, or the server stops when the pipe is full.
            log = Thread(target=server.stderr.read)
            log.start()
            yield address
        finally:
            server.terminate()
        log.join()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto() as address:
        yield address


@dataclass(frozen=True)
class Stores:
    """Clients, and definitions with names that no other test uses."""

    s3: Any
    dynamodb: Any
    wanted: StoreDefinitions
    region: str = REGION

    async def provision(self, wanted: StoreDefinitions | None = None, **options: float) -> set[str]:
        """What changed, without the names of the stores."""
        wanted = wanted or self.wanted
        changes = await provision(
            self.s3, self.dynamodb, wanted.bucket, wanted.tables, self.region, **options
        )
        return {f"{change.kind} {change.what}" for change in changes}

    async def table(self) -> Any:
        answer = await self.dynamodb.describe_table(TableName=self.wanted.tables[0].name)
        return answer["Table"]

    async def create_table(self, **arguments: Any) -> None:
        await self.dynamodb.create_table(
            TableName=self.wanted.tables[0].name,
            **{
                "AttributeDefinitions": attributes(image_id="S"),
                "KeySchema": [{"AttributeName": "image_id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            }
            | arguments,
        )


def attributes(**types: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def definitions() -> StoreDefinitions:
    name = f"test-{uuid4().hex}"
    return load_template(template_path(), {"BucketName": name, "TableName": name})


@cache
def shared_session() -> AioSession:
    """Reads the descriptions of the services once; they take longer than most tests."""
    return get_session()


@asynccontextmanager
async def opened(endpoint: str, region: str = REGION, **options: Any) -> AsyncIterator[Stores]:
    session = shared_session()
    settings: dict[str, Any] = {
        "region_name": region,
        "endpoint_url": endpoint,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        # A repeated call would hide that the first one failed.
        "config": AioConfig(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        **options,
    }
    async with AsyncExitStack() as stack:
        yield Stores(
            await stack.enter_async_context(session.create_client("s3", **settings)),
            await stack.enter_async_context(session.create_client("dynamodb", **settings)),
            definitions(),
            region,
        )


@pytest.fixture
async def stores(endpoint: str) -> AsyncIterator[Stores]:
    async with opened(endpoint) as stores:
        yield stores


async def test_it_makes_everything_where_there_is_nothing(stores: Stores) -> None:
    assert await stores.provision() == {"created bucket", "created table"}
    bucket = stores.wanted.bucket.name
    location = await stores.s3.get_bucket_location(Bucket=bucket)
    assert location["LocationConstraint"] == REGION
    cors = await stores.s3.get_bucket_cors(Bucket=bucket)
    assert cors["CORSRules"][0]["AllowedMethods"] == ["GET", "HEAD", "POST"]
    lifecycle = await stores.s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert [
        (rule["Filter"]["Prefix"], rule["Expiration"]["Days"])
        for rule in lifecycle["Rules"]
        if "Expiration" in rule
    ] == [("uploads/", 1)]
    closed = await stores.s3.get_public_access_block(Bucket=bucket)
    assert set(closed["PublicAccessBlockConfiguration"].values()) == {True}

    table = await stores.table()
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["DeletionProtectionEnabled"] is True
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {
        "UserIdTimestampIndex",
        "TimelineIndex",
        "DeletingIndex",
    }
    backups = await stores.dynamodb.describe_continuous_backups(TableName=table["TableName"])
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


async def test_again_it_changes_nothing(stores: Stores) -> None:
    await stores.provision()
    assert await stores.provision() == set()


async def test_the_first_region_needs_no_location(endpoint: str) -> None:
    async with opened(endpoint, region="us-east-1") as stores:
        assert await stores.provision() == {"created bucket", "created table"}
        assert await stores.provision() == set()


async def test_a_change_names_its_store(stores: Stores) -> None:
    wanted = stores.wanted
    changes = await provision(stores.s3, stores.dynamodb, wanted.bucket, wanted.tables, REGION)
    assert Change(wanted.bucket.name, "created", "bucket") in changes
    assert f"{wanted.tables[0].name}: table created" in map(str, changes)


async def test_plain_http_endpoints_get_no_policy_against_plain_http(stores: Stores) -> None:
    await stores.provision()
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        await stores.s3.get_bucket_policy(Bucket=stores.wanted.bucket.name)


async def test_endpoints_with_tls_refuse_plain_http() -> None:
    with moto("--ssl") as endpoint:
        async with opened(endpoint, verify=False) as stores:
            assert await stores.provision() == {"created bucket", "created table"}
            answer = await stores.s3.get_bucket_policy(Bucket=stores.wanted.bucket.name)
            assert "aws:SecureTransport" in answer["Policy"]
            assert await stores.provision() == set()


async def test_a_bucket_with_other_cors_is_repaired(stores: Stores) -> None:
    await stores.provision()
    bucket = stores.wanted.bucket.name
    rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://elsewhere.example"]}
    await stores.s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert await stores.provision() == {"updated CORS"}
    cors = await stores.s3.get_bucket_cors(Bucket=bucket)
    assert [rule["AllowedOrigins"] for rule in cors["CORSRules"]] == [["*"]]
    assert await stores.provision() == set()


async def test_a_bare_bucket_gets_every_setting_and_keeps_its_objects(stores: Stores) -> None:
    bucket = stores.wanted.bucket.name
    place = {"LocationConstraint": REGION}
    await stores.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    await stores.s3.put_object(Bucket=bucket, Key="images/a", Body=b"a")
    assert await stores.provision() == {
        "updated public access block",
        "updated object ownership",
        "updated encryption",
        "updated CORS",
        "updated lifecycle",
        "created table",
    }
    assert (await stores.s3.head_object(Bucket=bucket, Key="images/a"))["ContentLength"] == 1


async def test_a_table_without_an_index_gets_it(stores: Stores) -> None:
    await stores.provision(without(stores.wanted, "TimelineIndex"))
    assert await stores.provision() == {"created index TimelineIndex"}
    await assert_whole(stores)


async def test_a_bare_table_gets_indexes_and_protection(stores: Stores) -> None:
    await stores.create_table()
    assert await stores.provision() == {
        "created bucket",
        "created index UserIdTimestampIndex",
        "created index TimelineIndex",
        "created index DeletingIndex",
        "updated deletion protection",
        "updated point-in-time recovery",
    }
    await assert_whole(stores)


async def test_indexes_of_others_are_left_alone(stores: Stores) -> None:
    table, *others = stores.wanted.tables
    theirs = IndexDefinition("Theirs", KeySchema("user_id"), "KEYS_ONLY")
    more = replace(table, indexes=(*table.indexes, theirs))
    await stores.provision(replace(stores.wanted, tables=(more, *others)))
    assert await stores.provision() == set()
    names = [index["IndexName"] for index in (await stores.table())["GlobalSecondaryIndexes"]]
    assert "Theirs" in names


async def test_protection_that_is_not_wanted_is_neither_made_nor_removed(stores: Stores) -> None:
    table, *others = stores.wanted.tables
    bare = replace(table, deletion_protection=False, point_in_time_recovery=False)
    unprotected = replace(stores.wanted, tables=(bare, *others))
    await stores.provision(unprotected)
    assert (await stores.table())["DeletionProtectionEnabled"] is False
    assert await stores.provision() == {
        "updated deletion protection",
        "updated point-in-time recovery",
    }
    assert await stores.provision(unprotected) == set()
    assert (await stores.table())["DeletionProtectionEnabled"] is True


async def expiry_of(stores: Stores) -> Any:
    answer = await stores.dynamodb.describe_time_to_live(TableName=stores.wanted.tables[0].name)
    return answer["TimeToLiveDescription"]


async def test_expiry_is_turned_on_once_and_never_off(stores: Stores) -> None:
    table, *others = stores.wanted.tables
    assert table.expiry_attribute is None
    expiring = replace(stores.wanted, tables=(replace(table, expiry_attribute="gone_at"), *others))
    await stores.provision()
    assert await stores.provision(expiring) == {"updated expiry by gone_at"}
    assert (await expiry_of(stores))["AttributeName"] == "gone_at"
    assert await stores.provision(expiring) == set()
    assert await stores.provision() == set()
    assert (await expiry_of(stores))["TimeToLiveStatus"] == "ENABLED"


async def test_another_expiry_is_a_conflict(stores: Stores) -> None:
    table, *others = stores.wanted.tables

    def expiring(by: str) -> StoreDefinitions:
        return replace(stores.wanted, tables=(replace(table, expiry_attribute=by), *others))

    await stores.provision(expiring("gone_at"))
    with pytest.raises(ProvisioningConflict, match="items expire by gone_at, not by other"):
        await stores.provision(expiring("other"))


async def test_another_key_is_a_conflict(stores: Stores) -> None:
    await stores.create_table(
        AttributeDefinitions=attributes(id="S"),
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    with pytest.raises(ProvisioningConflict, match="has the key id, not image_id"):
        await stores.provision()


async def test_another_type_of_key_is_a_conflict(stores: Stores) -> None:
    await stores.create_table(AttributeDefinitions=attributes(image_id="N"))
    with pytest.raises(ProvisioningConflict, match="image_id is of type N, not S"):
        await stores.provision()


@pytest.mark.parametrize(
    ("index", "complaint"),
    [
        (
            IndexDefinition("TimelineIndex", KeySchema("user_id", "upload_timestamp"), "ALL"),
            "has the key user_id, upload_timestamp, not timeline_shard, upload_timestamp",
        ),
        (
            IndexDefinition(
                "TimelineIndex", KeySchema("timeline_shard", "upload_timestamp"), "KEYS_ONLY"
            ),
            "projects KEYS_ONLY, not ALL",
        ),
    ],
)
async def test_another_index_of_the_name_is_a_conflict(
    stores: Stores, index: IndexDefinition, complaint: str
) -> None:
    table, *_ = without(stores.wanted, "TimelineIndex").tables
    await stores.provision(with_indexes(stores.wanted, *table.indexes, index))
    with pytest.raises(ProvisioningConflict, match=complaint):
        await stores.provision()


async def test_a_bucket_in_another_region_is_a_conflict(endpoint: str, stores: Stores) -> None:
    await stores.provision()
    async with opened(endpoint, region="eu-west-1") as elsewhere:
        with pytest.raises(ProvisioningConflict, match="is in eu-central-1, not in eu-west-1"):
            await elsewhere.provision(stores.wanted)


async def test_two_at_once_make_one_of_everything(endpoint: str, stores: Stores) -> None:
    async with opened(endpoint) as others:
        both = await asyncio.gather(stores.provision(), others.provision(stores.wanted))
    assert "created table" in set.union(*both)
    await assert_whole(stores)


async def test_an_endpoint_that_nobody_serves_is_an_unavailable_store(
    unused_tcp_port: int,
) -> None:
    async with opened(f"http://127.0.0.1:{unused_tcp_port}") as stores:
        with pytest.raises(StoreUnavailable) as unavailable:
            await stores.provision()
    assert unavailable.value.store == "S3"


# What moto does not do by itself: an endpoint that answers some calls in its own way.

Answer = Callable[[web.Request], web.Response | None]


@asynccontextmanager
async def in_front_of(endpoint: str, answer: Answer) -> AsyncIterator[Stores]:
    """Stores whose every call goes to `answer` first, and to the endpoint where that gives None."""

    async def forward(request: web.Request) -> web.StreamResponse:
        if (own := answer(request)) is not None:
            await request.read()
            return own
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        async with session.request(
            request.method,
            f"{endpoint}{request.path_qs}",
            headers=headers,
            data=await request.read(),
        ) as real:
            kept = {k: v for k, v in real.headers.items() if k.lower() not in HOP_BY_HOP}
            return web.Response(status=real.status, headers=kept, body=await real.read())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    async with (
        ClientSession(auto_decompress=False) as session,
        TestServer(app) as server,
        opened(str(server.make_url("")).rstrip("/")) as stores,
    ):
        yield stores


HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "date", "server"}


def s3_error(status: int, code: str) -> web.Response:
    text = f"<Error><Code>{code}</Code><Message>as told</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def dynamodb_error(code: str) -> web.Response:
    return web.json_response({"__type": f"x#{code}", "message": "as told"}, status=400)


def sets(request: web.Request, setting: str) -> bool:
    return request.method == "PUT" and setting in request.query


def calls(request: web.Request, operation: str) -> bool:
    return request.headers.get("X-Amz-Target", "").endswith(f".{operation}")


def once(answer: Answer) -> Answer:
    """Only the first call that `answer` has something to say about."""
    said: list[web.Response] = []

    def first(request: web.Request) -> web.Response | None:
        response = None if said else answer(request)
        if response is not None:
            said.append(response)
        return response

    return first


async def test_a_bucket_that_may_not_be_seen_is_a_conflict(endpoint: str) -> None:
    def answer(request: web.Request) -> web.Response | None:
        return web.Response(status=403) if request.method == "HEAD" else None

    async with in_front_of(endpoint, answer) as stores:
        with pytest.raises(ProvisioningConflict, match="belongs to another account or these"):
            await stores.provision()


async def test_a_bucket_name_that_someone_else_holds_is_a_conflict(endpoint: str) -> None:
    def answer(request: web.Request) -> web.Response | None:
        taken = request.method == "PUT" and not request.query
        return s3_error(409, "BucketAlreadyExists") if taken else None

    async with in_front_of(endpoint, answer) as stores:
        with pytest.raises(ProvisioningConflict, match="belongs to another account: names are"):
            await stores.provision()


async def test_a_setting_that_the_endpoint_does_not_know_is_reported(endpoint: str) -> None:
    def answer(request: web.Request) -> web.Response | None:
        if sets(request, "cors"):
            return s3_error(501, "NotImplemented")
        if calls(request, "UpdateContinuousBackups") or calls(request, "DescribeTimeToLive"):
            return dynamodb_error("UnknownOperationException")
        return None

    unsupported = {
        "unsupported CORS",
        "unsupported point-in-time recovery",
        "unsupported expiry by expires_at",
    }
    async with in_front_of(endpoint, answer) as stores:
        assert await stores.provision() == {"created bucket", "created table"} | unsupported
        assert await stores.provision() == unsupported


@pytest.mark.parametrize(
    ("refused", "store"),
    [
        (lambda request: sets(request, "lifecycle"), "S3"),
        (lambda request: calls(request, "CreateTable"), "DynamoDB"),
        (lambda request: calls(request, "DescribeTable"), "DynamoDB"),
        (lambda request: calls(request, "DescribeContinuousBackups"), "DynamoDB"),
        (lambda request: request.method == "GET" and "encryption" in request.query, "S3"),
        (lambda request: request.method == "PUT" and not request.query, "S3"),
    ],
)
async def test_a_refusal_is_fatal_and_says_what_was_refused(
    endpoint: str, refused: Callable[[web.Request], bool], store: str
) -> None:
    def answer(request: web.Request) -> web.Response | None:
        if not refused(request):
            return None
        if "X-Amz-Target" in request.headers:
            return dynamodb_error("AccessDeniedException")
        return s3_error(403, "AccessDenied")

    async with in_front_of(endpoint, answer) as stores:
        with pytest.raises(StoreUnavailable) as unavailable:
            await stores.provision()
    assert unavailable.value.store == store
    assert "AccessDenied" in unavailable.value.cause


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            lambda request: s3_error(409, "OperationAborted") if sets(request, "cors") else None,
            id="S3 is busy with another change",
        ),
        pytest.param(
            lambda request: (
                dynamodb_error("ContinuousBackupsUnavailableException")
                if calls(request, "UpdateContinuousBackups")
                else None
            ),
            id="the new table has no backups yet",
        ),
        pytest.param(
            lambda request: (
                dynamodb_error("ResourceNotFoundException")
                if calls(request, "DescribeTable")
                else None
            ),
            id="the new table is not known everywhere",
        ),
    ],
)
async def test_what_passes_by_itself_is_waited_for(endpoint: str, answer: Answer) -> None:
    async with in_front_of(endpoint, once(answer)) as stores:
        assert await stores.provision() == {"created bucket", "created table"}
        await assert_whole(stores)


async def test_stores_that_another_process_made_first_are_taken(endpoint: str) -> None:
    def unseen(request: web.Request) -> web.Response | None:
        return web.Response(status=404) if request.method == "HEAD" else None

    def unknown(request: web.Request) -> web.Response | None:
        missing = dynamodb_error("ResourceNotFoundException")
        return missing if calls(request, "DescribeTable") else None

    first_look, first_description = once(unseen), once(unknown)
    async with (
        opened(endpoint) as faster,
        in_front_of(endpoint, lambda r: first_look(r) or first_description(r)) as stores,
    ):
        await faster.provision(stores.wanted)
        assert await stores.provision() == set()


async def test_an_index_is_added_once_the_table_is_free(endpoint: str) -> None:
    def answer(request: web.Request) -> web.Response | None:
        busy = dynamodb_error("LimitExceededException")
        return busy if calls(request, "UpdateTable") else None

    async with in_front_of(endpoint, once(answer)) as stores:
        await stores.provision(without(stores.wanted, "TimelineIndex"))
        assert await stores.provision() == {"created index TimelineIndex"}
        await assert_whole(stores)


async def test_an_index_that_is_refused_is_fatal(endpoint: str) -> None:
    def answer(request: web.Request) -> web.Response | None:
        refusal = dynamodb_error("ValidationException")
        return refusal if calls(request, "UpdateTable") else None

    async with in_front_of(endpoint, answer) as stores:
        await stores.provision(without(stores.wanted, "TimelineIndex"))
        with pytest.raises(StoreUnavailable) as unavailable:
            await stores.provision()
    assert "UpdateTable: ValidationException" in unavailable.value.cause


async def test_an_index_that_another_process_adds_first_is_taken(endpoint: str) -> None:
    def answer(request: web.Request) -> web.Response | None:
        return stale.pop() if calls(request, "DescribeTable") and stale else None

    stale: list[web.Response] = []
    async with opened(endpoint) as faster, in_front_of(endpoint, answer) as stores:
        await stores.provision(without(stores.wanted, "TimelineIndex"))
        table = await stores.table()
        before = {k: v for k, v in table.items() if k in SHAPE}
        await faster.provision(stores.wanted)
        # The looks before the attempt to add it show the table as it was.
        stale += [web.json_response({"Table": before}) for _ in range(4)]
        assert await stores.provision() == set()
    assert not stale


SHAPE = {"TableStatus", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes"}


async def test_a_table_that_never_gets_ready_is_given_up(endpoint: str) -> None:
    def answer(request: web.Request) -> web.Response | None:
        key = [{"AttributeName": "image_id", "KeyType": "HASH"}]
        table = {"TableStatus": "CREATING", "KeySchema": key, "AttributeDefinitions": []}
        return web.json_response({"Table": table}) if calls(request, "DescribeTable") else None

    async with in_front_of(endpoint, answer) as stores:
        with pytest.raises(StoreUnavailable) as unavailable:
            await stores.provision(patience=0.5)
    assert "not ready after 0.5 s" in unavailable.value.cause


async def assert_whole(stores: Stores) -> None:
    """Provisioning has nothing left to do, and the table takes items and lists them."""
    assert await stores.provision() == set()
    name = stores.wanted.tables[0].name
    item = {
        "image_id": {"S": "an image"},
        "user_id": {"S": "alice"},
        "timeline_shard": {"N": "3"},
        "upload_timestamp": {"S": "2026-02-13T00:00:00.000000Z"},
    }
    await stores.dynamodb.put_item(TableName=name, Item=item)
    answer = await stores.dynamodb.query(
        TableName=name,
        IndexName="TimelineIndex",
        KeyConditionExpression="timeline_shard = :shard",
        ExpressionAttributeValues={":shard": {"N": "3"}},
    )
    assert answer["Items"] == [item]


def without(wanted: StoreDefinitions, name: str) -> StoreDefinitions:
    table, *_ = wanted.tables
    kept = tuple(index for index in table.indexes if index.name != name)
    assert len(kept) == len(table.indexes) - 1
    return with_indexes(wanted, *kept)


def with_indexes(wanted: StoreDefinitions, *indexes: IndexDefinition) -> StoreDefinitions:
    """The same with these indexes and the attributes that are then part of a key."""
    table, *_ = wanted.tables
    keys = [table.key, *(index.key for index in indexes)]
    used = {name: table.attributes[name] for key in keys for name in key.attributes}
    return replace(wanted, tables=(replace(table, indexes=indexes, attributes=used),))
