"""The embedded backend starts, answers and ends; and the stores in it keep the promises that moto
alone does not."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from moto.dynamodb.models.dynamo_type import DynamoType, Item

from service.embedded import EmbeddedBackendFailed, embedded_backend, supervisor
from service.embedded.key_order import IndexKeys, KeyOrder
from service.embedded.server import http_server
from tests.support.stores import held_open

ROOT = Path(__file__).resolve().parents[2]
SESSION = get_session()  # one for all, for the service models that it has read
ORIGIN = "http://page.example"


@asynccontextmanager
async def open_client(service: str, endpoint: str) -> AsyncIterator[Any]:
    async with SESSION.create_client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=AioConfig(
            signature_version="s3v4" if service == "s3" else "v4",
            max_pool_connections=30,
            retries={"total_max_attempts": 1},
        ),
    ) as client:
        yield client


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with held_open(embedded_backend()) as url:
        yield url


@dataclass(frozen=True)
class Stores:
    s3: Any
    dynamodb: Any
    bucket: str
    table: str


@pytest_asyncio.fixture
async def stores(endpoint: str) -> AsyncIterator[Stores]:
    name = f"t-{uuid4().hex}"
    async with AsyncExitStack() as stack:
        s3 = await stack.enter_async_context(open_client("s3", endpoint))
        dynamodb = await stack.enter_async_context(open_client("dynamodb", endpoint))
        await s3.create_bucket(Bucket=name)
        await create_table(dynamodb, name, ["id"], ["shard", "at"])
        yield Stores(s3, dynamodb, name, name)


async def create_table(
    dynamodb: Any, name: str, own_keys: list[str], index_keys: list[str]
) -> None:
    def schema(keys: list[str]) -> list[dict[str, str]]:
        kinds = ("HASH", "RANGE")
        return [{"AttributeName": k, "KeyType": t} for k, t in zip(keys, kinds, strict=False)]

    await dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=schema(own_keys),
        AttributeDefinitions=[
            {"AttributeName": key, "AttributeType": "N" if key == "shard" else "S"}
            for key in {*own_keys, *index_keys}
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-shard",
                "KeySchema": schema(index_keys),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def an_item(number: int, *, shard: int = 0, at: str | None = None) -> dict[str, Any]:
    moment = {"at": {"S": at}} if at is not None else {}
    return {"id": {"S": f"{number:06d}"}, "shard": {"N": str(shard)}, **moment}


async def put_all(dynamodb: Any, table: str, items: list[dict[str, Any]]) -> None:
    for start in range(0, len(items), 25):
        batch = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        await dynamodb.batch_write_item(RequestItems={table: batch})


async def outcome(call: Awaitable[Any]) -> str:
    """The error code of a call, or "done"."""
    try:
        await call
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


# --- the process ----------------------------------------------------------------------------------


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def is_refused(url: str) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(url))
    except (ConnectionRefusedError, ConnectionResetError):  # the latter while it is being closed
        return True
    writer.close()
    return False


async def test_it_answers_as_soon_as_it_is_entered_and_is_gone_when_left() -> None:
    async with embedded_backend() as url, aiohttp.ClientSession() as web:
        async with web.get(url) as answer:
            assert answer.status == 200
        assert url.startswith("http://127.0.0.1:")
        processes = children()
        assert len(processes) == 1
    assert await is_refused(url)
    assert not children()


@pytest.fixture(autouse=True)
def others() -> Iterator[set[int]]:
    """The backends that other suites hold open meanwhile; none of ours."""
    running = set() if not Path("/proc").exists() else _backends()
    _OTHERS.update(running)
    yield running
    _OTHERS.clear()


_OTHERS: set[int] = set()


def children() -> set[int]:
    return _backends() - _OTHERS


def _backends() -> set[int]:
    listing = Path(f"/proc/{os.getpid()}/task")
    if not listing.exists():
        pytest.skip("lists processes by /proc")
    found: set[int] = set()
    for task in listing.glob("*/children"):
        found.update(int(pid) for pid in task.read_text().split())
    return {pid for pid in found if is_backend(pid)}


def is_backend(pid: int) -> bool:
    try:
        return b"service.embedded.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def test_it_leaves_no_process_when_its_user_fails() -> None:
    with pytest.raises(LookupError, match="the user's own"):
        async with embedded_backend() as url:
            raise LookupError("the user's own")
    assert await is_refused(url)


async def test_it_dies_with_a_parent_that_was_killed() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio\n"
        "from service.embedded import embedded_backend\n"
        "async def main():\n"
        "    async with embedded_backend() as url:\n"
        "        print(url, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n",
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert parent.stdout is not None
    url = (await parent.stdout.readline()).decode().strip()
    assert not await is_refused(url)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(10):
        while not await is_refused(url):
            pass


async def test_it_is_out_of_reach_of_ctrl_c() -> None:
    async with embedded_backend():
        (pid,) = children()
        assert os.getsid(pid) == pid != os.getsid(0)


async def test_a_fixed_port_is_used_and_can_be_used_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for _ in range(2):
        async with embedded_backend(port) as url:
            assert url == f"http://127.0.0.1:{port}"
            assert not await is_refused(url)


async def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(EmbeddedBackendFailed, match=rf"Port {port} .* EMBEDDED_PORT"):
            async with embedded_backend(port):
                pass


@pytest.fixture
def without_moto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moto.py").write_text('raise ModuleNotFoundError("No module named moto")')
    (tmp_path / "service").symlink_to(ROOT / "service")
    monkeypatch.setattr(supervisor, "_IMPORT_ROOT", tmp_path)


@pytest.mark.usefixtures("without_moto")
async def test_a_missing_moto_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(
        EmbeddedBackendFailed, match=r"pip install 'mont-image-service\[embedded\]'"
    ):
        async with embedded_backend():
            pass


@pytest.fixture
def stuck_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "service" / "embedded"
    folder.mkdir(parents=True)
    (folder / "child.py").write_text(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('x' * 1_000_000, 'the last words', file=sys.stderr, flush=True)\n"
        "os.read(0, 1)\n"
    )
    monkeypatch.setattr(supervisor, "_IMPORT_ROOT", tmp_path)
    monkeypatch.setattr(supervisor, "_START_SECONDS", 1.0)
    monkeypatch.setattr(supervisor, "_STOP_SECONDS", 0.2)


@pytest.mark.usefixtures("stuck_child")
async def test_a_start_without_end_is_cut_short_and_shows_the_last_output() -> None:
    with pytest.raises(EmbeddedBackendFailed, match="did not start within 1 s") as failure:
        async with embedded_backend():
            pass
    assert "the last words" in str(failure.value)
    assert len(str(failure.value)) < 10_000
    assert not children()


# --- HTTP -----------------------------------------------------------------------------------------


async def test_one_connection_serves_many_requests(endpoint: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(endpoint))
    for path in ("/", "/no-such-bucket/with?a=b", "/"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        assert "connection: close" not in head
        assert (await reader.readexactly(int(length))).startswith(b"<?xml")
    writer.close()


async def test_an_upload_given_up_half_way_stores_nothing(endpoint: str, stores: Stores) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port_of(endpoint))
    writer.write(
        f"PUT /{stores.bucket}/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        "only this".encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await stores.s3.put_object(Bucket=stores.bucket, Key="whole", Body=b"")
    listing = await stores.s3.list_objects_v2(Bucket=stores.bucket)
    assert [entry["Key"] for entry in listing["Contents"]] == ["whole"]


@contextmanager
def served(app: Callable[..., list[bytes]]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = http_server(listener, app)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


async def test_requests_are_handled_one_at_a_time() -> None:
    meeting = threading.Barrier(2)

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [])
        try:
            meeting.wait(timeout=0.3)
        except threading.BrokenBarrierError:
            return [b"alone"]
        return [b"in company"]

    async def ask(web: aiohttp.ClientSession, url: str) -> str:
        async with web.get(url) as answer:
            return await answer.text()

    with served(app) as url:
        async with aiohttp.ClientSession() as web:
            answers = await asyncio.gather(ask(web, url), ask(web, url))
            assert list(answers) == ["alone", "alone"]


async def test_an_unsupported_call_is_a_500_and_the_connection_lives_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        raise NotImplementedError(f"no {environ['PATH_INFO']} here")

    with served(app) as url:
        async with aiohttp.ClientSession() as web:
            for path in ("/one", "/two"):
                async with web.post(url + path, data=b"x" * 1000) as answer:
                    assert answer.status == 500
                    assert await answer.read() == b""
                assert f"no {path} here" in capfd.readouterr().err


# --- DynamoDB -------------------------------------------------------------------------------------


async def test_of_twenty_that_put_the_same_new_key_one_wins(stores: Stores) -> None:
    for number in range(5):
        results = await asyncio.gather(
            *(
                outcome(
                    stores.dynamodb.put_item(
                        TableName=stores.table,
                        Item=an_item(number),
                        ConditionExpression="attribute_not_exists(id)",
                    )
                )
                for _ in range(20)
            )
        )
        assert sorted(results) == ["ConditionalCheckFailedException"] * 19 + ["done"]


async def test_no_increment_is_lost(stores: Stores) -> None:
    await asyncio.gather(
        *(
            stores.dynamodb.update_item(
                TableName=stores.table,
                Key={"id": {"S": "counter"}},
                UpdateExpression="ADD taken :one",
                ConditionExpression="attribute_not_exists(taken) OR taken < :limit",
                ExpressionAttributeValues={":one": {"N": "1"}, ":limit": {"N": "100"}},
            )
            for _ in range(40)
        )
    )
    answer = await stores.dynamodb.get_item(TableName=stores.table, Key={"id": {"S": "counter"}})
    assert answer["Item"]["taken"] == {"N": "40"}


@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item"])
async def test_a_failed_condition_shows_the_item_that_failed_it(
    stores: Stores, operation: str
) -> None:
    await stores.dynamodb.put_item(TableName=stores.table, Item=an_item(1))
    target = {"Item": an_item(1)} if operation == "put_item" else {"Key": {"id": {"S": "000001"}}}
    with pytest.raises(ClientError) as failure:
        await getattr(stores.dynamodb, operation)(
            TableName=stores.table,
            **target,
            ConditionExpression="attribute_not_exists(id)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert failure.value.response["Item"] == an_item(1)


def a_transfer(table: str, source: str, target: str) -> list[dict[str, Any]]:
    """One from a counter that has some left, to another that is new."""
    return [
        {
            "Update": {
                "TableName": table,
                "Key": {"id": {"S": source}},
                "UpdateExpression": "ADD taken :less",
                "ConditionExpression": "taken >= :one",
                "ExpressionAttributeValues": {":less": {"N": "-1"}, ":one": {"N": "1"}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
        {
            "Put": {
                "TableName": table,
                "Item": {"id": {"S": target}, "taken": {"N": "1"}},
                "ConditionExpression": "attribute_not_exists(id)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]


async def test_a_transaction_happens_as_a_whole_or_not_at_all(stores: Stores) -> None:
    dynamodb, table = stores.dynamodb, stores.table
    await dynamodb.put_item(TableName=table, Item={"id": {"S": "from"}, "taken": {"N": "1"}})
    await dynamodb.transact_write_items(TransactItems=a_transfer(table, "from", "to"))
    with pytest.raises(ClientError) as failure:
        await dynamodb.transact_write_items(TransactItems=a_transfer(table, "from", "to"))
    reasons = failure.value.response["CancellationReasons"]
    assert failure.value.response["Error"]["Code"] == "TransactionCanceledException"
    assert [reason["Code"] for reason in reasons] == ["ConditionalCheckFailed"] * 2
    assert [reason["Item"]["taken"] for reason in reasons] == [{"N": "0"}, {"N": "1"}]
    with pytest.raises(ClientError) as failure:
        await dynamodb.transact_write_items(TransactItems=a_transfer(table, "from", "new"))
    reasons = failure.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["ConditionalCheckFailed", "None"]
    answer = await dynamodb.get_item(TableName=table, Key={"id": {"S": "new"}})
    assert "Item" not in answer


async def test_a_transaction_that_fails_half_way_is_undone(stores: Stores) -> None:
    dynamodb, table = stores.dynamodb, stores.table
    await put_all(dynamodb, table, [an_item(number, at=f"{number}") for number in (1, 2)])
    bad = {
        "Update": {
            "TableName": table,
            "Key": {"id": {"S": "000002"}},
            # A number cannot be added to a text, which shows only when it is tried.
            "UpdateExpression": "ADD #at :one",
            "ExpressionAttributeNames": {"#at": "at"},
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
    }
    first = {"Delete": {"TableName": table, "Key": {"id": {"S": "000001"}}}}
    new = {"Put": {"TableName": table, "Item": an_item(3, at="3")}}
    assert await outcome(dynamodb.transact_write_items(TransactItems=[first, new, bad])) != "done"
    answer = await dynamodb.scan(TableName=table)
    assert sorted(item["id"]["S"] for item in answer["Items"]) == ["000001", "000002"]
    found = await dynamodb.query(
        TableName=table,
        IndexName="by-shard",
        KeyConditionExpression="shard = :shard",
        ExpressionAttributeValues={":shard": {"N": "0"}},
    )
    assert [item["id"]["S"] for item in found["Items"]] == ["000001", "000002"]


async def test_a_transaction_on_a_table_that_is_not_there_is_refused(stores: Stores) -> None:
    transfer = a_transfer("nowhere", "from", "to")
    refusal = await outcome(stores.dynamodb.transact_write_items(TransactItems=transfer))
    assert refusal == "ResourceNotFoundException"


async def test_every_kind_of_attribute_comes_back_as_it_was_put(stores: Stores) -> None:
    item = an_item(1) | {
        "map": {"M": {"list": {"L": [{"N": "1.5"}, {"NULL": True}, {"L": []}, {"M": {}}]}}},
        "bytes": {"B": b"\x00\xff"},
        "byte set": {"BS": [b"\x01"]},
        "number set": {"NS": ["1"]},
        "words": {"SS": ["a"]},
        "empty": {"S": ""},
        "no": {"BOOL": False},
    }
    await stores.dynamodb.put_item(TableName=stores.table, Item=item)
    found = await stores.dynamodb.query(
        TableName=stores.table,
        KeyConditionExpression="id = :id",
        ExpressionAttributeValues={":id": item["id"]},
    )
    assert found["Items"] == [item]


RANGES: dict[str, Callable[[str], bool]] = {
    "": lambda at: True,
    "AND #at = :low": lambda at: at == "m020",
    "AND #at < :low": lambda at: at < "m020",
    "AND #at <= :low": lambda at: at <= "m020",
    "AND #at > :low": lambda at: at > "m020",
    "AND #at >= :low": lambda at: at >= "m020",
    "AND #at BETWEEN :low AND :high": lambda at: "m020" <= at <= "m031",
    "AND begins_with(#at, :start)": lambda at: at.startswith("m02"),
}
BOUNDS = {":low": "m020", ":high": "m031", ":start": "m02"}


async def walk(stores: Stores, table: str, limit: int | None, **query: Any) -> list[str]:
    """The ids of all pages of a query, each page checked against its limit."""
    ids: list[str] = []
    more: dict[str, Any] = {"Limit": limit} if limit is not None else {}
    while True:
        page = await stores.dynamodb.query(TableName=table, **query, **more)
        assert len(page["Items"]) == page["ScannedCount"]
        assert limit is None or len(page["Items"]) <= limit
        ids += [item["id"]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            return ids
        more["ExclusiveStartKey"] = page["LastEvaluatedKey"]


@pytest.fixture(params=[["id"], ["id", "at"]], ids=["hash", "hash and range"])
async def changed_table(
    request: pytest.FixtureRequest, stores: Stores
) -> tuple[str, dict[str, tuple[int, str]]]:
    """A table after puts, overwrites, updates and deletes, and what its index has to hold."""
    own_keys: list[str] = request.param
    table = f"t-{uuid4().hex}"
    await create_table(stores.dynamodb, table, own_keys, ["shard", "at"])
    items = [an_item(n, shard=n % 2, at=f"m{n * 7 % 40:03d}") for n in range(60)]
    await put_all(stores.dynamodb, table, items)
    # From here on the order exists and has to be kept up.
    await ids_of(stores, table, shard=0)
    expected = {item["id"]["S"]: (n % 2, item["at"]["S"]) for n, item in enumerate(items)}

    def key(number: int) -> dict[str, Any]:
        return {name: items[number][name] for name in own_keys}

    async def update(number: int, expression: str, names: dict[str, str], **values: Any) -> None:
        await stores.dynamodb.update_item(
            TableName=table,
            Key=key(number),
            UpdateExpression=expression,
            ExpressionAttributeNames=names,
            **values,
        )

    for number in (4, 5, 6):
        await stores.dynamodb.delete_item(TableName=table, Key=key(number))
        del expected[f"{number:06d}"]
    await update(10, "SET #s = :s", {"#s": "shard"}, ExpressionAttributeValues={":s": {"N": "1.0"}})
    expected["000010"] = (1, expected["000010"][1])
    await update(12, "REMOVE #s", {"#s": "shard"})
    del expected["000012"]
    await stores.dynamodb.put_item(TableName=table, Item=items[14] | {"shard": {"N": "1"}})
    expected["000014"] = (1, expected["000014"][1])
    if own_keys == ["id"]:
        await update(16, "REMOVE #a", {"#a": "at"})
        del expected["000016"]
        await stores.dynamodb.put_item(TableName=table, Item=an_item(18, at="m025"))
        expected["000018"] = (0, "m025")
    return table, expected


async def ids_of(stores: Stores, table: str, *, shard: int) -> list[str]:
    return await walk(
        stores,
        table,
        None,
        IndexName="by-shard",
        KeyConditionExpression="shard = :shard",
        ExpressionAttributeValues={":shard": {"N": str(shard)}},
    )


@pytest.mark.parametrize("forward", [True, False], ids=["oldest first", "newest first"])
async def test_a_query_gives_what_its_index_holds_in_order(
    stores: Stores, changed_table: tuple[str, dict[str, tuple[int, str]]], forward: bool
) -> None:
    table, expected = changed_table
    for condition, matches in RANGES.items():
        used = {name: {"S": text} for name, text in BOUNDS.items() if name in condition}
        names = {"ExpressionAttributeNames": {"#at": "at"}} if condition else {}
        for shard in (0, 1, 2):
            wanted = sorted(
                ((at, id_) for id_, (s, at) in expected.items() if s == shard and matches(at)),
                reverse=not forward,
            )
            for limit in (None, 1, 4):
                ids = await walk(
                    stores,
                    table,
                    limit,
                    IndexName="by-shard",
                    KeyConditionExpression=f"shard = :shard {condition}",
                    ExpressionAttributeValues={":shard": {"N": str(shard)}, **used},
                    ScanIndexForward=forward,
                    **names,
                )
                assert ids == [id_ for _, id_ in wanted], (condition, shard, limit)


@pytest.mark.parametrize("forward", [True, False], ids=["oldest first", "newest first"])
async def test_a_page_starts_after_an_item_that_is_gone(stores: Stores, forward: bool) -> None:
    await put_all(stores.dynamodb, stores.table, [an_item(n, at=f"m{n}") for n in range(6)])
    await stores.dynamodb.delete_item(TableName=stores.table, Key={"id": {"S": "000003"}})
    page = await stores.dynamodb.query(
        TableName=stores.table,
        IndexName="by-shard",
        KeyConditionExpression="shard = :shard",
        ExpressionAttributeValues={":shard": {"N": "0"}},
        ExclusiveStartKey=an_item(3, at="m3"),
        ScanIndexForward=forward,
        Limit=2,
    )
    ids = [item["id"]["S"] for item in page["Items"]]
    assert ids == (["000004", "000005"] if forward else ["000002", "000001"])


async def test_a_filter_looks_at_no_more_than_the_limit(stores: Stores) -> None:
    await put_all(stores.dynamodb, stores.table, [an_item(n, at=f"m{n}") for n in range(9)])
    page = await stores.dynamodb.query(
        TableName=stores.table,
        IndexName="by-shard",
        KeyConditionExpression="shard = :shard",
        FilterExpression="#at > :least",
        ExpressionAttributeNames={"#at": "at"},
        ExpressionAttributeValues={":shard": {"N": "0"}, ":least": {"S": "m3"}},
        Limit=5,
    )
    assert [item["id"]["S"] for item in page["Items"]] == ["000004"]
    assert page["ScannedCount"] == 5
    assert page["LastEvaluatedKey"] == an_item(4, at="m4")


def test_a_page_touches_only_what_it_answers() -> None:
    def item(number: int) -> Item:
        attributes = {"id": {"S": f"{number}"}, "shard": {"N": "0"}, "at": {"S": f"m{number:06d}"}}
        return Item(DynamoType(attributes["id"]), None, attributes)

    order = KeyOrder(IndexKeys("shard", "at", ("at", "id")), map(item, range(3000)))
    page = order.window(
        DynamoType({"N": "0"}), "<", [DynamoType({"S": "m000050"})], None, False, 10
    )
    # Ten that it answers, and the one after them that tells whether more follow.
    assert [each.attrs["id"].value for each in page] == [f"{n}" for n in range(49, 38, -1)]


async def test_answered_items_are_not_kept_for_ever(endpoint: str, stores: Stores) -> None:
    await put_all(stores.dynamodb, stores.table, [an_item(n, at="m") for n in range(5)])
    await ids_of(stores, stores.table, shard=0)
    async with (
        aiohttp.ClientSession() as web,
        web.get(f"{endpoint}/moto-api/data.json") as answer,
    ):
        tracked = await answer.json(content_type=None)
    assert tracked["s3"]["FakeBucket"], "the page that lists what moto keeps has moved"
    assert tracked["dynamodb"]["Item"] == []


# --- S3 -------------------------------------------------------------------------------------------


async def test_a_copy_is_refused_when_its_source_is_another(stores: Stores) -> None:
    stored = await stores.s3.put_object(Bucket=stores.bucket, Key="a", Body=b"one")

    def copy(etag: str) -> Awaitable[Any]:
        result: Awaitable[Any] = stores.s3.copy_object(
            Bucket=stores.bucket,
            Key="b",
            CopySource={"Bucket": stores.bucket, "Key": "a"},
            CopySourceIfMatch=etag,
        )
        return result

    assert await outcome(copy('"0123456789abcdef0123456789abcdef"')) == "PreconditionFailed"
    assert await outcome(stores.s3.head_object(Bucket=stores.bucket, Key="b")) == "404"
    assert await outcome(copy(stored["ETag"])) == "done"
    assert await outcome(copy(stored["ETag"].strip('"'))) == "done"


async def test_of_two_copies_to_the_same_new_key_one_wins(stores: Stores) -> None:
    for name in ("a", "b"):
        await stores.s3.put_object(Bucket=stores.bucket, Key=name, Body=name.encode() * 100_000)

    def copy(source: str, target: str) -> Awaitable[Any]:
        result: Awaitable[Any] = stores.s3.copy_object(
            Bucket=stores.bucket,
            Key=target,
            CopySource={"Bucket": stores.bucket, "Key": source},
            IfNoneMatch="*",
        )
        return result

    for number in range(10):
        target = f"target-{number}"
        results = await asyncio.gather(*(outcome(copy(name, target)) for name in ("a", "b")))
        assert sorted(results) == ["PreconditionFailed", "done"]
        winner = "ab"[results.index("done")]
        stored = await stores.s3.get_object(Bucket=stores.bucket, Key=target)
        assert await stored["Body"].read() == winner.encode() * 100_000


async def test_a_browser_uploads_any_file_name_and_learns_the_etag(stores: Stores) -> None:
    await stores.s3.put_bucket_cors(
        Bucket=stores.bucket,
        CORSConfiguration={
            "CORSRules": [
                {"AllowedMethods": ["POST"], "AllowedOrigins": ["*"], "ExposeHeaders": ["ETag"]}
            ]
        },
    )
    body = os.urandom(10_485_760)
    fields = {"Content-Type": "image/png", "x-amz-meta-filename": "%C3%BC"}
    post = await stores.s3.generate_presigned_post(
        stores.bucket, "uploads/u/1", Fields=fields, Conditions=[]
    )
    form = aiohttp.FormData(quote_fields=False)
    for name, value in post["fields"].items():
        form.add_field(name, value)
    form.add_field("file", io.BytesIO(body), filename='ü ☃ "quoted".png', content_type="image/png")
    async with (
        aiohttp.ClientSession() as web,
        web.post(post["url"], data=form, headers={"Origin": ORIGIN}) as answer,
    ):
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag"
        etag = answer.headers["ETag"]
    stored = await stores.s3.get_object(Bucket=stores.bucket, Key="uploads/u/1", Range="bytes=0-15")
    assert await stored["Body"].read() == body[:16]
    assert stored["ContentRange"] == "bytes 0-15/10485760"
    assert stored["ContentType"] == "image/png"
    assert stored["Metadata"] == {"filename": "%C3%BC"}
    assert stored["ETag"] == etag
