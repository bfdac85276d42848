"""A client that asks on a schedule, however slow the answers are: requests pile up as users do.

    python -m tests.overload.openloop URL REQUEST RATE SECONDS [--new N] [--apart S]

REQUEST is a file with one request as it goes on the wire, `RATE` requests a second. A connection is
used again once it is free; every N-th request gets one of its own. What
was due in the first S seconds is reported apart. Prints what came back as JSON:
latencies in milliseconds, from when each request was due.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_TYPE = re.compile(rb'"type":"urn:mont:problem:([a-z-]+)"')
_RETRY = re.compile(rb"\r\nretry-after: *\d+\r\n", re.IGNORECASE)
_LAST_WORDS_SECONDS = 10.0
_MOST_CONNECTIONS = 3000
_PROBE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
_PROBES_PER_SECOND = 10


@dataclass
class Tally:
    """What became of every request."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    accepted: list[float] = field(default_factory=list)
    accepted_first: list[float] = field(default_factory=list)
    turned_away: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    unanswered: int = 0
    refused: int = 0

    def report(self) -> dict[str, Any]:
        """Everything, latencies as percentiles."""
        return {
            "sent": self.sent,
            "answers": dict(self.answers),
            "unanswered": self.unanswered,
            "refused_connections": self.refused,
            "without_retry_after": self.without_retry_after,
            "accepted_ms": percentiles(self.accepted),
            "accepted_first_ms": percentiles(self.accepted_first),
            "turned_away_ms": percentiles(self.turned_away),
            "livez_ms": percentiles(self.probes),
        }


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[round(last * part)] * 1000, 2) for name, part in at.items()}


class Wire(asyncio.Protocol):
    """One connection, with at most one request on it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._buffer = b""
        self.due: float | None = None
        self.asked_for: float | None = None
        self.probing = self.alone = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: bytes, due: float) -> None:
        """Send a request."""
        assert self.transport is not None
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = self._buffer[:end]
        length = _LENGTH.search(head)
        if len(self._buffer) < end + int(length[1] if length else 0):
            return
        body, self._buffer = self._buffer[end:], b""
        self._pool.answered(self, head, body)

    def connection_lost(self, error: Exception | None) -> None:
        self._pool.lost(self)


class Pool:
    """The connections, and what came back on them."""

    def __init__(self, host: str, port: int, request: bytes, *, new: int) -> None:
        self._address = host, port
        self._request = request
        self._new = new
        self._free: list[Wire] = []
        self.open: set[Wire] = set()
        self.tally = Tally()
        self.apart_until = 0.0

    async def ask(self, due: float, request: bytes | None = None) -> None:
        """Send one request, on a connection that is free or a new one."""
        probing = request is not None
        self.tally.sent += not probing
        alone = self._new > 0 and self.tally.sent % self._new == 0
        wire = None
        while self._free and wire is None and not alone:
            wire = self._free.pop()
            if wire not in self.open:
                wire = None
        if wire is None:
            try:
                _, wire = await asyncio.get_running_loop().create_connection(
                    lambda: Wire(self), *self._address
                )
            except OSError:
                self.tally.refused += 1
                return
            self.open.add(wire)
        wire.probing, wire.alone = probing, alone
        wire.ask(request or self._request, due)

    def answered(self, wire: Wire, head: bytes, body: bytes) -> None:
        """Count an answer; the connection is free again."""
        seconds = asyncio.get_running_loop().time() - (wire.due or 0)
        wire.asked_for, wire.due = wire.due, None
        status = head[9:12].decode()
        if wire.probing:
            self.tally.probes.append(seconds)
            status = f"livez {status}"
        elif status in {"503", "429"}:
            self.tally.turned_away.append(seconds)
            problem = _TYPE.search(body)
            status = f"{status} {problem[1].decode() if problem else '?'}"
            self.tally.without_retry_after += _RETRY.search(head) is None
        else:
            early = (wire.asked_for or 0) < self.apart_until
            (self.tally.accepted_first if early else self.tally.accepted).append(seconds)
        self.tally.answers[status] += 1
        if wire.alone or _CLOSE.search(head):
            self.open.discard(wire)
            if wire.transport is not None:
                wire.transport.close()
        else:
            self._free.append(wire)

    def lost(self, wire: Wire) -> None:
        """A connection ended."""
        self.open.discard(wire)
        if wire.due is not None:
            self.tally.unanswered += 1
            wire.due = None

    @property
    def waiting(self) -> int:
        """Requests without an answer yet."""
        return sum(wire.due is not None for wire in self.open)


async def run(pool: Pool, rate: float, seconds: float, apart: float) -> dict[str, Any]:
    """Ask at this rate for so long, and wait for the last answers."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.05
    pool.apart_until = begin + apart
    probing = begin
    asked = 0
    async with asyncio.TaskGroup() as group:
        while (now := loop.time()) < begin + seconds:
            while (due := begin + asked / rate) <= now and due < begin + seconds:
                asked += 1
                if len(pool.open) < _MOST_CONNECTIONS:
                    group.create_task(pool.ask(due))
            if probing <= now:
                probing += 1 / _PROBES_PER_SECOND
                group.create_task(pool.ask(now, _PROBE))
            await asyncio.sleep(0.001)
    until = loop.time() + _LAST_WORDS_SECONDS
    while pool.waiting and loop.time() < until:
        await asyncio.sleep(0.01)
    pool.tally.unanswered += pool.waiting
    return pool.tally.report()


def main() -> None:
    """Ask, and print what came back."""
    parser = argparse.ArgumentParser(prog="python -m tests.overload.openloop")
    parser.add_argument("url")
    parser.add_argument("request", type=Path)
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--new", type=int, default=0)
    parser.add_argument("--apart", type=float, default=0)
    options = parser.parse_args()
    parts = urlsplit(options.url)

    async def asked() -> dict[str, Any]:
        pool = Pool(
            parts.hostname or "", parts.port or 80, options.request.read_bytes(), new=options.new
        )
        return await run(pool, options.rate, options.seconds, options.apart)

    print(json.dumps(asyncio.run(asked())))


if __name__ == "__main__":
    main()
