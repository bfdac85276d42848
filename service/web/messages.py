"""One HTTP message to a neutral request, and a neutral answer to one."""

from __future__ import annotations

import asyncio

from aiohttp import web

from service.errors import BodyTooLarge, BodyTooSlow, MalformedMessage, MontError
from service.exchange import ApiRequest, ApiResponse
from service.pipeline import MAX_BODY_BYTES

# A body is at most 64 KB: whoever needs longer than this holds a connection, not an upload. What
# is left of the request's time has to do for its answer.
BODY_SECONDS = 5


async def read(request: web.BaseRequest) -> tuple[ApiRequest, MontError | None]:
    """The neutral request, and why its body could not be read if so."""
    body = b""
    refusal: MontError | None = None
    if request.body_exists:
        try:
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


def write(answer: ApiResponse) -> web.Response:
    """The HTTP answer."""
    # Without a name of ours aiohttp would tell its version and Python's.
    answer.headers["Server"] = "mont"
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body or None)
