"""A proxy in front of the stores that kills whoever calls them: before or after the n-th call."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


class Process:
    """A process by a handle that never means another one, whatever becomes of its number."""

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)

    def kill(self) -> None:
        """End it at once. It gets to do nothing more."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def ended(self) -> None:
        """Return when it is gone."""
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._handle, gone.set)
        try:
            async with asyncio.timeout(30):
                await gone.wait()
        finally:
            loop.remove_reader(self._handle)
            os.close(self._handle)


@dataclass
class KillingProxy:
    """Passes calls on. Once armed, it kills at one of them, and counts them all."""

    backend: str
    session: aiohttp.ClientSession
    url: str = ""
    calls: list[str] = field(default_factory=list)
    fired: bool = False
    _victim: Process | None = None
    _at: int = 0
    _after: bool = False
    _under_way: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def arm(self, victim: Process, at: int, *, after: bool) -> None:
        """Kill `victim` before (or `after`) its call number `at`, from 0, counted from now on."""
        self.calls.clear()
        self.fired = False
        self._victim, self._at, self._after = victim, at, after

    async def settle(self) -> None:
        """Return when the stores have answered all that they were asked."""
        if self._under_way:
            self._idle.clear()
            await self._idle.wait()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._under_way += 1
        try:
            return await self._pass_on(request)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _pass_on(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        number = len(self.calls)
        self.calls.append(request.headers.get("X-Amz-Target", f"{request.method} {request.path}"))
        fatal = self._victim is not None and number == self._at
        if fatal and not self._after:
            return self._kill(request)
        async with self.session.request(
            request.method,
            URL(self.backend + request.raw_path, encoded=True),
            headers=[(n, v) for n, v in request.headers.items() if n.lower() not in _HOP_BY_HOP],
            data=body or None,
            skip_auto_headers=["Content-Type", "User-Agent"],
        ) as answer:
            content = await answer.read()
        if fatal:
            return self._kill(request)
        kept = [(n, v) for n, v in answer.headers.items() if n.lower() not in _HOP_BY_HOP]
        return web.Response(status=answer.status, body=content, headers=kept)

    def _kill(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._victim is not None
        self.fired = True
        self._victim.kill()
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=500)


@asynccontextmanager
async def killing_proxy(backend: str) -> AsyncIterator[KillingProxy]:
    """Run one in front of this backend."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        proxy = KillingProxy(backend, session)
        runner = web.ServerRunner(web.Server(proxy.handle))
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            assert isinstance(site._server, asyncio.Server)
            proxy.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
            yield proxy
        finally:
            await runner.cleanup()
