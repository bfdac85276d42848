"""The limit: what is left when a server does nothing but HTTP and JSON.

A bare aiohttp route that parses the body and dumps an answer of the service's, after as many bare
exchanges with the stores as the service made, of the very same bytes. Nothing is checked, signed,
limited, counted or logged.

    python -m tests.load.limit PORT STORE SCRIPT
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

Exchange = tuple[str, URL, dict[str, str], bytes]
SESSION = web.AppKey("session", aiohttp.ClientSession)


def make_app(store: str, script: list[dict[str, Any]]) -> web.Application:
    """`script` has for each call its method, its route, its answer and the exchanges it makes."""
    app = web.Application()
    app.cleanup_ctx.append(_session)
    for call in script:
        exchanges = [
            (method, URL(store + target, encoded=True), headers, body.encode("latin-1"))
            for method, target, headers, body in call["exchanges"]
        ]
        app.router.add_route(
            call["method"], call["route"], _handler(orjson.loads(call["answer"]), exchanges)
        )
    return app


def _handler(
    document: Any, exchanges: list[Exchange]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        if request.can_read_body:
            orjson.loads(await request.read())
        session = request.app[SESSION]
        for method, url, headers, body in exchanges:
            async with session.request(method, url, headers=headers, data=body or None) as answer:
                await answer.read()
        return web.Response(body=orjson.dumps(document), content_type="application/json")

    return handle


async def _session(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        app[SESSION] = session
        yield


if __name__ == "__main__":
    port, store, script = sys.argv[1:]
    web.run_app(
        make_app(store, json.loads(Path(script).read_text("utf-8"))),
        host="127.0.0.1",
        port=int(port),
        access_log=None,
        print=None,
    )
