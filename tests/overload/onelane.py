"""A DynamoDB that answers one call after the other, each after the same while: easily overrun.

    python -m tests.overload.onelane MILLISECONDS

Every item is there: one image, completed. Prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sys

from service.storage.items import to_item
from tests.support.makers import an_id, an_image

IMAGE_ID = an_id(1)
_ITEM = json.dumps({"Item": to_item(an_image(image_id=IMAGE_ID))}).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_ITEM), _ITEM)
)


class OneLane:
    """The lane, shared by all connections."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._free_at = 0.0
        self.connections: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        loop = asyncio.get_running_loop()
        self.connections.add(writer)
        while head := await _head(reader):
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"content-length:"),
                0,
            )
            await reader.readexactly(length)
            self._free_at = max(self._free_at, loop.time()) + self._seconds
            await asyncio.sleep(self._free_at - loop.time())
            writer.write(_ANSWER)
        self.connections.discard(writer)
        writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).lower()
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def main() -> None:
    """Serve until killed."""
    lane = OneLane(float(sys.argv[1]) / 1000)
    async with await asyncio.start_server(lane.serve, "127.0.0.1", 0, backlog=1024) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
