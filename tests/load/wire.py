"""As much HTTP as the clients of S3 and DynamoDB speak, for stores that should cost little."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import cache

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

Answer = Callable[[bytes, bytes], bytes]
"""(head of the request, its body) -> the answer, without a date."""


class Connection(asyncio.Protocol):
    """One connection: cuts what arrives into requests and answers them in order."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n") + 4) > 3:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end:whole], self._buffer[whole:]
            self._transport.write(_with_date(self._answer(head, body)))


async def listen(answer: Answer, port: int) -> asyncio.Server:
    """Answer at this port of this machine; 0 picks a free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(answer), "127.0.0.1", port)


def made(status: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """An answer; `length` where it is not that of the body, as in answers to HEAD."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if not status.startswith("204"):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1") + body


def _with_date(text: bytes) -> bytes:
    line, rest = text.split(b"\r\n", 1)
    return b"".join([line, b"\r\nDate: ", _date(int(time.time())), b"\r\n", rest])


@cache
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
