"""The aiohttp door: HTTP messages to neutral requests and back. Decides nothing else.

The pipeline routes by its own rules, so this is aiohttp's low-level server, without its router.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from service.errors import BodyTooLarge, BodyTooSlow, MalformedMessage, MontError
from service.exchange import ApiRequest, ApiResponse
from service.pipeline import MAX_BODY_BYTES, Pipeline

# A body is at most 64 KB: whoever needs longer than this holds a connection, not an upload.
_BODY_SECONDS = 10
# For the head of a first request, and between two requests of one connection.
_HEADER_SECONDS = 10
_KEEPALIVE_SECONDS = 75


def make_server(pipeline: Pipeline) -> web.Server:
    """A server that hands every request to the pipeline, whatever its method and path."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        neutral, refusal = await _read(request)
        response = _write(await pipeline.run(neutral, refusal))
        if refusal is not None:
            # What is left of the body is not worth reading, and without it the connection is lost.
            response.force_close()
        return response

    return _Server(handle, pipeline)


class _Server(web.Server):
    """aiohttp's server with our limit on bodies and our answer to what is not HTTP."""

    def __init__(
        self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], pipeline: Pipeline
    ) -> None:
        # Cancelling a handler whose client went away could stop an operation between two writes.
        super().__init__(handle, request_factory=_make_request, handler_cancellation=False)
        self._pipeline = pipeline

    def __call__(self) -> web.RequestHandler:
        """The protocol of one connection."""
        return _Protocol(self, self._pipeline)


class _Protocol(web.RequestHandler):
    __slots__ = ("_pipeline", "_silence")

    def __init__(self, server: web.Server, pipeline: Pipeline) -> None:
        # Access logging is the pipeline's; aiohttp's own is switched off by None.
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_KEEPALIVE_SECONDS,
            access_log=None,  # type: ignore[arg-type]  # as aiohttp's runners do it
        )
        self._pipeline = pipeline
        self._silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the client a while to say what it wants."""
        super().connection_made(transport)
        # aiohttp itself would wait for ever for the first request.
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(_HEADER_SECONDS, transport.close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timer with the connection."""
        self.heard()
        super().connection_lost(exc)

    def heard(self) -> None:
        """The first request is there."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer where aiohttp could make no request of what arrived."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun already")
        unexpected = exc if status >= 500 and isinstance(exc, Exception) else None
        response = _write(self._pipeline.refuse(unexpected or MalformedMessage()))
        response.force_close()
        return response


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    if isinstance(protocol, _Protocol):
        protocol.heard()
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES
    )


async def _read(request: web.BaseRequest) -> tuple[ApiRequest, MontError | None]:
    """The neutral request, and why its body could not be read if so."""
    body = b""
    refusal: MontError | None = None
    if request.body_exists:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _body(request)
        except web.HTTPRequestEntityTooLarge:
            refusal = BodyTooLarge()
        except TimeoutError:
            refusal = BodyTooSlow()
        except (web.RequestPayloadError, ConnectionError):
            refusal = MalformedMessage()
    url = request.rel_url
    neutral = ApiRequest(
        method=request.method,
        path=url.raw_path,
        query=tuple(url.query.items()) if url.raw_query_string else (),
        headers=_headers(request),
        body=body,
    )
    return neutral, refusal


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


def _write(answer: ApiResponse) -> web.Response:
    # Without a name of ours aiohttp would tell its version and Python's.
    answer.headers["Server"] = "mont"
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body or None)


@asynccontextmanager
async def listening(
    server: web.Server, host: str, port: int, *, grace: float
) -> AsyncIterator[tuple[str, int]]:
    """Serve inside the block; yields the address really listened on.

    Leaving the block stops listening at once and gives requests under way `grace` seconds.
    Raises OSError when the address cannot be had.
    """
    runner = web.ServerRunner(server, shutdown_timeout=grace)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = runner.addresses[0]
        yield address[0], address[1]
    finally:
        await runner.cleanup()
