"""One HTTP message to a neutral request, and a neutral answer to one."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion10, HttpVersion11

from service.errors import BodyTooLarge, BodyTooSlow, MalformedMessage, MontError
from service.exchange import ApiRequest, ApiResponse
from service.pipeline import MAX_BODY_BYTES

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from multidict import CIMultiDict

# A body is at most 64 KB: whoever needs longer than this holds a connection, not an upload. What
# is left of the request's time has to do for its answer.
BODY_SECONDS = 5

_VERSIONS = (HttpVersion11, HttpVersion10)
# To these an answer has no body, and says nothing of its length (RFC 9110, 8.6).
_BODILESS = frozenset({204, 304})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


async def read(request: web.BaseRequest) -> tuple[ApiRequest, MontError | None]:
    """The neutral request, and why it could not be read whole if so."""
    body = b""
    refusal: MontError | None = None
    if request.version not in _VERSIONS:
        # Its parser takes in more, but where such a message ends is not for it to say.
        refusal = MalformedMessage()
    elif request.body_exists:
        try:
            if request.content.is_eof():  # all here already, as it nearly always is
                body = _waiting_body(request)
            else:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await _body(request)
        except web.HTTPRequestEntityTooLarge:
            refusal = BodyTooLarge()
        except TimeoutError:
            refusal = BodyTooSlow()
        except (web.RequestPayloadError, ConnectionError):
            refusal = MalformedMessage()
    return without_body(request, body), refusal


def without_body(request: web.BaseRequest, body: bytes = b"") -> ApiRequest:
    """The neutral request with this body, whatever was sent."""
    url = request.rel_url
    return ApiRequest(
        method=request.method,
        path=url.raw_path,
        query=tuple(url.query.items()) if url.raw_query_string else (),
        headers=_headers(request),
        body=body,
    )


def _waiting_body(request: web.BaseRequest) -> bytes:
    body = request.content.read_nowait()
    if len(body) > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, len(body))
    return body


async def _body(request: web.BaseRequest) -> bytes:
    if (length := request.content_length or 0) > MAX_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, length)
    if request.headers.get("Expect", "").lower() == "100-continue":
        # A client that asks first would hold its body back until it gives up waiting.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Not part of the answer, which has not begun.
        request.writer.output_size = 0
    return await request.read()


def _headers(request: web.BaseRequest) -> dict[str, str]:
    """Headers by lower-case name; one that was sent twice is one with both values (RFC 9110, 5.2).

    Taking either would let two credentials in one request mean something else to somebody else.
    """
    headers: dict[str, str] = {}
    for sent, value in request.headers.items():
        name = sent.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


class Written(web.StreamResponse):
    """The HTTP answer, written in one piece.

    aiohttp's own makes ready for what never comes here: cookies, compression, chunks.
    """

    def __init__(self, answer: ApiResponse) -> None:
        super().__init__(status=answer.status)
        self._answer = answer

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Write all of it: this is called once, before `write_eof`."""
        answer = self._answer
        headers, body = answer.headers, answer.body
        if answer.status in _BODILESS:
            body = b""
        else:
            # There already in the answer to HEAD, which has no body either.
            headers.setdefault("Content-Length", str(len(body)))
        headers["Date"] = rfc822_formatted_time()
        # Without a name of ours aiohttp would tell its version and Python's.
        headers["Server"] = "mont"
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        if not self._keep_alive:
            headers["Connection"] = "close"
        elif request.version == HttpVersion10:
            headers["Connection"] = "keep-alive"
        # Whatever was asked in: an answer tells what its server can do (RFC 9110, 6.2).
        line = f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}"
        writer = request.writer
        # Only hooks that nobody sets would need more of a mapping.
        await writer.write_headers(line, cast("CIMultiDict[str]", headers))
        await writer.write_eof(body)
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


def write(answer: ApiResponse) -> Written:
    """The HTTP answer."""
    return Written(answer)
