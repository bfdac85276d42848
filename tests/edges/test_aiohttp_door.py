"""What only a door with a socket of its own has to bear: HTTP that is broken, slow or unusual."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from service import web
from service.settings import Settings
from tests.edges.conftest import open_door
from tests.support.stores import random_settings

DECLARATION = json.dumps(
    {"user_id": "a", "filename": "a.png", "content_type": "image/png", "file_size": 1}
).encode()
LIMIT = 5


@dataclass(frozen=True)
class Raw:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self, status: int) -> None:
        assert self.status == status
        assert self.headers["content-type"] == "application/problem+json"
        document = json.loads(self.body)
        assert document["status"] == status
        assert document["instance"] == self.headers["x-request-id"]


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, *parts: bytes) -> None:
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    async def read(self, *, head_only: bool = False) -> Raw:
        async with asyncio.timeout(LIMIT):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            lines = (line.partition(":") for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in lines}
            length = 0 if head_only else int(headers.get("content-length", 0))
            body = await self._reader.readexactly(length)
        return Raw(int(head[0].split()[1]), headers, body)

    async def ended(self) -> bool:
        """Whether the other side hangs up."""
        async with asyncio.timeout(LIMIT):
            return await self._reader.read(1) == b""

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def connect(address: str) -> Wire:
    parts = urlsplit(address)
    return Wire(*await asyncio.open_connection(parts.hostname, parts.port))


@pytest.fixture
async def wire(door: str) -> AsyncIterator[Wire]:
    connection = await connect(door)
    yield connection
    await connection.close()


async def is_alive(wire: Wire) -> bool:
    await wire.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    return (await wire.read()).status == 200


async def is_listening(address: str) -> bool:
    try:
        await (await connect(address)).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "request_head",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"POST /images/complete HTTP/1.1\r\nHost: x\r\n"
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=lambda head: head[:40],
)
async def test_what_is_not_http_is_a_problem_and_the_end_of_the_connection(
    wire: Wire, request_head: bytes
) -> None:
    await wire.write(request_head)
    answer = await wire.read()
    answer.problem(400)
    assert b"aiohttp" not in answer.body
    assert b"Traceback" not in answer.body
    assert await wire.ended()


async def test_a_chunked_body_is_read(wire: Wire) -> None:
    await wire.write(
        b"POST /images/upload-url HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
    )
    for n in range(0, len(DECLARATION), 7):
        piece = DECLARATION[n : n + 7]
        await wire.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    await wire.write(b"0\r\n\r\n")
    assert (await wire.read()).status == 200
    assert await is_alive(wire)


async def test_a_chunked_body_that_grows_too_large_is_cut_off(wire: Wire) -> None:
    await wire.write(
        b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
    )
    piece = b"x" * 8192
    for _ in range(9):
        await wire.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    answer = await wire.read()
    answer.problem(413)
    assert answer.headers["connection"] == "close"


async def test_a_body_that_says_that_it_is_too_large_is_not_waited_for(wire: Wire) -> None:
    await wire.write(
        b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
        b"Content-Length: 1000000000\r\n\r\n",
    )
    answer = await wire.read()
    answer.problem(413)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n", b"-1\r\n{}\r\n"])
async def test_a_broken_chunk_is_a_problem(wire: Wire, chunk: bytes) -> None:
    await wire.write(
        b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk,
    )
    (await wire.read()).problem(400)
    assert await wire.ended()


async def test_a_body_that_does_not_arrive_is_not_waited_for_for_ever(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_BODY_SECONDS", 0.1)
    async with open_door(stores) as address:
        wire = await connect(address)
        await wire.write(
            b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
            b"Content-Length: 100\r\n\r\n{",
        )
        answer = await wire.read()
        answer.problem(408)
        assert answer.headers["connection"] == "close"
        await wire.close()


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n"])
async def test_a_connection_that_asks_for_nothing_is_closed(
    stores: Settings, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(web, "_HEADER_SECONDS", 0.1)
    async with open_door(stores) as address:
        wire = await connect(address)
        await wire.write(said)
        assert await wire.ended()
        await wire.close()


async def test_a_connection_is_kept_for_the_next_request(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_HEADER_SECONDS", 0.1)
    async with open_door(stores) as address:
        first, silent = await connect(address), await connect(address)
        assert await is_alive(first)
        assert await silent.ended()
        assert await is_alive(first)
        await first.close()
        await silent.close()


async def test_a_client_that_leaves_in_the_middle_harms_nobody(door: str) -> None:
    for part in (b"GET", b"GET /livez HTTP/1.1\r\n", b"POST /images/complete HTTP/1.1\r\n"):
        wire = await connect(door)
        await wire.write(part)
        await wire.close()
    wire = await connect(door)
    await wire.write(b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
    await wire.close()
    wire = await connect(door)
    assert await is_alive(wire)
    await wire.close()


async def test_one_connection_serves_many_requests_errors_included(wire: Wire) -> None:
    for path, status in (("/livez", 200), ("/nothing", 404), ("/images/x", 404), ("/livez", 200)):
        await wire.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await wire.read()).status == status
    body = b"{"
    await wire.write(
        b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n" + body
    )
    (await wire.read()).problem(400)
    assert await is_alive(wire)


async def test_requests_sent_ahead_are_answered_in_order(wire: Wire) -> None:
    await wire.write(
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-Id: one\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Request-Id: two\r\n\r\n",
    )
    answers = [await wire.read(), await wire.read()]
    assert [each.headers["x-request-id"] for each in answers] == ["one", "two"]
    assert [each.status for each in answers] == [200, 404]


async def test_head_sends_no_body_but_its_length(wire: Wire) -> None:
    await wire.write(b"HEAD /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    headed = await wire.read(head_only=True)
    assert int(headed.headers["content-length"]) > 1000
    assert await is_alive(wire)


async def test_a_body_where_none_belongs_is_passed_over(wire: Wire) -> None:
    await wire.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nsmuggle")
    assert (await wire.read()).status == 200
    assert await is_alive(wire)


async def test_a_client_that_asks_before_sending_is_told_to_go_on(wire: Wire) -> None:
    length = str(len(DECLARATION)).encode()
    await wire.write(
        b"POST /images/upload-url HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
        b"Expect: 100-continue\r\nContent-Length: " + length + b"\r\n\r\n",
    )
    assert (await wire.read()).status == 100
    await wire.write(DECLARATION)
    assert (await wire.read()).status == 200


async def test_http_1_0_is_answered_and_closed(wire: Wire) -> None:
    await wire.write(b"GET /livez HTTP/1.0\r\n\r\n")
    assert (await wire.read()).status == 200
    assert await wire.ended()


@pytest.mark.parametrize("target", [b"http://elsewhere/livez", b"http://elsewhere:1/livez?x=y"])
async def test_a_request_as_to_a_proxy_is_answered_by_its_path(wire: Wire, target: bytes) -> None:
    await wire.write(b"GET " + target + b" HTTP/1.1\r\nHost: elsewhere\r\n\r\n")
    assert (await wire.read()).status == 200


@pytest.mark.parametrize(
    "line", [b"OPTIONS * HTTP/1.1", b"CONNECT x:1 HTTP/1.1", b"TRACE /livez HTTP/1.1"]
)
async def test_unusual_methods_get_an_answer_of_ours(wire: Wire, line: bytes) -> None:
    await wire.write(line + b"\r\nHost: x\r\n\r\n")
    answer = await wire.read()
    assert answer.status in {204, 400, 404, 405}
    assert answer.headers["x-request-id"]


async def test_header_names_in_any_case_are_the_same(wire: Wire) -> None:
    await wire.write(b"GET /livez HTTP/1.1\r\nhOST: x\r\nx-reQUEST-iD: same\r\n\r\n")
    assert (await wire.read()).headers["x-request-id"] == "same"


async def test_a_service_that_stops_finishes_what_is_under_way() -> None:
    asked, released, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def empty_table(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await released.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(settings: Settings) -> None:
        async with open_door(settings) as address:
            opened.set_result(address)
            await stop.wait()

    async with await asyncio.start_server(empty_table, "127.0.0.1", 0) as store:
        port = store.sockets[0].getsockname()[1]
        serving = asyncio.create_task(serve(random_settings(f"http://127.0.0.1:{port}")))
        wire = await connect(await opened)
        await wire.write(f"GET /images/{uuid4()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(LIMIT):
            await asked.wait()
            stop.set()
            while await is_listening(opened.result()):
                pass
        released.set()
        (await wire.read()).problem(404)
        assert await wire.ended()
        await wire.close()
        await serving


async def test_a_header_sent_twice_counts_with_both_values(wire: Wire) -> None:
    await wire.write(
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-Id: one\r\nX-Request-Id: two\r\n\r\n"
    )
    answer = await wire.read()
    # "one, two" is no id, so the request gets one of its own.
    assert answer.headers["x-request-id"] not in {"one", "two"}
