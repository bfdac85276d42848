"""The time axis of a run: rates and latencies of one short piece of time after the other."""

from __future__ import annotations

from service.load.figures import Latencies
from service.load.results import Moment
from service.load.verdicts import Verdict

_SHOWN = (50.0, 95.0, 99.0)


class Timeline:
    """Pieces of `width` seconds from `start`; what ends in one belongs to it. Asks no clock."""

    def __init__(self, start: float, width: float) -> None:
        self._start = start
        self._width = width
        self.moments: list[Moment] = []
        self._clear()

    def arrived(self, now: float) -> None:
        """An action was due."""
        self._roll(now)
        self._offered += 1

    def acted(self, verdict: Verdict, now: float) -> None:
        """An action ended."""
        self._roll(now)
        self._achieved += verdict.kind == "good"

    def called(self, latency: float | None, verdict: Verdict, now: float) -> None:
        """A call ended; `latency` where it is one of the API's."""
        self._roll(now)
        self._errors += verdict.kind == "error"
        self._turned_away += verdict.kind == "turned away"
        if latency is not None and (verdict.kind == "good" or verdict.waited):
            self._latencies.record(latency)

    def close(self, now: float) -> None:
        """End the pieces that are over by now."""
        self._roll(now)

    def _roll(self, now: float) -> None:
        while now >= self._start + self._width:
            told = self._latencies.percentiles(_SHOWN)
            self.moments.append(
                Moment(
                    at=self._start + self._width / 2,
                    offered=self._offered / self._width,
                    achieved=self._achieved / self._width,
                    errors=self._errors / self._width,
                    turned_away=self._turned_away / self._width,
                    p50=told.get(50.0),
                    p95=told.get(95.0),
                    p99=told.get(99.0),
                )
            )
            self._start += self._width
            self._clear()

    def _clear(self) -> None:
        self._offered = self._achieved = self._errors = self._turned_away = 0
        # Two digits are as much as a plot can show, and cost little to make anew.
        self._latencies = Latencies(digits=2)
