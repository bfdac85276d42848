"""Documents that do not change, as they are and compressed: made once, served as is asked."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from typing import NamedTuple


class Coded(NamedTuple):
    """A document in one coding (RFC 9110, 8.4.1); its entity tag is that coding's own."""

    body: bytes
    etag: str
    headers: dict[str, str]


class StaticDocument:
    """Bytes that stay the same while the process lives, read when they are first asked for."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._plain: Coded | None = None
        self._zipped: Coded | None = None

    async def coded(self, accept_encoding: str | None) -> Coded:
        """The document in the shortest coding that the client takes."""
        if self._plain is None:
            body = self._read()
            self._plain = Coded(body, _etag(body, ""), {})
        if not accepts_gzip(accept_encoding):
            return self._plain
        if self._zipped is None:
            body = self._plain.body
            # Swagger UI takes a tenth of a second: on a thread, and nobody else waits for it.
            zipped = await asyncio.to_thread(gzip.compress, body, mtime=0)
            self._zipped = Coded(zipped, _etag(body, "-gzip"), {"Content-Encoding": "gzip"})
        return self._zipped


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether an `Accept-Encoding` (RFC 9110, 12.5.3) takes gzip. No word of it is a no."""
    weights = {}
    for each in (accept_encoding or "").lower().split(","):
        coding, *parameters = (part.strip() for part in each.split(";"))
        weights[coding] = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != ""


def _etag(body: bytes, coding: str) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}{coding}"'
