"""A proxy before the stores that fails in every way that a network and a store know.

It speaks HTTP/1.1 as far as S3 and DynamoDB clients do, and knows the two apart.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)\r\n", re.IGNORECASE)
_BODILESS = re.compile(rb"HTTP/1.1 (1\d\d|204|304) ")


@dataclass(frozen=True)
class Exchange:
    """One call of a store, on its way."""

    request: bytes
    operation: str
    is_dynamodb: bool
    writer: asyncio.StreamWriter
    forward: Callable[[], Awaitable[bytes]]


Fault = Callable[[Exchange], Awaitable[None]]
"""Answers a call in its way. Raises ConnectionError when it ended the connection."""


@dataclass
class FaultProxy:
    """A running proxy. Calls fail as `fault` does it, while it is set."""

    address: str
    fault: Fault | None = None
    only: Callable[[str], bool] = lambda _: True
    """Which operations fail, by name."""
    calls: list[str] = field(default_factory=list)
    """The operations that were called."""
    forwarded: list[str] = field(default_factory=list)
    """Those of them that reached the stores."""


async def sound(exchange: Exchange) -> None:
    """No fault at all."""
    exchange.writer.write(await exchange.forward())


def delayed(seconds: float) -> Fault:
    """The answer comes late."""

    async def fault(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await sound(exchange)

    return fault


async def reset_before(exchange: Exchange) -> None:
    """The connection is reset, and the store never hears of the call."""
    _reset(exchange.writer)


async def reset_after(exchange: Exchange) -> None:
    """The store does it, and the connection is reset before it can say so."""
    await exchange.forward()
    _reset(exchange.writer)


async def truncated(exchange: Exchange) -> None:
    """The store does it, and half of its answer arrives."""
    answer = await exchange.forward()
    exchange.writer.write(answer[: len(answer) - max(1, len(answer) // 4)])
    await exchange.writer.drain()
    raise ConnectionError


async def dripping(exchange: Exchange) -> None:
    """The store does it, and its answer arrives by the byte."""
    for byte in await exchange.forward():
        exchange.writer.write(bytes([byte]))
        await exchange.writer.drain()
        await asyncio.sleep(0.05)


async def black_hole(exchange: Exchange) -> None:
    """Nothing ever comes back."""
    await asyncio.Event().wait()


async def garbage(exchange: Exchange) -> None:
    """What comes back is not HTTP."""
    exchange.writer.write(b"\x00\xff\xfe garbage \r\n\r\n" * 20)
    raise ConnectionError


async def a_page_instead(exchange: Exchange) -> None:
    """A box in between answers with a page of its own, and says that all is well."""
    exchange.writer.write(_answer("200 OK", "text/html", "<html>Please log in</html>"))


def refusing(status: str, code: str, dynamodb_code: str) -> Fault:
    """The store refuses, each in its own words."""

    async def fault(exchange: Exchange) -> None:
        if exchange.is_dynamodb:
            kind = "com.amazonaws.dynamodb.v20120810#" + dynamodb_code
            text = f'{{"__type":"{kind}","message":"refused"}}'
            refused = "400 Bad Request" if dynamodb_code.endswith("Exception") else status
            exchange.writer.write(_answer(refused, "application/x-amz-json-1.0", text))
        else:
            text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
            exchange.writer.write(_answer(status, "application/xml", text))

    return fault


def once(fault: Fault, number: int) -> Fault:
    """The fault strikes the call of this number alone, from 0."""
    seen = -1

    async def chosen(exchange: Exchange) -> None:
        nonlocal seen
        seen += 1
        await (fault if seen == number else sound)(exchange)

    return chosen


FAULTS: dict[str, Fault] = {
    "a short delay": delayed(0.1),
    "reset before": reset_before,
    "reset after": reset_after,
    "truncated": truncated,
    "dripping": dripping,
    "black hole": black_hole,
    "garbage": garbage,
    "a page instead": a_page_instead,
    "500": refusing("500 Internal Server Error", "InternalError", "InternalServerError"),
    "503": refusing("503 Service Unavailable", "ServiceUnavailable", "ServiceUnavailable"),
    "throttled": refusing(
        "503 Slow Down", "SlowDown", "ProvisionedThroughputExceededException"
    ),
}  # fmt: skip


@asynccontextmanager
async def fault_proxy(store: str) -> AsyncIterator[FaultProxy]:
    """A proxy before the stores at this address, until the block is left."""
    parts = urlsplit(store)
    tasks: set[asyncio.Task[None]] = set()
    proxy = FaultProxy("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        upstream = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            while request := await _message(reader):
                await _exchange(proxy, request, writer, upstream)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # cancelled below, when nobody waits for an answer any more
        finally:
            tasks.discard(task)
            writer.close()
            upstream[1].close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512) as server:
        proxy.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield proxy
        finally:
            for task in tuple(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _exchange(
    proxy: FaultProxy,
    request: bytes,
    writer: asyncio.StreamWriter,
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    target = _TARGET.search(request)
    operation = target[1].decode() if target else request.split(b" ", 1)[0].decode()
    proxy.calls.append(operation)

    async def forward() -> bytes:
        proxy.forwarded.append(operation)
        upstream[1].write(request)
        return await _message(upstream[0], bodiless=operation == "HEAD")

    exchange = Exchange(request, operation, target is not None, writer, forward)
    fault = proxy.fault if proxy.fault is not None and proxy.only(operation) else sound
    await fault(exchange)


async def _message(reader: asyncio.StreamReader, *, bodiless: bool = False) -> bytes:
    """A whole request or answer; nothing when the other side is done."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""
    length = _LENGTH.search(head)
    if bodiless or length is None or _BODILESS.match(head):
        return head
    return head + await reader.readexactly(int(length[1]))


def _answer(status: str, kind: str, text: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    # With no time to linger, closing a socket resets its connection.
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise ConnectionResetError
