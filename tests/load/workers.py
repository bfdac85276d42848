"""Two workers beside one: the processor time of a request, and requests a second.

    python -m tests.load.workers          (ROUNDS, SECONDS)

Both are kept as busy as they can be, in turns. A machine with two processors has none to spare for
the client, so it is the processor time of a request that tells: two workers that take no more of it
than one do twice as much, on processors of their own.
"""

from __future__ import annotations

import os
from dataclasses import replace
from statistics import median

from tests.load import client, sides
from tests.load.calls import CALLS
from tests.load.processes import cpu_us, processors, running, settled_cpu_us
from tests.support.stores import free_port

_CALL = CALLS["upload-url"]  # no store has a part in it
_CONNECTIONS = 64


def measure(workers: int, seconds: int) -> tuple[float, float]:
    """Microseconds of processor a request, and requests a second."""
    first, last = processors()
    port = free_port()
    command = sides.service_command(port, "http://127.0.0.1:9")
    command = replace(command, arguments=(*command.arguments, "--workers", str(workers)))
    places = first if workers == 1 else (first, last)
    log = sides.BUILD / "logs" / "workers.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with running(command, port, places, log) as pid:
        client.drive(_CALL, port, 1, _CONNECTIONS, last)
        before = cpu_us(pid)
        outcome = client.drive(_CALL, port, seconds, _CONNECTIONS, last)
        spent = settled_cpu_us(pid) - before
    if outcome.refused or outcome.failed:
        raise SystemExit(f"workers: {outcome.refused} refused, {outcome.failed} without an answer")
    return spent / (outcome.requests + _CONNECTIONS), outcome.requests / outcome.seconds


def main() -> None:
    """Measure in turns, print the ratios."""
    rounds, seconds = int(os.environ.get("ROUNDS", "5")), int(os.environ.get("SECONDS", "3"))
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for number in range(rounds):
        for workers, results in found.items():
            results.append(measure(workers, seconds))
            cost, rate = results[-1]
            print(f"round {number + 1}, {workers}: {cost:.0f} us, {rate:.0f} a second", flush=True)
    (one, one_rate), (two, two_rate) = (
        (median(cost for cost, _ in each), median(rate for _, rate in each))
        for each in found.values()
    )
    print(f"one worker {one:.0f} us a request, two {two:.0f}: {2 * one / two:.2f} times as much")
    print(f"with the client on the second processor, too: {two_rate / one_rate:.2f} times")


if __name__ == "__main__":
    main()
