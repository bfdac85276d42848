"""S3 and DynamoDB that answer at once, and always the same: for measuring whoever asks.

Run as a process of its own; it prints its port and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys

import orjson

LISTED = 50


def _item(number: int) -> dict[str, object]:
    """A record as the service stores it."""
    return {
        "image_id": {"S": f"0b8f7d0e-7e0f-4d7c-9c73-0a0c5b7f{number:04x}"},
        "user_id": {"S": "ann"},
        "filename": {"S": f"beach {number}.jpg"},
        "content_type": {"S": "image/jpeg"},
        "file_size": {"N": "123456"},
        "upload_timestamp": {"S": "2026-02-13T12:00:05.123456Z"},
        "s3_key": {"S": f"images/ann/0b8f7d0e-7e0f-4d7c-9c73-0a0c5b7f{number:04x}_beach.jpg"},
        "etag": {"S": "9b2cf535f27731c974343645a3985328"},
        "width": {"N": "1024"},
        "height": {"N": "768"},
        "status": {"S": "completed"},
        "revision": {"N": "1"},
        "timeline_shard": {"N": "7"},
        "tags": {"L": [{"S": "sea"}, {"S": "summer"}]},
        "description": {"S": "The beach in the morning."},
    }


def _answer(status: str, headers: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def _document(document: object) -> bytes:
    return _answer(
        "200 OK",
        "Content-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: 4KBNVRGD25RG1KEO\r\n",
        orjson.dumps(document),
    )


_OBJECT = (
    'ETag: "9b2cf535f27731c974343645a3985328"\r\nContent-Type: image/jpeg\r\n'
    "Last-Modified: Fri, 13 Feb 2026 12:00:05 GMT\r\nx-amz-meta-mont-declared: jWyJhIl0=\r\n"
    "x-amz-request-id: 4KBNVRGD25RG1KEO\r\nAccept-Ranges: bytes\r\n"
)
_ANSWERS = {
    b"DynamoDB_20120810.GetItem": _document({"Item": _item(1)}),
    b"DynamoDB_20120810.PutItem": _document({}),
    b"DynamoDB_20120810.Query": _document(
        {
            "Items": [_item(number) for number in range(LISTED)],
            "Count": LISTED,
            "ScannedCount": LISTED,
        }
    ),
    b"GET": _answer(
        "206 Partial Content", _OBJECT + "Content-Range: bytes 0-65535/123456\r\n", bytes(65536)
    ),
    b"HEAD": _answer("200 OK", _OBJECT, b""),
}


class _Store(asyncio.Protocol):
    """One connection; requests that come in pieces are put together."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length, target = 0, head.partition(b" ")[0]
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                elif name.lower() == b"x-amz-target":
                    target = value.strip()
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            self._transport.write(_ANSWERS[target])


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Store, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
