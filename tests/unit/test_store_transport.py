"""One exchange with a store: what is on the wire, and what becomes of the connection."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
)

from service.storage.transport import Reply, StoreSession
from tests.support.scripted import HANGS_UP, SILENCE, Said, ScriptedStore, says, scripted_store
from tests.support.tls import certificate_of_this_machine, serving_with

GOOD = says(200, b"good", x_amz_id="1")
HOST = {"host": "store.test"}


@pytest.fixture
async def store() -> AsyncIterator[ScriptedStore]:
    async with scripted_store() as store:
        store.script = [GOOD]
        yield store


@pytest.fixture
async def session() -> AsyncIterator[StoreSession]:
    async with session_of() as session:
        yield session


@asynccontextmanager
async def session_of(
    patience: float = 4.0, proxy: str | None = None, connections: int = 10
) -> AsyncIterator[StoreSession]:
    proxies = None if proxy is None else {"http": proxy, "https": proxy}
    async with StoreSession(
        verify=False, timeout=(2, patience), proxies=proxies, max_pool_connections=connections
    ) as session:
        yield session


async def ask(
    session: StoreSession, store: ScriptedStore, method: str = "GET", body: bytes = b""
) -> Reply:
    return await session.exchange(method, store.url, "/a%20b?c=", HOST, body)


# --- what is sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", b"", None), ("HEAD", b"", None), ("PUT", b"", "0"), ("POST", b"{}", "2")],
)
async def test_a_request_is_what_it_was_signed_as_and_its_length(
    session: StoreSession, store: ScriptedStore, method: str, body: bytes, length: str | None
) -> None:
    store.script = [says(200, length=0)]
    headers = {**HOST, "x-amz-date": "20260213T120005Z", "cache-control": "private,  immutable"}
    await session.exchange(method, store.url, "/a%20b?c=", headers, body)
    (asked,) = store.asked
    assert (asked.method, asked.target, asked.body) == (method, "/a%20b?c=", body)
    assert asked.headers == headers | ({} if length is None else {"content-length": length})


async def test_a_long_body_arrives_whole(session: StoreSession, store: ScriptedStore) -> None:
    body = bytes(range(256)) * 16_384  # more than any socket takes at once
    await ask(session, store, "POST", body)
    assert store.asked[0].body == body


async def test_a_body_that_no_length_tells_of_is_never_sent(
    session: StoreSession, store: ScriptedStore
) -> None:
    with pytest.raises(HTTPClientError, match="of its own"):
        await ask(session, store, "GET", b"GET / HTTP/1.1\r\n\r\n")
    assert store.asked == []


@pytest.mark.parametrize("broken", ["\r\n", "\n", "\r", "\0"])
async def test_a_value_with_a_line_break_is_never_sent(
    session: StoreSession, store: ScriptedStore, broken: str
) -> None:
    with pytest.raises(HTTPClientError, match="line break"):
        await session.exchange("GET", store.url, "/", {**HOST, "a": f"b{broken}c: d"}, b"")
    with pytest.raises(HTTPClientError, match="line break"):
        await session.exchange("GET", store.url, f"/{broken}", HOST, b"")
    assert store.asked == []


# --- what comes back ------------------------------------------------------------------------------

ANSWERS: dict[str, Said] = {
    "one with its length": GOOD,
    "one in chunks": Said(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n"
    ),
    "one without an end but the connection's": Said(b"HTTP/1.1 200 OK\r\n\r\ngood", True),
    "one of an older kind": Said(b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ngood", True),
    "one after the news that it will come": Said(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
    ),
    "one that says that it is the last": says(200, b"good", connection="close"),
    "one that is packed": says(200, b"good", content_encoding="gzip"),
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("most", [None, 4, 3])
async def test_any_answer_is_read_and_the_next_is_the_next(
    session: StoreSession, store: ScriptedStore, kind: str, most: int | None
) -> None:
    store.script = [ANSWERS[kind], says(200, b"next")]
    first = await session.exchange("GET", store.url, "/", HOST, b"", most)
    assert (first.status, first.body) == (200, b"good"[:most])
    assert (await ask(session, store)).body == b"next"


async def test_of_a_refusal_all_is_read(session: StoreSession, store: ScriptedStore) -> None:
    store.script = [says(404, b"<Error>")]
    reply = await session.exchange("GET", store.url, "/", HOST, b"", 1)
    assert (reply.status, reply.body) == (404, b"<Error>")


async def test_a_head_is_over_with_its_headers(session: StoreSession, store: ScriptedStore) -> None:
    store.script = [Said(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\nETag: x\r\n\r\n"), GOOD]
    reply = await ask(session, store, "HEAD")
    assert (reply.body, reply.headers["etag"]) == (b"", "x")
    assert (await ask(session, store)).body == b"good"
    assert store.connections == 1


# --- connections ----------------------------------------------------------------------------------


async def test_one_connection_serves_all_that_follow_each_other(
    session: StoreSession, store: ScriptedStore
) -> None:
    for method in ("GET", "POST", "PUT", "HEAD", "GET"):
        store.script = [says(200, b"good" if method != "HEAD" else b"", length=None)]
        await ask(session, store, method)
    assert store.connections == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_a_connection_that_was_closed_meanwhile_is_none_of_the_callers_business(
    session: StoreSession, store: ScriptedStore, method: str
) -> None:
    await ask(session, store)
    store.script = [HANGS_UP, says(200, length=0)]
    assert (await ask(session, store, method)).status == 200
    assert store.connections == 2
    assert len(store.asked) == 3


async def test_what_may_not_be_done_twice_is_sent_once(
    session: StoreSession, store: ScriptedStore
) -> None:
    await ask(session, store)
    store.script = [HANGS_UP, GOOD]
    with pytest.raises(ConnectionClosedError):
        await ask(session, store, "POST", b"{}")
    assert len(store.asked) == 2


async def test_an_answer_that_nobody_waited_for_is_nobody_elses(
    session: StoreSession, store: ScriptedStore
) -> None:
    await ask(session, store)
    store.script = [SILENCE, GOOD]
    waiting = asyncio.ensure_future(ask(session, store))
    while len(store.asked) < 2:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await ask(session, store)).body == b"good"
    assert [asked.connection for asked in store.asked] == [1, 1, 2]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_a_store_says_unasked_is_no_answer(session: StoreSession, method: str) -> None:
    idle, said = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                target = (await reader.readuntil(b"\r\n\r\n")).split()[1]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + target)
                if first:
                    first = False
                    await idle.wait()
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale")
                    said.set()
        writer.close()

    first = True
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert (await session.exchange(method, url, "/a", HOST, b"")).body == b"/a"
        idle.set()
        await said.wait()
        for _ in range(10):  # it is in the socket, and read in one of the next turns
            await asyncio.sleep(0)
        for target in ("/b", "/c", "/d"):
            assert (await session.exchange(method, url, target, HOST, b"")).body == target.encode()


async def test_after_the_news_that_an_answer_will_come_silence_is_as_long_as_before() -> None:
    async with scripted_store() as store, session_of(patience=0.04) as session:
        store.script = [Said(b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n")]
        with pytest.raises(ReadTimeoutError):
            await ask(session, store)


async def test_another_protocol_is_no_answer(session: StoreSession, store: ScriptedStore) -> None:
    store.script = [Said(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + b"x" * 99)]
    with pytest.raises(ConnectionClosedError):
        await ask(session, store)


async def test_a_session_that_was_closed_opens_anew(store: ScriptedStore) -> None:
    session = StoreSession(verify=False, timeout=(2, 4))
    for _ in range(2):
        async with session:
            assert (await ask(session, store)).body == b"good"


async def test_a_connection_that_fell_silent_is_left_and_its_place_is_free_again() -> None:
    async with scripted_store() as store, session_of(patience=0.04, connections=1) as session:
        store.script = [SILENCE]
        with pytest.raises(ReadTimeoutError):
            await ask(session, store)
        store.script = [says(200, b"cut", length=9)]
        with pytest.raises(ConnectionClosedError):
            await ask(session, store)
        store.script = [GOOD]
        assert (await ask(session, store)).body == b"good"
        assert store.connections == 3


async def test_silence_in_the_middle_of_an_answer_is_as_long_as_before_it() -> None:
    async with scripted_store() as store, session_of(patience=0.04) as session:
        store.script = [Said(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour")]
        with pytest.raises(ReadTimeoutError):
            await ask(session, store)


# --- proxies --------------------------------------------------------------------------------------

KNOWN = f"Basic {base64.b64encode(b'ann:p@ss').decode()}"


def with_password(url: str) -> str:
    return url.replace("http://", "http://ann:p%40ss@")


async def test_a_proxy_is_told_where_to_and_who_asks(store: ScriptedStore) -> None:
    async with session_of(proxy=with_password(store.url)) as session:
        for _ in range(2):
            await session.exchange("GET", "http://store.test:99", "/a?b=", HOST, b"")
    for asked in store.asked:
        assert asked.target == "http://store.test:99/a?b="
        assert asked.headers == {**HOST, "proxy-authorization": KNOWN}
    assert store.connections == 1


async def test_a_tunnel_tells_the_proxy_no_more_than_where_to_and_who_asks(tmp_path: Path) -> None:
    context = serving_with(certificate_of_this_machine(tmp_path))
    async with scripted_store(context) as store, tunnel() as (proxy, connects):
        store.script = [GOOD]
        async with session_of(proxy=with_password(proxy)) as session:
            for _ in range(2):
                assert (await ask(session, store)).body == b"good"
    (connect,) = connects
    assert connect.startswith(f"CONNECT {store.url.removeprefix('https://')} HTTP/1.1")
    assert f"Proxy-Authorization: {KNOWN}" in connect
    for asked in store.asked:
        assert (asked.target, asked.headers) == ("/a%20b?c=", HOST)


async def test_a_proxy_that_opens_no_tunnel_is_the_proxys_error() -> None:
    async with tunnel("403 Forbidden") as (proxy, _), session_of(proxy=proxy) as session:
        with pytest.raises(ProxyConnectionError):
            await session.exchange("GET", "https://store.test", "/", HOST, b"")


@asynccontextmanager
async def tunnel(answer: str = "200 Connected") -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy's URL, and what it was told."""
    told: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        told.append(head)
        writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode())
        if answer.startswith("200"):
            host, _, port = head.split(" ")[1].rpartition(":")
            behind, ahead = await asyncio.open_connection(host, int(port))
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, ahead))
                both.create_task(_pass(behind, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", told


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()
