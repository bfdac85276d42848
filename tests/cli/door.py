"""The way to a service, which can be shut and opened again: what a restart is to its clients."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from yarl import URL


class Door:
    """Passes connections on to a service, at one address as long as it lives."""

    def __init__(self, service: str) -> None:
        self._service = URL(service)
        self._port = 0
        self._listening: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        self._listening = await asyncio.start_server(self._enter, "127.0.0.1", self._port)
        self._port = self._listening.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse connections, and break those that there are."""
        if self._listening is not None:
            self._listening.close()
        for passing in self._passing:
            passing.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def _enter(self, reader: StreamReader, writer: StreamWriter) -> None:
        passing = asyncio.create_task(self._pass_on(reader, writer))
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        inside, answer = await asyncio.open_connection(self._service.host, self._service.port)
        try:
            await asyncio.gather(_copy(reader, answer), _copy(inside, writer))
        finally:
            answer.transport.abort()
            writer.transport.abort()


async def _copy(source: StreamReader, target: StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
        target.close()


@asynccontextmanager
async def open_door(service: str) -> AsyncIterator[Door]:
    """A door that is open, until the block is left."""
    door = Door(service)
    await door.open()
    try:
        yield door
    finally:
        await door.shut()
