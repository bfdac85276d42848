"""One HTTP message to a neutral request, and a neutral answer to one."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import StreamReader, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage

from service.errors import BodyTooLarge, BodyTooSlow, MalformedMessage, MontError
from service.exchange import ApiRequest, ApiResponse
from service.pipeline import MAX_BODY_BYTES

# A body is at most 64 KB: whoever needs longer than this holds a connection, not an upload. What
# is left of the request's time has to do for its answer.
BODY_SECONDS = 5

_VERSIONS = (HttpVersion11, HttpVersion10)
# To these an answer has no body, and says nothing of its length (RFC 9110, 8.6).
_BODILESS = frozenset({204, 304})


_STATUS_LINES = {
    # Without a name of ours aiohttp would tell its version and Python's.
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nServer: mont\r\nDate: "
    for status in HTTPStatus
}


async def read(
    message: RawRequestMessage, payload: StreamReader, transport: asyncio.WriteTransport | None
) -> tuple[ApiRequest, MontError | None]:
    """The neutral request, and why it could not be read whole if so.

    Who asks first whether to send a body is told to, over the transport.
    """
    body = b""
    refusal: MontError | None = None
    if message.version not in _VERSIONS:
        # Its parser takes in more, but where such a message ends is not for it to say.
        refusal = MalformedMessage()
    else:
        try:
            if payload.is_eof():  # all here already, as it nearly always is
                body = payload.read_nowait()
                if len(body) > MAX_BODY_BYTES:
                    raise BodyTooLarge
            else:
                body = await _body(message, payload, transport)
        except BodyTooLarge as error:
            refusal, body = error, b""
        except TimeoutError:
            refusal = BodyTooSlow()
        except (web.RequestPayloadError, ConnectionError, RuntimeError):  # the last: it is closed
            refusal = MalformedMessage()
    return without_body(message, body), refusal


def without_body(message: RawRequestMessage, body: bytes = b"") -> ApiRequest:
    """The neutral request with this body, whatever was sent."""
    url = message.url
    return ApiRequest(
        method=message.method,
        path=url.raw_path,
        query=tuple(url.query.items()) if url.raw_query_string else (),
        headers=_headers(message),
        body=body,
    )


async def _body(
    message: RawRequestMessage, payload: StreamReader, transport: asyncio.WriteTransport | None
) -> bytes:
    """What has yet to arrive. Raises BodyTooLarge, TimeoutError, and what aiohttp's parser does."""
    length = message.headers.get("Content-Length", "0")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise BodyTooLarge
    if message.headers.get("Expect", "").lower() == "100-continue" and transport is not None:
        # A client that asks first would hold its body back until it gives up waiting.
        transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    pieces: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_SECONDS):
        while not payload.at_eof():
            piece = await payload.readany()
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise BodyTooLarge
    return b"".join(pieces)


def _headers(message: RawRequestMessage) -> dict[str, str]:
    """Headers by lower-case name; one that was sent twice is one with both values (RFC 9110, 5.2).

    Taking either would let two credentials in one request mean something else to somebody else.
    """
    headers: dict[str, str] = {}
    for sent, value in message.headers.items():
        name = sent.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def answer_bytes(answer: ApiResponse, *, last: bool, old: bool) -> bytes:
    """The HTTP answer; the `last` one of its connection says so.

    To an `old` client, of HTTP/1.0, any other says that it is not. Whatever was asked in: an answer
    tells what its server can do (RFC 9110, 6.2). Raises ValueError for what is no header.
    """
    headers, body = answer.headers, answer.body
    if answer.status in _BODILESS:
        body = b""
    else:
        # There already in the answer to HEAD, which has no body either.
        headers.setdefault("Content-Length", str(len(body)))
    if last:
        headers["Connection"] = "close"
    elif old:
        headers["Connection"] = "keep-alive"
    lines = [f"{name}: {value}" for name, value in headers.items()]
    told = "\r\n".join(lines)
    ends = len(lines) - 1
    if told.count("\n") != ends or told.count("\r") != ends or "\0" in told:
        raise ValueError("a header with a line break in it")
    head = f"{_STATUS_LINES[answer.status]}{rfc822_formatted_time()}\r\n{told}\r\n\r\n"
    return head.encode() + body
