"""The client: keeps a number of connections busy with one request, on a processor of its own.

wrk where it is installed; otherwise sockets of our own, in a process of their own.

    python -m tests.load.client PORT CONNECTIONS SECONDS CALL
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.load.calls import CALLS, Call

_HERE = Path(__file__).resolve().parent
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PATIENCE = 10


class ClientFailed(Exception):
    """The client could not measure; the message says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run. `refused` had another status than 2xx, `failed` had no answer."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    failed: int


def name() -> str:
    """Which client this machine has."""
    return "wrk" if shutil.which("wrk") else "tests/load/client.py"


def drive(call: Call, port: int, seconds: int, connections: int, processor: int) -> Outcome:
    """Send this request over all connections for so many seconds. Raises ClientFailed."""
    environment = dict(os.environ)
    if name() == "wrk":
        environment |= {"METHOD": call.method, "TARGET": call.target}
        if call.body:
            environment["BODY"] = call.body.decode()
        arguments = [
            *("wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--timeout", f"{_PATIENCE}s", "--latency"),
            *("--script", str(_HERE / "client.lua"), f"http://127.0.0.1:{port}"),
        ]
    else:
        numbers = (str(port), str(connections), str(seconds))
        arguments = [sys.executable, "-m", "tests.load.client", *numbers, call.name]
    done = subprocess.run(
        ["taskset", "--cpu-list", str(processor), *arguments],
        cwd=_HERE.parents[1],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=seconds + 3 * _PATIENCE,
        check=False,
    )
    line = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if done.returncode or not line:
        raise ClientFailed(f"{name()} ended with {done.returncode}: {done.stdout}")
    return Outcome(**json.loads(line[1]))


def request_bytes(call: Call, port: int) -> bytes:
    """The request as it goes over the wire."""
    lines = [f"{call.method} {call.target} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{key}: {value}" for key, value in call.headers.items()]
    if call.body:
        lines.append(f"Content-Length: {len(call.body)}")
    return "\r\n".join([*lines, "\r\n"]).encode() + call.body


class _Connection(asyncio.Protocol):
    """Sends the request again whenever it is answered, until the deadline."""

    def __init__(self, request: bytes, deadline: float, ended: asyncio.Future[None]) -> None:
        self._request = request
        self._deadline = deadline
        self._ended = ended
        self._buffer = b""
        self._whole = 0
        self.latencies: list[float] = []
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._whole:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._buffer, 0, end)
            self._whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < self._whole:
            return
        now = time.perf_counter()
        self.latencies.append(now - self._sent)
        self.refused += not self._buffer.startswith(b"HTTP/1.1 2")
        self._buffer, self._whole = b"", 0
        if now < self._deadline:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


async def _driven(call: Call, port: int, connections: int, seconds: int) -> Outcome:
    loop = asyncio.get_running_loop()
    request, started = request_bytes(call, port), time.perf_counter()
    ends = [loop.create_future() for _ in range(connections)]
    all_of_them = []
    for ended in ends:
        _, connection = await loop.create_connection(
            lambda ended=ended: _Connection(request, started + seconds, ended),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        all_of_them.append(connection)
    _, waiting = await asyncio.wait(ends, timeout=seconds + _PATIENCE)
    # A connection that the server closed, too, has one request that was never answered.
    short = sum(each._buffer != b"" for each in all_of_them)
    latencies = sorted(each for one in all_of_them for each in one.latencies)
    if not latencies:
        raise ClientFailed("nothing was answered")
    return Outcome(
        requests=len(latencies),
        seconds=time.perf_counter() - started,
        p50_ms=1000 * _percentile(latencies, 0.50),
        p99_ms=1000 * _percentile(latencies, 0.99),
        refused=sum(each.refused for each in all_of_them),
        failed=len(waiting) + short,
    )


def _percentile(ascending: Sequence[float], part: float) -> float:
    return ascending[min(len(ascending) - 1, int(part * len(ascending)))]


if __name__ == "__main__":
    port, connections, seconds = (int(each) for each in sys.argv[1:4])
    outcome = asyncio.run(_driven(CALLS[sys.argv[4]], port, connections, seconds))
    print("RESULT " + json.dumps(asdict(outcome)))
