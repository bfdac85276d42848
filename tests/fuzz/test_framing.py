"""Where one request ends and the next begins: only ever where every reader would say so.

A proxy in front that sees one request where the service sees two lets a client speak for others.
Here the second one is marked; it must never be answered, and the connection has to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.judging import judge
from tests.fuzz.knocking import Connection, asked
from tests.support.effort import searching

POST = b"POST /images/complete HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-Id: smuggled\r\n\r\n"
CHUNKED = b"2\r\n{}\r\n0\r\n\r\n"


# Of these the parser takes in the first ones as requests, and refuses the others.
UNKNOWN_VERSIONS = [
    *(b"HTTP/0.9", b"HTTP/2.0", b"", b"HTTP/0.0", b"HTTP/1.2", b"HTTP/1.7", b"HTTP/1.10"),
    *(b"HTTP/1", b"HTTP/2", b"HTTP/3.0", b"HTTP/11.1", b"http/1.1", b"HTTP/ 1.1", b"HTTPS/1.1"),
]


@pytest.fixture
def connection(door: str) -> Iterator[Connection]:
    asked["aiohttp"] += 1
    opened = Connection(door)
    yield opened
    opened.close()


AMBIGUOUS: dict[str, bytes] = {
    "length and chunks": POST
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    + CHUNKED,
    "chunks and length": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
    + CHUNKED,
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}",
    "two lengths in one": POST + b"Content-Length: 2, 60\r\n\r\n{}",
    "a length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "a hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a negative length": POST + b"Content-Length: -2\r\n\r\n{}",
    "a length in other digits": POST + "Content-Length: ٢\r\n\r\n{}".encode(),
    "a length with an underscore": POST + b"Content-Length: 0_2\r\n\r\n{}",
    "a length beyond any number": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    "a space before the colon": POST + b"Content-Length : 60\r\n\r\n{}",
    "a space before a coding": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKED,
    "a folded header": POST + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 2\r\n\r\n{}",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "chunks before another coding": POST
    + b"Transfer-Encoding: chunked, identity\r\n\r\n"
    + CHUNKED,
    "chunks twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKED,
    "two codings": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"
    + CHUNKED,
    "a coding behind a null": POST + b"Transfer-Encoding: \0chunked\r\n\r\n" + CHUNKED,
    "a coding behind a tab of old": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKED,
    "chunks for 1.0": POST.replace(b"1.1", b"1.0")
    + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "a chunk of no size": POST + b"Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
    "a chunk with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a chunk of 0x2": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is longer": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a chunk without its end": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
    "a chunk beyond any number": POST
    + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff2\r\n{}\r\n0\r\n\r\n",
    "a bare line feed in a chunk": POST
    + b"Transfer-Encoding: chunked\r\n\r\n2;x\ny\r\n{}\r\n0\r\n\r\n",
    "a null in a name": POST + b"Content\0-Length: 2\r\n\r\n{}",
    "a null in a value": POST + b"Content-Length: 2\r\nX: a\0b\r\n\r\n{}",
    "a carriage return in a value": POST
    + b"Content-Length: 2\r\nX: a\rContent-Length: 60\r\n\r\n{}",
    "a line without a colon": POST + b"Content-Length: 2\r\nContent-Length\r\n\r\n{}",
    "a name of nothing": POST + b"Content-Length: 2\r\n: x\r\n\r\n{}",
    "a space in the target": b"GET /live z HTTP/1.1\r\nHost: x\r\n\r\n",
    "two versions": b"GET /livez HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "lines of line feeds": b"GET /livez HTTP/1.1\nHost: x\nContent-Length: 60\n\n",
    "a request before its line": b"\0GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("shape", AMBIGUOUS)
def test_a_request_of_two_readings_is_the_last_one(connection: Connection, shape: str) -> None:
    connection.send(AMBIGUOUS[shape] + SMUGGLED)
    answer, last = connection.receive("POST")
    judge(answer)
    assert answer.status in {400, 413}
    assert answer.headers["X-Request-Id"] != "smuggled"
    assert last
    assert connection.rest() == b""


@pytest.mark.parametrize("kept", [b"", b"Connection: keep-alive\r\n"], ids=["", "kept"])
@pytest.mark.parametrize("version", UNKNOWN_VERSIONS)
def test_a_request_in_another_version_is_the_last_one(
    connection: Connection, version: bytes, kept: bytes
) -> None:
    line = b" ".join([b"GET /livez", version]).rstrip()
    connection.send(line + b"\r\nHost: x\r\n" + kept + b"\r\n" + SMUGGLED)
    answer, last = connection.receive()
    judge(answer)
    assert answer.json()["type"] == "urn:mont:problem:malformed-message"
    assert answer.headers["X-Request-Id"] != "smuggled"
    assert last
    assert connection.rest() == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POST + b"Content-Length: 2\r\n\r\n{}", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED, 400),
        (POST + b"Transfer-Encoding: CHUNKED\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /", 200),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED, 200),
        (b"OPTIONS /images HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 204),
        (b"PUT /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 404),
        (b"\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 200),
    ],
)
def test_a_request_of_one_reading_is_answered_and_so_is_the_next(
    connection: Connection, request_: bytes, status: int
) -> None:
    connection.send(request_ + SMUGGLED)
    answer, _ = connection.receive(request_.split()[0].decode())
    judge(answer)
    assert answer.status == status
    following, _ = connection.receive()
    assert (following.status, following.headers["X-Request-Id"]) == (200, "smuggled")


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0", b"x"])
@pytest.mark.parametrize("also", [b"", b"HTTP2-Settings: AAMAAABkAAQ\r\n"], ids=["", "settings"])
def test_an_offer_of_another_protocol_is_passed_over(
    connection: Connection, protocol: bytes, also: bytes
) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\n" + also
    connection.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n" + SMUGGLED)
    answer, last = connection.receive()
    judge(answer)
    assert answer.status == 200
    if last:
        assert connection.rest() == b""
    else:
        assert connection.receive()[0].headers["X-Request-Id"] == "smuggled"


_FRAMING = st.lists(
    st.sampled_from(
        [
            *(
                b"Content-Length: 2",
                b"Content-Length: 0",
                b"Content-Length: 65",
                b"content-length:2",
            ),
            *(
                b"Content-Length:\t2",
                b"Content-Length: 2 ",
                b"Content-Length: 2,2",
                b"Content-Length:",
            ),
            *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding:"),
            *(b"transfer-encoding:\tchunked", b"Transfer-Encoding: gzip, chunked", b"TE: chunked"),
            *(b"Connection: close", b"Connection: keep-alive", b"Connection: Content-Length"),
            *(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk"),
            *(
                b"Expect: 100-continue",
                b"Expect: x",
                b"Content-Encoding: gzip",
                b"Host: y",
                b"Host:",
            ),
            *(
                b"X: \xff",
                b"Sec-WebSocket-Key: x",
                b"Upgrade: websocket",
                b"Trailer: Content-Length",
            ),
        ]
    ),
    max_size=5,
)
_ENDS = st.sampled_from(
    [b"{}", b"", CHUNKED, b"0\r\n\r\n", b"2\r\n{}\r\n", b"{}" * 30, b"\r\n\r\n"]
)
_METHODS = st.sampled_from([b"GET", b"POST", b"OPTIONS", b"DELETE", b"PATCH", b"CONNECT"])
_VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", *UNKNOWN_VERSIONS])


# Satisfies every length above, and then can be no request of its own.
_ENOUGH = b"x" * 100


@searching(short=60, long=2_500)
@given(method=_METHODS, version=_VERSIONS, framing=_FRAMING, body=_ENDS)
def test_every_framing_gets_sound_answers(
    door: str, method: bytes, version: bytes, framing: list[bytes], body: bytes
) -> None:
    asked["aiohttp"] += 1
    lines = [method + b" /images/complete " + version, b"Host: x", *framing]
    with closing(Connection(door)) as connection:
        connection.send(b"\r\n".join(lines) + b"\r\n\r\n" + body + _ENOUGH)
        last = False
        while not last:
            answer, last = connection.receive()
            if answer.status != 100:
                judge(answer)
        assert connection.rest() == b""
