"""A bucket in memory: keys and facts of objects, whose bytes are all the same photo's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.load import calls
from tests.load.canned import photo
from tests.load.wire import made

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_KEYS = re.compile(rb"<Key>(.*?)</Key>")
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


class S3Unknown(Exception):
    """A request that this bucket has no answer for."""


@dataclass(slots=True)
class Requests:
    """Requests of one call by price: `puts` are PUT, COPY, POST and LIST, `gets` GET and HEAD."""

    puts: int = 0
    gets: int = 0
    deletes: int = 0


@dataclass(slots=True)
class Bucket:
    """Objects by key, with their metadata."""

    objects: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, keys: Iterable[str], metadata: dict[str, str]) -> None:
        """Put the photo at these keys, uncharged. All may share one `metadata`."""
        self.objects |= dict.fromkeys(keys, metadata)

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes, charge: Requests
    ) -> bytes:
        """One request for /bucket/key."""
        path, _, query = target.partition("?")
        key = unquote(path).split("/", 2)[2] if path.count("/") > 1 else ""
        if method in {"GET", "HEAD"} and key:
            charge.gets += 1
            return self._read(method, key, headers)
        if method == "PUT" and "x-amz-copy-source" in headers:
            charge.puts += 1
            return self._copy(key, headers)
        if method == "DELETE":
            charge.deletes += 1
            self.objects.pop(key, None)
            return made("204 No Content", b"")
        if method == "POST" and query.startswith("delete"):
            # A POST is charged as one, whatever it is for.
            charge.puts += 1
            for each in _KEYS.findall(body):
                self.objects.pop(each.decode(), None)
            return _xml("200 OK", "<DeleteResult/>")
        raise S3Unknown(f"{method} {target}")

    def _read(self, method: str, key: str, headers: dict[str, str]) -> bytes:
        metadata = self.objects.get(key)
        if metadata is None:
            return _xml("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>")
        facts = [
            f'ETag: "{calls.ETAG}"',
            f"Content-Type: {calls.CONTENT_TYPE}",
            *(f"x-amz-meta-{name}: {value}" for name, value in metadata.items()),
        ]
        if method == "HEAD":
            return made("200 OK", b"", *facts, length=calls.FILE_SIZE)
        asked = _RANGE.fullmatch(headers.get("range", ""))
        first, last = (int(asked[1]), int(asked[2])) if asked else (0, calls.FILE_SIZE)
        body = photo()[first : last + 1]
        span = f"Content-Range: bytes {first}-{first + len(body) - 1}/{calls.FILE_SIZE}"
        return made("206 Partial Content", body, span, *facts)

    def _copy(self, key: str, headers: dict[str, str]) -> bytes:
        source = unquote(headers["x-amz-copy-source"]).lstrip("/").split("/", 1)[1]
        wanted = headers.get("x-amz-copy-source-if-match", calls.ETAG).strip('"')
        if source not in self.objects or wanted != calls.ETAG:
            return _xml("412 Precondition Failed", "<Error><Code>PreconditionFailed</Code></Error>")
        self.objects[key] = {}
        return _xml(
            "200 OK", f"<CopyObjectResult><ETag>&quot;{calls.ETAG}&quot;</ETag></CopyObjectResult>"
        )


def _xml(status: str, text: str) -> bytes:
    return made(status, (_XML + text).encode(), "Content-Type: application/xml")
