"""What only a door with a socket of its own has to bear: HTTP that is broken, slow or unusual."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from service.errors import MontError
from service.exchange import ApiRequest, ApiResponse
from service.pipeline import Answerer
from service.serve import open_standalone
from service.settings import Settings
from service.shedding import Gate
from service.web import connections, listening, make_server, messages
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
    return Wire(*await asyncio.open_connection(*place_of(address)))


def place_of(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return str(parts.hostname), int(parts.port or 0)


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


async def test_a_refusal_arrives_where_much_of_the_body_is_still_on_its_way(wire: Wire) -> None:
    await wire.write(
        b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"
    )
    for _ in range(200):
        await wire.write(b"x" * 100_000)
    (await wire.read()).problem(413)


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
    monkeypatch.setattr(messages, "BODY_SECONDS", 0.1)
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
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)
    async with open_door(stores) as address:
        wire = await connect(address)
        await wire.write(said)
        assert await wire.ended()
        await wire.close()


async def test_a_connection_is_kept_for_the_next_request(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.1)
    async with open_door(stores) as address:
        first, silent = await connect(address), await connect(address)
        assert await is_alive(first)
        assert await silent.ended()
        assert await is_alive(first)
        await first.close()
        await silent.close()


async def test_a_connection_is_kept_for_so_long_after_each_answer(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "KEEPALIVE_SECONDS", 0.2)
    async with open_door(stores) as address:
        wire = await connect(address)
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert await is_alive(wire)
        assert await wire.ended()
        await wire.close()


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


async def test_http_1_0_may_ask_to_stay(wire: Wire) -> None:
    for _ in range(2):
        await wire.write(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await wire.read()
        assert (answer.status, answer.headers["connection"]) == (200, "keep-alive")


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


@pytest.mark.parametrize("value", [None, "a\r\nSet-Cookie: b", "a\nb", "a\rb"])
async def test_what_cannot_be_answered_is_a_problem_and_the_end_of_the_connection(
    stores: Settings, value: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_standalone(stores) as pipeline:
        server = make_server(Broken(pipeline, value))
        async with listening(server, "127.0.0.1", 0, grace=1) as (host, port):
            wire = await connect(f"http://{host}:{port}")
            await wire.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = await wire.read()
            answer.problem(500)
            assert "set-cookie" not in answer.headers
            assert await wire.ended()
            await wire.close()
    assert "no answer could be made" in caplog.messages


class Broken:
    """A pipeline that fails, or answers with this value as a header."""

    def __init__(self, whole: Answerer, value: str | None) -> None:
        self.refuse = whole.refuse
        self.turned_away = whole.turned_away
        self._value = value

    async def run(
        self, _request: ApiRequest, _refusal: MontError | None = None, *, waited: float = 0.0
    ) -> ApiResponse:
        if self._value is None:
            raise RuntimeError(f"after {waited} s")
        return ApiResponse(200, {"X-Odd": self._value})


async def test_however_many_are_sent_ahead_each_is_answered_in_its_turn(wire: Wire) -> None:
    names = [f"n{number}" for number in range(120)]
    length = str(len(DECLARATION)).encode()

    def request(name: str, with_body: bool) -> bytes:
        this_id = f"X-Request-Id: {name}\r\n".encode()
        if not with_body:
            return b"GET /livez HTTP/1.1\r\nHost: x\r\n" + this_id + b"\r\n"
        head = b"POST /images/upload-url HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        return head + this_id + b"Content-Length: " + length + b"\r\n\r\n" + DECLARATION

    # The first body in a packet of its own: its request is begun before the others are parsed.
    head, _, body = request(names[0], True).partition(b"\r\n\r\n")
    await wire.write(head + b"\r\n\r\n")
    await wire.write(body + b"".join(request(each, int(each[1:]) % 3 == 0) for each in names[1:]))
    for name in names:
        answer = await wire.read()
        assert (answer.status, answer.headers["x-request-id"]) == (200, name)
    assert await is_alive(wire)


async def test_a_client_that_has_said_all_is_still_answered(door: str) -> None:
    for sent in (1, 40):
        reader, writer = await asyncio.open_connection(*place_of(door))
        # Not there: what takes a store to find out, after the client's end has been seen.
        writer.write(f"GET /images/{uuid4()} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * sent)
        writer.write_eof()
        wire = Wire(reader, writer)
        assert [(await wire.read()).status for _ in range(sent)] == [404] * sent
        assert await wire.ended()
        await wire.close()


async def test_a_client_that_has_said_half_is_let_go(door: str) -> None:
    reader, writer = await asyncio.open_connection(*place_of(door))
    writer.write(b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    writer.write_eof()
    wire = Wire(reader, writer)
    assert await wire.ended()
    await wire.close()


async def test_chunks_of_http_1_0_are_the_last_of_their_connection(wire: Wire) -> None:
    await wire.write(
        b"POST /images/upload-url HTTP/1.0\r\nContent-Type: application/json\r\n",
        b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(DECLARATION), DECLARATION),
    )
    assert (await wire.read()).headers["connection"] == "close"
    assert await wire.ended()


# Bodies that are not what they seem


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "x"])
async def test_a_compressed_body_is_refused_unread(
    wire: Wire, coding: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = b"\x1f\x8b no gzip"
    await wire.write(
        b"POST /images/upload-url HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
        f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body,
    )
    (await wire.read()).problem(415)
    assert await is_alive(wire)
    assert "aiohttp.server" not in {record.name for record in caplog.records}


async def test_a_small_bomb_does_not_go_off(wire: Wire) -> None:
    bomb = zlib.compress(b"x" * 50_000_000)
    await wire.write(
        b"POST /images/upload-url HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n",
        f"Content-Encoding: deflate\r\nContent-Length: {len(bomb)}\r\n\r\n".encode() + bomb,
    )
    (await wire.read()).problem(415)


# Clients that hold on to what they have


async def test_a_client_that_does_not_take_in_its_answer_is_let_go(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.1)
    async with open_door(stores) as address:
        with socket.socket() as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(greedy, place_of(address))
            ask = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
            async with asyncio.timeout(LIMIT):
                with pytest.raises(ConnectionError):
                    while True:  # until the other side resets the connection
                        await loop.sock_sendall(greedy, ask)
                        await asyncio.sleep(0.01)
        wire = await connect(address)
        assert await is_alive(wire)
        await wire.close()


async def test_an_answer_that_is_taken_in_bit_by_bit_arrives(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.05)
    async with open_door(stores) as address:
        wire = await connect(address)
        await wire.write(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len((await wire.read()).body) > 500_000
        assert await is_alive(wire)
        await wire.close()


# More than there is room for


@asynccontextmanager
async def small_door(stores: Settings, gate: Gate, room: int) -> AsyncIterator[str]:
    async with (
        open_standalone(stores, gate=gate) as pipeline,
        listening(make_server(pipeline, gate, max_connections=room), "127.0.0.1", 0, grace=1) as (
            host,
            port,
        ),
    ):
        yield f"http://{host}:{port}"


async def test_the_connection_that_was_idle_for_longest_makes_room(stores: Settings) -> None:
    async with small_door(stores, Gate(1, time.perf_counter), 2) as address:
        first, second = await connect(address), await connect(address)
        assert await is_alive(first)
        assert await is_alive(second)
        assert await is_alive(first)
        third = await connect(address)
        assert await is_alive(third)
        assert await second.ended()
        assert await is_alive(first)
        for each in (first, second, third):
            await each.close()


async def test_when_all_are_busy_a_newcomer_may_only_ask_how_the_server_is(
    stores: Settings,
) -> None:
    async with small_door(stores, Gate(1, time.perf_counter), 1) as address:
        busy = await connect(address)
        await busy.write(b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        while not await _is_busy(address):
            pass
        for path, status in (("/livez", 200), ("/readyz", 200), ("/", 503)):
            wire = await connect(address)
            await wire.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = await wire.read()
            assert answer.status == status
            assert answer.headers["connection"] == "close"
            await wire.close()
        await busy.close()


async def _is_busy(address: str) -> bool:
    wire = await connect(address)
    await wire.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    status = (await wire.read()).status
    await wire.close()
    return status == 503


class Flooded(Gate):
    """A gate that is shut."""

    def __init__(self) -> None:
        super().__init__(1, time.perf_counter)
        self.reasons: list[str] = []
        self.count_with(self.reasons.append)

    def has_room(self) -> bool:
        return False


@pytest.mark.parametrize("id_sent", ["", "X-Request-Id: mine\r\n"])
@pytest.mark.parametrize(
    "rest",
    [
        "GET /images HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{}\r\n{{}}",
        "GET /images HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n",
        "GET /images HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n{}\r\n",
        "POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n{}\r\n{{",
        "PUT /images HTTP/1.1\r\nHost: x\r\n{}\r\n",
    ],
)
async def test_whoever_is_turned_away_is_told_so_and_when_to_come_back(
    stores: Settings, rest: str, id_sent: str
) -> None:
    gate = Flooded()
    async with small_door(stores, gate, 9) as address:
        wire = await connect(address)
        await wire.write(rest.format(id_sent).encode())
        answer = await wire.read()
        answer.problem(503)
        assert json.loads(answer.body)["type"] == "urn:mont:problem:overloaded"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["access-control-allow-origin"] == "*"
        if id_sent:
            assert answer.headers["x-request-id"] == "mine"
        assert gate.reasons == ["overloaded"]
        await wire.close()


async def test_a_flood_holds_up_no_probe_and_no_connection(stores: Settings) -> None:
    async with small_door(stores, Flooded(), 9) as address:
        wire = await connect(address)
        for _ in range(3):
            assert await is_alive(wire)
            await wire.write(b"GET /images HTTP/1.1\r\nHost: x\r\n\r\n")
            (await wire.read()).problem(503)
        assert await is_alive(wire)
        await wire.close()


async def test_requests_sent_ahead_into_a_flood_are_answered_in_order(stores: Settings) -> None:
    async with small_door(stores, Flooded(), 9) as address:
        wire = await connect(address)
        ask = "GET {} HTTP/1.1\r\nHost: x\r\n\r\n"
        for paths in (("/livez", "/images", "/livez"), ("/images", "/livez")):
            await wire.write("".join(map(ask.format, paths)).encode())
            statuses = [(await wire.read()).status for _ in paths]
            assert statuses == [200 if path == "/livez" else 503 for path in paths]
        await wire.close()


async def test_an_origin_on_the_list_may_read_that_it_is_turned_away(stores: Settings) -> None:
    listed = replace(stores, cors_allow_origins=("https://app.example",))
    async with small_door(listed, Flooded(), 9) as address:
        wire = await connect(address)
        for origin, allowed in (("https://app.example", "https://app.example"), ("https://x", "")):
            await wire.write(
                f"GET /images HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n\r\n".encode()
            )
            answer = await wire.read()
            answer.problem(503)
            assert answer.headers.get("access-control-allow-origin", "") == allowed
        await wire.close()


async def test_nothing_under_way_is_left_over_when_clients_leave(stores: Settings) -> None:
    gate = Gate(1, time.perf_counter)
    async with small_door(stores, gate, 9) as address:
        for part in (
            b"nonsense\r\n\r\n",
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
            b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{",
            b"GET /images HTTP/1.1\r\nHost: x\r\n\r\n" * 2,
        ):
            wire = await connect(address)
            await wire.write(part)
            await wire.close()
        async with asyncio.timeout(LIMIT):
            while gate.under_way:
                await asyncio.sleep(0)
        wire = await connect(address)
        assert await is_alive(wire)
        assert gate.under_way == 0
        await wire.close()


async def test_answers_that_nobody_takes_in_are_no_backlog(stores: Settings) -> None:
    gate = Gate(1, time.perf_counter)
    async with open_standalone(stores, gate=gate) as pipeline:
        server = make_server(pipeline, gate)
        async with listening(server, "127.0.0.1", 0, grace=1) as (host, port):
            await _leave_answers(f"http://{host}:{port}", server, gate)


async def _leave_answers(address: str, server: connections.Server, gate: Gate) -> None:
    wire = await connect(address)
    await wire.write(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")
    longest = len((await wire.read()).body)
    await wire.close()
    _, writer = await asyncio.open_connection(*place_of(address), limit=1024)
    ask = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(ask * 20)
    wire = await connect(address)
    for _ in range(20):  # each a turn of the server, and more, for what was sent ahead
        assert await is_alive(wire)
        writer.write(ask)
    assert gate.under_way == 0
    unsent = [each.transport.get_write_buffer_size() for each in server.open if each.transport]
    assert 0 < max(unsent) < 2 * longest
    await wire.close()
    writer.transport.abort()


async def test_what_is_sent_ahead_is_taken_in_bit_by_bit(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    whole = connections.Connection.data_received

    def data_received(self: connections.Connection, data: bytes) -> None:
        whole(self, data)
        held.append(sum(payload.total_bytes for _, payload in self._messages))

    monkeypatch.setattr(connections.Connection, "data_received", data_received)
    async with small_door(stores, Gate(1, time.perf_counter), 9) as address:
        _, writer = await asyncio.open_connection(*place_of(address), limit=1024)
        body = b"x" * 400_000
        writer.write(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
        for _ in range(50):
            writer.write(
                b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n"
                + body
            )
        wire = await connect(address)
        for _ in range(50):
            assert await is_alive(wire)
        writer.transport.abort()
        await wire.close()
    assert 60_000 < max(held) < 1_000_000


# The end


async def stoppable_door(stores: Settings) -> tuple[str, asyncio.Event, asyncio.Task[None]]:
    """A door's address, what tells it to stop, and the task that is done once it has."""
    stop = asyncio.Event()
    opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with open_standalone(stores) as pipeline:
            server = make_server(pipeline)
            async with listening(server, "127.0.0.1", 0, grace=20) as (host, port):
                opened.set_result(f"http://{host}:{port}")
                await stop.wait()

    serving = asyncio.create_task(serve())
    return await opened, stop, serving


async def test_an_answer_that_is_being_taken_in_is_waited_for(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package has a function of this name.
    monkeypatch.setattr(sys.modules["service.web.listening"], "_LAST_CALL", 0.0)
    address, stop, serving = await stoppable_door(stores)
    reader, writer = await asyncio.open_connection(*place_of(address), limit=1024)
    writer.write(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 8)
    await reader.readuntil(b"\r\n\r\n")
    stop.set()
    read = 0
    async with asyncio.timeout(LIMIT):
        while await is_listening(address):
            pass
        assert not serving.done()
        while piece := await reader.read(65_536):
            read += len(piece)
    assert read > 1_000_000
    await serving
    writer.close()


async def test_a_connection_kept_open_is_told_that_the_server_stops(stores: Settings) -> None:
    address, stop, serving = await stoppable_door(stores)
    wire = await connect(address)
    assert await is_alive(wire)
    stop.set()
    async with asyncio.timeout(LIMIT):
        while await is_listening(address):
            pass
    await wire.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = await wire.read()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await wire.ended()
    await wire.close()
    await serving
