"""What the server takes of memory: idle, under many connections, afterwards.

    python -m tests.load.memory [CONNECTIONS]

Ends with status 1 where the idle server takes more than 90 MB, or a connection more than 100 KB.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from urllib.parse import urlsplit

from tests.support.process_facts import facts_of
from tests.support.server import Server, running_server

IDLE_MB = 90
CONNECTION_KB = 100
_HEAD = b"HTTP/1.1\r\nHost: x\r\n"
_DECLARATION = (
    b'{"user_id":"a","filename":"a.png","content_type":"image/png","file_size":9,"description":"'
    + b"x" * 500
    + b'"}'
)
_ASKED = {
    "lists": b"GET /images?user_id=nobody " + _HEAD + b"\r\n",
    "documents": b"GET /openapi.json " + _HEAD + b"\r\n",
    "forms": b"POST /images/upload-url %sContent-Length: %d\r\n\r\n%s"
    % (_HEAD, len(_DECLARATION), _DECLARATION),
}
Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def ask(wire: Wire, request: bytes) -> int:
    """The status of an answer."""
    reader, writer = wire
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0].split(b":")[1]))
    return int(head[9:12])


async def measure(server: Server, connections: int) -> list[tuple[str, float]]:
    """Resident size at each stage."""
    parts = urlsplit(server.url)
    stages: list[tuple[str, float]] = []

    def note(stage: str) -> None:
        stages.append((stage, facts_of(server.process.pid).rss))

    note("idle")
    wires: list[Wire] = [
        await asyncio.open_connection(parts.hostname, parts.port) for _ in range(connections)
    ]
    for wire in wires:
        await ask(wire, b"GET /livez " + _HEAD + b"\r\n")
    note(f"{connections} connections, each used once")
    for what, request in _ASKED.items():
        await asyncio.gather(*(ask(wire, request) for wire in wires))
        note(f"{connections} {what} asked for at once")
    for _, writer in wires:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in wires), return_exceptions=True)
    note("all closed")
    return stages


async def main() -> None:
    """Measure, print, judge."""
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, connections + 256), hard))
    environment = {
        "LOG_LEVEL": "WARNING",
        "THROTTLE_RATE_LIMIT": "1000000",
        "THROTTLE_BURST_LIMIT": "1000000",
    }
    async with running_server("--backend", "embedded", environment=environment) as server:
        stages = await measure(server, connections)
    idle = stages[0][1]
    for stage, megabytes in stages:
        print(f"{megabytes:8.1f} MB  {stage}")
    kilobytes = (max(megabytes for _, megabytes in stages) - idle) * 1000 / connections
    print(f"{kilobytes:8.1f} KB  for each connection at most")
    if idle > IDLE_MB or kilobytes > CONNECTION_KB:
        sys.exit(f"More than {IDLE_MB} MB idle or {CONNECTION_KB} KB for a connection.")


if __name__ == "__main__":
    asyncio.run(main())
