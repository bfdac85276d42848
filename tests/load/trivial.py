"""A server that does nothing: canned answers to the calls of the API, as cheap as Python can.

    python -m tests.load.trivial [SECONDS]

What `mont load` offers to it is all that `mont load` can offer; it prints its address. As a class
it answers what a test wants: an error, or nothing at all.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

_IMAGE = {
    "user_id": "a",
    "filename": "a.png",
    "content_type": "image/png",
    "file_size": 9,
    "upload_timestamp": "2026-01-01T00:00:00.000000Z",
    "tags": [],
    "description": None,
    "width": 1,
    "height": 1,
    "etag": "x",
    "s3_key": "k",
}
_CALLS = (
    ("upload-url", "POST", r"/images/upload-url"),
    ("complete", "POST", r"/images/complete"),
    ("delete-many", "POST", r"/images/delete"),
    ("s3-post", "POST", r"/bucket"),
    ("s3-get", "GET", r"/bucket/.*"),
    ("list", "GET", r"/images"),
    ("download-url", "GET", r"/images/[^/]+/download-url"),
    ("get", "GET", r"/images/[^/]+"),
    ("edit", "PATCH", r"/images/[^/]+"),
    ("delete", "DELETE", r"/images/[^/]+"),
)
_PATTERNS = [(name, re.compile(f"{method} {path}")) for name, method, path in _CALLS]


@dataclass(frozen=True)
class Answer:
    """Status and body."""

    status: int = 200
    body: Mapping[str, object] | bytes = field(default_factory=dict)


HANG = None
"""No answer at all, ever."""
Trouble = Callable[[int], Answer | None]
"""What is said instead to the call with this number, from 0."""


class Trivial:
    """Answers the calls of the API; `trouble` by call takes the place of its good answers."""

    def __init__(self, size: int = 0, base: str = "", **trouble: Trouble) -> None:
        """Every image has so many bytes; `base` is the path that the API is at."""
        self._body = bytes(size)
        self._base = base
        self._trouble = {name.replace("_", "-"): answer for name, answer in trouble.items()}
        self.seen: Counter[str] = Counter()
        self.heads: dict[str, str] = {}
        self.completed: set[str] = set()
        self.url = ""
        self._wires: set[asyncio.Transport] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Trivial]:
        """Listens as long as the block lasts."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Wire(self), "127.0.0.1", 0, backlog=2048)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for wire in self._wires:
                wire.abort()
            await server.wait_closed()

    def answer(self, head: str, body: bytes) -> Answer | None:
        """What is said to a request; None: nothing."""
        method, target, _ = head.split(" ", 2)
        path = urlsplit(target).path.removeprefix(self._base)
        name = next(name for name, form in _PATTERNS if form.fullmatch(f"{method} {path}"))
        self.heads[name] = head
        number = self.seen[name]
        self.seen[name] += 1
        if name in self._trouble and (said := self._trouble[name](number)) != Answer():
            return said
        return self._good(name, path, body)

    def _good(self, name: str, path: str, body: bytes) -> Answer:
        image_id = path.split("/")[2] if path.startswith("/images/") else ""
        match name:
            case "upload-url":
                ticket = {"presigned_url": f"{self.url}/bucket", "fields": {}, "s3_key": "k"}
                return Answer(200, {"image_id": str(uuid4()), **ticket})
            case "complete":
                self.completed.add(json.loads(body)["image_id"])
                return Answer()
            case "delete-many":
                ids = json.loads(body)["image_ids"]
                self.completed.difference_update(ids)
                done = [{"image_id": each, "status": "deleted"} for each in ids]
                return Answer(200, {"results": done})
            case "list":
                return Answer(200, {"images": [], "next_token": None})
            case "download-url":
                link = {"presigned_url": f"{self.url}/bucket/{image_id}", "expires_in": 900}
                named = {"filename": "a.png", "content_type": "image/png"}
                return Answer(200, {"image_id": image_id, **link, **named})
            case "get" | "edit":
                return Answer(200, {"image_id": image_id, **_IMAGE})
            case "delete":
                self.completed.discard(image_id)
                return Answer()
            case "s3-get":
                return Answer(200, self._body)
        return Answer(204, b"")


class _Wire(asyncio.Protocol):
    """One connection; requests one after the other."""

    def __init__(self, server: Trivial) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self._server._wires.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._wires.discard(self._wire)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            found = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            said = self._server.answer(head, body)
            if said is not HANG:
                self._wire.write(_message(said))


def _message(said: Answer) -> bytes:
    body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
    return b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n%s" % (said.status, len(body), body)


async def main() -> None:
    """Serve for a while."""
    async with Trivial(size=10_000).serving() as server:
        print(server.url, flush=True)
        await asyncio.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 60)


if __name__ == "__main__":
    asyncio.run(main())
