"""One request after the other through either door, byte for byte as a test made it, and counted."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from http.client import parse_headers
from typing import Protocol
from urllib.parse import urlsplit

from multidict import CIMultiDict, CIMultiDictProxy

from tests.support.api import Answer
from tests.support.gateway import Lambda, answer_of, proxy_event

Headers = Sequence[tuple[str, str]]

# Longer than the service's own limit of 9 seconds: whoever waits in vain has found a hang.
SECONDS = 15

asked: Counter[str] = Counter()
"""How many requests went through each door in this process."""


class Door(Protocol):
    """Something that answers requests."""

    name: str

    def ask(self, method: str, target: str, headers: Headers, body: bytes) -> Answer:
        """One exchange. `target` is path and query as they go on the wire."""
        ...


class Connection:
    """One connection to an address, for bytes that no client library would send."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=SECONDS)
        self._received = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Write these bytes, as far as the other side lets us."""
        # Where it has answered and closed already, the answer is still there to be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def receive(self, method: str = "GET") -> tuple[Answer, bool]:
        """The next answer to a request of this method, and whether it is the last one."""
        line = self._received.readline()
        if not line:
            raise ConnectionResetError("hung up")
        version, status, _ = line.decode().split(" ", 2)
        assert version == "HTTP/1.1", line
        headers = CIMultiDict(parse_headers(self._received).items())
        silent = method == "HEAD" or status in {"100", "204", "304"}
        body = self._received.read(0 if silent else int(headers["Content-Length"]))
        last = headers.get("Connection") == "close"
        return Answer(int(status), CIMultiDictProxy(headers), body), last

    def rest(self) -> bytes:
        """Everything that still comes until the other side hangs up."""
        received = b""
        with suppress(ConnectionResetError):
            while more := self._received.read1(65536):
                received += more
        return received

    def close(self) -> None:
        self._received.close()
        self._socket.close()


class HttpDoor:
    """The aiohttp door, over one connection for as long as it is kept."""

    name = "aiohttp"

    def __init__(self, address: str) -> None:
        self.address = address
        self._connection: Connection | None = None

    def ask(self, method: str, target: str, headers: Headers, body: bytes) -> Answer:
        """See Door."""
        asked[self.name] += 1
        names = {name.lower() for name, _ in headers}
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [] if "host" in names else ["Host: mont.example"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"Content-Length: {len(body)}"] if body else []
        head = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
        for attempt in (1, 2):
            fresh = self._connection is None
            connection = self._connection = self._connection or Connection(self.address)
            connection.send(head + body)
            try:
                answer, last = connection.receive(method)
            except (ConnectionError, OSError):
                self.close()
                if fresh or attempt == 2:
                    raise
                continue  # it was closed between two requests, which is its right
            if last:
                self.close()
            return answer
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class BridgeDoor:
    """The Lambda door, behind API Gateway's part of the work."""

    name = "bridge"

    def __init__(self, functions: Lambda) -> None:
        self._functions = functions

    def ask(self, method: str, target: str, headers: Headers, body: bytes) -> Answer:
        """See Door."""
        asked[self.name] += 1
        return self.deliver(*proxy_event(method, target, dict(headers), body))

    def deliver(self, function: str, event: object) -> Answer:
        """Hand a function an event that API Gateway did not make."""
        asked[self.name] += 1
        return answer_of(self._functions.invoke_now(function, event))
