"""The aiohttp door: HTTP messages to neutral requests and back. Decides nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from service.errors import BodyTooLarge, BodyTooSlow, MontError
from service.exchange import ApiRequest, ApiResponse
from service.pipeline import MAX_BODY_BYTES, Pipeline

# A body is at most 64 KB: whoever needs longer than this holds a connection, not an upload.
_BODY_SECONDS = 10


def make_app(pipeline: Pipeline) -> web.Application:
    """An application that hands every request to the pipeline, whatever its method and path."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)

    async def handle(request: web.Request) -> web.StreamResponse:
        neutral, refusal = await _read(request)
        answer = await pipeline.run(neutral, refusal)
        response = _write(answer)
        if refusal is not None:
            # What is left of the body is not worth reading; without it the connection is unusable.
            response.force_close()
        return response

    app.router.add_route("*", "/{path:.*}", handle)
    return app


async def _read(request: web.Request) -> tuple[ApiRequest, MontError | None]:
    """The neutral request, and why its body could not be read if so."""
    body = b""
    refusal: MontError | None = None
    if request.body_exists:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            refusal = BodyTooLarge()
        except TimeoutError:
            refusal = BodyTooSlow()
    url = request.rel_url
    neutral = ApiRequest(
        method=request.method,
        path=url.raw_path,
        query=tuple(url.query.items()) if url.raw_query_string else (),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
    )
    return neutral, refusal


def _write(answer: ApiResponse) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body or None)


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, *, grace: float
) -> AsyncIterator[tuple[str, int]]:
    """Serve the application inside the block; yields the address it really listens on.

    Leaving the block stops listening at once and gives requests under way `grace` seconds.
    """
    # Access logging is the pipeline's; cancelling a handler whose client went away could stop an
    # operation between two writes.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=grace)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = runner.addresses[0]
        yield address[0], address[1]
    finally:
        await runner.cleanup()
