"""Watching the tester itself: a result that it distorted is worth nothing, and has to say so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from service.load.figures import Latencies
from service.load.results import Step, Tester

_TICK = 0.02
# Of a processor: beyond, requests queue in the tester.
_BUSY = 0.9
# Below, the tester's own part can be neglected, in seconds and as a part of what it measures.
_NEGLIGIBLE = 0.005
_PART = 0.25


class SelfWatch:
    """How late the loop and the schedule are, and how busy the processor, in the measured time."""

    def __init__(self, measures: Callable[[float], bool], now: Callable[[], float]) -> None:
        self._measures = measures
        self._now = now
        self._lag = Latencies()
        self._slippage = Latencies()
        self._cpu = 0.0
        self._wall = 0.0
        self.queued = 0
        self.most_busy = 0

    async def watch(self) -> None:
        """Look at the loop until cancelled."""
        before, cpu = self._now(), time.process_time()
        while True:
            await asyncio.sleep(_TICK)
            now, used = self._now(), time.process_time()
            if self._measures(now):
                self._lag.record(max(0.0, now - before - _TICK))
                self._wall += now - before
                self._cpu += used - cpu
            before, cpu = now, used

    def slipped(self, due: float, seconds: float) -> None:
        """A request began so late although a client was free."""
        if self._measures(due):
            self._slippage.record(seconds)

    def waited(self, due: float) -> None:
        """A request found every client busy."""
        self.queued += self._measures(due)

    def tester(self) -> Tester:
        """How it did."""
        return Tester(
            lag=self._lag.figures(),
            slippage=self._slippage.figures(),
            cpu=self._cpu / self._wall if self._wall else 0.0,
            queued=self.queued,
            most_busy=self.most_busy,
        )


def warnings_of(step: Step, clients: int) -> list[str]:
    """Why the figures of a step may be the tester's own rather than the service's."""
    tester = step.tester
    limit = max(_NEGLIGIBLE, _PART * step.everything.latencies.at(99.0))
    said = []
    if tester.cpu >= _BUSY:
        said.append(
            f"The tester itself used {tester.cpu:.0%} of a processor: it is the bottleneck. "
            "Use a lower rate, or several testers."
        )
    for what, figures in (
        ("The tester's event loop was", tester.lag),
        ("Requests began", tester.slippage),
    ):
        if figures.at(99.0) > limit:
            said.append(
                f"{what} up to {figures.at(99.0) * 1000:.1f} ms late (p99), which is part of the "
                "latencies: the tester, or the machine that it runs on, was too busy."
            )
    if tester.queued:
        said.append(
            f"{tester.queued} of {step.offered} actions found all {clients} clients busy and "
            "waited, which their latencies count: the service was slower than the rate, or "
            "--clients is too low for it."
        )
    return said
