"""Twice as many requests as the server can sustain: what becomes of them, and of the server.

    python -m tests.overload.bench          (SECONDS of each run, default 10)

In two places where it can get stuck: a store that answers one call after the other, and its own
processor. The client asks on a schedule, from another process; what sustainable is, it finds out.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.overload.onelane import IMAGE_ID, OneLane
from tests.support.process_facts import facts_of
from tests.support.server import Server, running_server

_DECLARED = b'{"user_id":"a","filename":"a.png","content_type":"image/png","file_size":9}'
CASES = {
    "a store that takes 10 ms for each call, one after the other": (
        f"GET /images/{IMAGE_ID}/download-url HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        (50, 60, 70, 80, 90),
    ),
    "the processor": (
        b"POST /images/upload-url HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(_DECLARED), _DECLARED),
        (500, 700, 1000, 1400, 2000, 2800),
    ),
}
_TRIAL_SECONDS = 2
_APART_SECONDS = 2
# Answers that take longer are not sustained: they pile up.
_LATE_MS = 150


async def ask(server: Server, request: Path, rate: float, seconds: float) -> dict[str, Any]:
    """What a client in another process got."""
    apart = _APART_SECONDS if seconds > _TRIAL_SECONDS else 0
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.overload.openloop", server.url, str(request)),
        *(str(rate), str(seconds), "--apart", str(apart)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    result: dict[str, Any] = json.loads(output)
    return result


def answered(result: dict[str, Any]) -> int:
    """How many requests were taken on and answered."""
    count: int = result["answers"].get("200", 0)
    return count


async def sustainable(server: Server, request: Path, rates: tuple[int, ...]) -> int:
    """The highest of these rates at which everything is answered, and soon."""
    best = rates[0]
    for rate in rates:
        result = await ask(server, request, rate, _TRIAL_SECONDS)
        print(f"  {rate:6} a second: {result['accepted_ms']}", flush=True)
        if answered(result) < result["sent"] or result["accepted_ms"]["p99"] > _LATE_MS:
            break
        best = rate
    return best


async def overrun(server: Server, body: bytes, rates: tuple[int, ...], seconds: float) -> None:
    """Find the limit, then ask twice as much."""
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder) / "request"
        request.write_bytes(body)
        calm = await ask(server, request, rates[0] / 5, seconds)
        rate = await sustainable(server, request, rates)
        before = facts_of(server.process.pid)
        flood = await ask(server, request, 2 * rate, seconds)
        after = facts_of(server.process.pid)
    ratio = flood["accepted_ms"]["p99"] / calm["accepted_ms"]["p99"]
    print(f"  sustainable     {rate} a second; unloaded {calm['accepted_ms']}")
    print(f"  at {2 * rate} a second: {flood['answers']}, unanswered {flood['unanswered']}")
    print(f"  accepted        {answered(flood) / seconds:.0f} a second; {flood['accepted_ms']}")
    print(f"  p99 of accepted {ratio:.2f} times the unloaded one; until noticed (the first"
          f" {_APART_SECONDS} s): {flood['accepted_first_ms']}")  # fmt: skip
    print(f"  turned away     {flood['turned_away_ms']}")
    print(f"  /livez          {flood['livez_ms']}")
    print(f"  memory          {before.rss:.1f} MB before, {after.rss:.1f} MB after", flush=True)


async def main() -> None:
    """Overrun it in every place."""
    seconds = float(os.environ.get("SECONDS", "10"))
    for name, (body, rates) in CASES.items():
        print(name, flush=True)
        async with AsyncExitStack() as stack:
            lane = OneLane(0.01)
            store = await stack.enter_async_context(
                await asyncio.start_server(lane.serve, "127.0.0.1", 0, backlog=512)
            )
            environment = {
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.sockets[0].getsockname()[1]}",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "THROTTLE_RATE_LIMIT": "1000000",
                "THROTTLE_BURST_LIMIT": "1000000",
            }
            server = await stack.enter_async_context(
                running_server("--backend", "aws", environment=environment)
            )
            await overrun(server, body, rates, seconds)
            for connection in tuple(lane.connections):
                connection.close()


if __name__ == "__main__":
    asyncio.run(main())
