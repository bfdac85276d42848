"""A store that says what a test tells it to, whatever it is asked; and remembers what that was."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import responses


@dataclass(frozen=True)
class Said:
    """What the store does with one request: bytes to send, and whether it hangs up after them.

    None is silence, until the test is over.
    """

    sent: bytes | None
    then_hang_up: bool = False


SILENCE = Said(None)
HANGS_UP = Said(b"", then_hang_up=True)


def says(status: int, body: bytes = b"", length: int | None = None, **headers: str | None) -> Said:
    """An HTTP answer; of a `length` that may be another than it has. `x_a` is the header x-a."""
    named = {"content_length": str(len(body) if length is None else length), **headers}
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Odd')}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value]
    cut = length is not None and length > len(body)
    return Said("\r\n".join([*lines, "", ""]).encode() + body, then_hang_up=cut)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class ScriptedStore:
    """What is said to which request, in order; the last goes for all that follow."""

    url: str = ""
    script: list[Said] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        try:
            while True:
                self.asked.append(await _request(reader, connection))
                said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if said.sent is None:
                    await self.over.wait()
                    return
                writer.write(said.sent)
                await writer.drain()
                if said.then_hang_up:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader, connection: int) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {}
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body, connection)


@asynccontextmanager
async def scripted_store(tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedStore]:
    """A store on a port of its own."""
    store = ScriptedStore()
    server = await asyncio.start_server(store._converse, "127.0.0.1", 0, ssl=tls)
    store.url = (
        f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    )
    async with server:
        try:
            yield store
        finally:
            store.over.set()
