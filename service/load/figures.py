"""Latencies in an HdrHistogram, and what they amount to. Seconds everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hdrh.histogram import HdrHistogram

TOLD = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
"""The percentiles that every report tells."""
_MICROSECONDS = 1_000_000
_LONGEST = 600 * _MICROSECONDS
# Evenly on the scale of a percentile curve, where each nine takes the same room.
_CURVE = tuple(100 * (1 - 10 ** (-step / 8)) for step in range(41))


@dataclass(frozen=True, slots=True)
class Figures:
    """Latencies of one kind. Percentile (0 to 100) -> seconds."""

    count: int = 0
    mean: float = 0.0
    least: float = 0.0
    most: float = 0.0
    percentiles: Mapping[float, float] = field(default_factory=dict)

    def at(self, percentile: float) -> float:
        """A percentile; 0 where nothing was measured."""
        return self.percentiles.get(percentile, 0.0)

    @property
    def curve(self) -> list[tuple[float, float]]:
        """Percentiles as far as there are enough samples to tell them."""
        return [(p, self.percentiles[p]) for p in _CURVE if self.count * (100 - p) > 99.99]


class Latencies:
    """Samples, to three significant digits."""

    def __init__(self, digits: int = 3) -> None:
        self._histogram = HdrHistogram(1, _LONGEST, digits)
        self._sum = 0.0
        self._least, self._most = float("inf"), 0.0

    def record(self, seconds: float) -> None:
        """One more."""
        self._histogram.record_value(min(max(1, round(seconds * _MICROSECONDS)), _LONGEST))
        self._sum += seconds
        self._least, self._most = min(self._least, seconds), max(self._most, seconds)

    def figures(self, also: Iterable[float] = ()) -> Figures:
        """What they amount to, with these percentiles beside the usual ones."""
        found = self.percentiles({*TOLD, *_CURVE, *also})
        count = int(self._histogram.get_total_count())
        if not count:
            return Figures()
        return Figures(
            count=count,
            mean=self._sum / count,
            least=self._least,
            most=self._most,
            percentiles=found,
        )

    def percentiles(self, wanted: Iterable[float]) -> dict[float, float]:
        """Some of the percentiles."""
        histogram = self._histogram
        if not histogram.get_total_count():
            return {}
        # The library rounds up to the end of the bucket, which may be above all samples.
        return {
            float(each): min(value / _MICROSECONDS, self._most)
            for each, value in histogram.get_percentile_to_value_dict(list(wanted)).items()
        }
