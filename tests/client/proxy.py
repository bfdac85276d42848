"""A proxy before the service and its S3 that loses, breaks and changes what goes through."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from yarl import URL

_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "date", "server"}


@dataclass
class Passing:
    """One request under way; `send` gives the answer from behind the proxy."""

    request: web.BaseRequest
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    send: Callable[[], Awaitable[web.Response]]


Fault = Callable[[Passing], Awaitable[web.StreamResponse]]


@dataclass
class Proxy:
    """Where it is, what went through, and what is to go wrong next."""

    url: str
    seen: list[Passing] = field(default_factory=list)
    faults: list[tuple[str, Fault]] = field(default_factory=list)

    def fail(self, what: str, *faults: Fault) -> None:
        """Let the next requests of this kind, such as `POST /images/complete`, go wrong so."""
        self.faults += [(what, fault) for fault in faults]

    def of(self, what: str) -> list[Passing]:
        """The requests of this kind so far."""
        return [each for each in self.seen if matches(each, what)]

    def next_fault(self, passing: Passing) -> Fault | None:
        for index, (what, fault) in enumerate(self.faults):
            if matches(passing, what):
                del self.faults[index]
                return fault
        return None


def matches(passing: Passing, what: str) -> bool:
    """`S3` in place of a path is everything that goes to the bucket."""
    method, path = what.split()
    if method != passing.method:
        return False
    if path == "S3":
        return passing.path.startswith("/mont-images")
    return passing.path.split("?")[0] == path


# --- What can go wrong ----------------------------------------------------------------------------


async def lose_request(passing: Passing) -> web.StreamResponse:
    """The connection breaks before the request arrives."""
    passing.request.transport.abort()
    return web.Response()


async def lose_answer(passing: Passing) -> web.StreamResponse:
    """The request does its work, and the connection breaks before the answer arrives."""
    await passing.send()
    passing.request.transport.abort()
    return web.Response()


def answer(status: int, body: object = None, **headers: str) -> Fault:
    """Something in front answers instead."""

    async def fault(passing: Passing) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        text = body if isinstance(body, str) else json.dumps(body or {})
        return web.Response(status=status, text=text, headers=named)

    return fault


def cut_after(count: int) -> Fault:
    """The answer begins as it should, and the connection breaks after so many bytes."""

    async def fault(passing: Passing) -> web.StreamResponse:
        whole = await passing.send()
        headers = {**whole.headers, "Content-Length": str(len(whole.body))}
        begun = web.StreamResponse(status=whole.status, headers=headers)
        await begun.prepare(passing.request)
        await begun.write(whole.body[:count])
        passing.request.transport.close()
        return begun

    return fault


async def flip_a_byte(passing: Passing) -> web.StreamResponse:
    """A byte of the file changes on its way to S3."""
    place = passing.body.rindex(b"\r\n--") - 20
    changed = passing.body[:place] + bytes([passing.body[place] ^ 1]) + passing.body[place + 1 :]
    passing.body = changed
    return await passing.send()


# --- The proxy itself -----------------------------------------------------------------------------


@asynccontextmanager
async def running_proxy(api: str, store: str) -> AsyncIterator[Proxy]:
    """A proxy, until the block is left. Links in answers lead through it, too."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        proxy = Proxy("")

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            path = str(request.rel_url)
            headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
            target = store if path.startswith("/mont-images") else api

            async def send() -> web.Response:
                async with session.request(
                    request.method,
                    URL(target + path, encoded=True),
                    headers=passing.headers,
                    data=io.BytesIO(passing.body) if passing.body else None,
                    skip_auto_headers=["Content-Type"],
                    allow_redirects=False,
                ) as real:
                    body = (await real.read()).replace(store.encode(), proxy.url.encode())
                    kept = {k: v for k, v in real.headers.items() if k.lower() not in _HOP}
                    return web.Response(status=real.status, headers=kept, body=body)

            body = await request.content.read()
            passing = Passing(request, request.method, path, headers, body, send)
            proxy.seen.append(passing)
            fault = proxy.next_fault(passing)
            return await (send() if fault is None else fault(passing))

        async with RawTestServer(handle) as running:
            proxy.url = str(running.make_url("")).rstrip("/")
            yield proxy
