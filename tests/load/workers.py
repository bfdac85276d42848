"""Two workers beside one: the processor time of a request, and requests a second.

    python -m tests.load.workers          (SECONDS of each run, default 5)

Rounds alternate, so that whatever else the machine does strikes both. Where the client and the
workers share two processors, it is the processor time that tells: with equal shares and the same
cost of a request, two workers do twice as much on processors of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.process_facts import children_of, facts_of
from tests.support.server import running_server

_DECLARED = b'{"user_id":"a","filename":"a.png","content_type":"image/png","file_size":9}'
_REQUEST = (
    b"POST /images/upload-url HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_DECLARED), _DECLARED)
)
# For each worker: at half the rate a request costs more, since fewer are done at one waking.
_RATE = 250
_ROUNDS = 3


async def measure(workers: int, request: Path, seconds: float) -> tuple[float, float]:
    """Microseconds of processor for each request, and the busiest worker's share of them all."""
    environment = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "THROTTLE_RATE_LIMIT": "1000000",
        "THROTTLE_BURST_LIMIT": "1000000",
    }
    async with running_server("--workers", str(workers), environment=environment) as server:
        serving = children_of(server.process.pid) if workers > 1 else [server.process.pid]
        before = [facts_of(each).cpu for each in serving]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.overload.openloop", server.url, str(request)),
            *(str(_RATE * workers), str(seconds), "--new", "2"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        spent = [facts_of(each).cpu - cpu for each, cpu in zip(serving, before, strict=True)]
    result: dict[str, Any] = json.loads(output)
    return sum(spent) / result["answers"]["200"] * 1e6, max(spent) / sum(spent)


async def main() -> None:
    """Measure in turns, print the ratio."""
    seconds = float(os.environ.get("SECONDS", "5"))
    costs: dict[int, list[float]] = {1: [], 2: []}
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder) / "request"
        request.write_bytes(_REQUEST)
        for number in range(_ROUNDS):
            for workers, found in costs.items():
                cost, share = await measure(workers, request, seconds)
                found.append(cost)
                if workers == 2:
                    shares.append(share)
                print(f"round {number + 1}: {workers} workers, {cost:.0f} us a request", flush=True)
    one, two = (sorted(found)[_ROUNDS // 2] for found in costs.values())
    busiest = sorted(shares)[_ROUNDS // 2]
    print(f"one {one:.0f} us, two {two:.0f} us a request; the busier one has {busiest:.0%} of them")
    print(f"two workers on two processors do {one / two / busiest:.2f} times as much as one")


if __name__ == "__main__":
    asyncio.run(main())
