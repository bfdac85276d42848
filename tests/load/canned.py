"""S3 and DynamoDB that always say the same: for measuring what a server costs, not its stores.

Conditions always hold, every object is the one photo, every record one of its images; headers,
lengths, checksums and XML are as AWS sends them. What was asked is kept, so that the limit can
ask the very same: `GET /asked` gives it and forgets it.

    python -m tests.load.canned PORT
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import sys
import uuid
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

from service import declaration, naming, timestamps
from service.model import Description, Image
from service.storage.items import to_item
from tests.load import calls, wire
from tests.load.wire import made

_KEPT = 100
_RANGE = re.compile(rb"\r\nrange: *bytes=(\d+)-(\d+)\r\n", re.IGNORECASE)
_OPERATION = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)\r\n", re.IGNORECASE)
_ROWS = re.compile(rb'"Limit": *(\d+)')
_NEWEST = datetime(2026, 2, 13, 12, tzinfo=UTC)
_XML = "http://s3.amazonaws.com/doc/2006-03-01/"
_S3_HEADERS = (
    "x-amz-id-2: " + base64.b64encode(bytes(range(57))).decode(),
    "x-amz-request-id: 4442587FB7D0A2F9",
    "x-amz-server-side-encryption: AES256",
    "Server: AmazonS3",
)


class Store:
    """Both stores, and what they were asked."""

    def __init__(self) -> None:
        self._asked: list[bytes] = []
        photo()  # made before it is asked for

    def answer(self, head: bytes, body: bytes) -> bytes:
        """See `wire.Answer`."""
        if head.startswith(b"GET /asked "):
            shown = json.dumps([each.decode("latin-1") for each in self._asked]).encode()
            self._asked.clear()
            return made("200 OK", shown, "Content-Type: application/json")
        if len(self._asked) < _KEPT:
            self._asked.append(head + body)
        return answer(head, body)


def answer(head: bytes, body: bytes) -> bytes:
    """What the stores say, without its date."""
    operation = _OPERATION.search(head)
    if operation is not None:
        rows = _ROWS.search(body)
        old = b'"ReturnValues":' in body
        return _dynamodb(operation[1].decode(), int(rows[1]) if rows else 0, old)
    method, target, _ = head.split(b" ", 2)
    asked = _RANGE.search(head)
    copying = b"\r\nx-amz-copy-source:" in head.lower()
    span = (int(asked[1]), int(asked[2])) if asked else None
    return _s3(method.decode(), b"?delete" in target, copying, span)


@cache
def _dynamodb(operation: str, rows: int, old: bool) -> bytes:
    if operation == "GetItem":
        document: dict[str, object] = {"Item": to_item(image(0))}
    elif operation == "Query":
        items = [to_item(image(number)) for number in range(rows)]
        names = ("image_id", "user_id", "upload_timestamp")
        document = {
            "Count": rows,
            "Items": items,
            "LastEvaluatedKey": {name: items[-1][name] for name in names},
            "ScannedCount": rows,
        }
    elif operation in {"PutItem", "UpdateItem", "DeleteItem"}:
        document = {"Attributes": to_item(image(0))} if old else {}
    else:
        raise ValueError(f"no answer for {operation}")
    text = json.dumps(document, separators=(",", ":")).encode()
    return made(
        "200 OK",
        text,
        "Server: Server",
        "Content-Type: application/x-amz-json-1.0",
        "x-amzn-RequestId: RJ8K2Q7M1V0N4T6B3C9X5Z2L0DVV4KQNSO5AEMVJF66Q9ASUAAJG",
        f"x-amz-crc32: {zlib.crc32(text)}",
    )


@cache
def _s3(method: str, many: bool, copying: bool, asked: tuple[int, int] | None) -> bytes:
    if method == "DELETE":
        return made("204 No Content", b"", *_S3_HEADERS)
    if method == "POST" and many:
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult xmlns="{_XML}"/>'
        return made("200 OK", text.encode(), "Content-Type: application/xml", *_S3_HEADERS)
    if method == "PUT" and copying:
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<CopyObjectResult xmlns="{_XML}">'
            "<LastModified>2026-02-13T12:00:00.000Z</LastModified>"
            f"<ETag>&quot;{calls.ETAG}&quot;</ETag></CopyObjectResult>"
        )
        return made("200 OK", text.encode(), "Content-Type: application/xml", *_S3_HEADERS)
    if method not in {"GET", "HEAD"}:
        raise ValueError(f"no answer for {method}")
    said = Description(calls.FILENAME, calls.TAGS, calls.DESCRIPTION)
    metadata = declaration.to_metadata(said, calls.FILE_SIZE)
    headers = [
        *_S3_HEADERS,
        "Last-Modified: Fri, 13 Feb 2026 12:00:00 GMT",
        f'ETag: "{calls.ETAG}"',
        "Accept-Ranges: bytes",
        f"Content-Type: {calls.CONTENT_TYPE}",
        *(f"x-amz-meta-{name}: {value}" for name, value in metadata.items()),
    ]
    if method == "HEAD":
        return made("200 OK", b"", *headers, length=calls.FILE_SIZE)
    if asked is None:
        return made("200 OK", photo(), *headers)
    first, last = asked[0], min(asked[1], calls.FILE_SIZE - 1)
    body = photo()[first : last + 1]
    span = f"Content-Range: bytes {first}-{last}/{calls.FILE_SIZE}"
    return made("206 Partial Content", body, span, *headers)


def image(number: int) -> Image:
    """The `number`th newest image of the user; 0 is the one that the calls are about."""
    image_id = calls.IMAGE_ID if number == 0 else str(uuid.UUID(int=number << 64, version=4))
    return Image(
        image_id=image_id,
        user_id=calls.USER,
        filename=calls.FILENAME,
        content_type=calls.CONTENT_TYPE,
        file_size=calls.FILE_SIZE,
        upload_timestamp=timestamps.to_text(_NEWEST - timedelta(seconds=61 * number)),
        s3_key=naming.final_key(calls.USER, image_id, calls.FILENAME),
        etag=calls.ETAG,
        width=4032,
        height=3024,
        tags=calls.TAGS,
        description=calls.DESCRIPTION,
    )


@cache
def photo() -> bytes:
    """A JPEG of noise, which hardly compresses: as heavy, and as long to walk, as a camera's."""
    from tests.support.real_images import large_jpeg

    body = large_jpeg(1700, 1150).body
    assert len(body) >= calls.FILE_SIZE
    return body[: calls.FILE_SIZE - 2] + b"\xff\xd9"


async def listen(port: int) -> asyncio.Server:
    """Both stores at this port of this machine; 0 picks a free one."""
    return await wire.listen(Store().answer, port)


async def _serve(port: int) -> None:
    async with await listen(port) as server:
        await server.serve_forever()


def requests_of(shown: bytes) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """What `GET /asked` showed, as method, target, headers and body."""
    for text in json.loads(shown):
        head, _, body = text.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        yield method, target, headers, body.encode("latin-1")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1])))
