"""The knee: the highest rate that a service keeps up with.

It keeps up with a rate where it does 95 % of what is offered, in the same time, and where its p99
stays within a limit: a given one, or three times that of the lowest rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.load.results import Step

ACHIEVED = 0.95
TIMES = 3.0
HIGHEST = 10_000.0
"""More a second than one tester can offer."""
_FACTOR = 2.0
_HALVINGS = 3
# What is beyond twice in a row is not chance, and further steps would only torment the service.
_BEYOND = 2


class SweepInvalid(ValueError):
    """A sweep that makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class Knee:
    """Judges steps; `limit` for the p99 in seconds, None: relative to the lowest step."""

    limit: float | None = None

    def keeps_up(self, step: Step, steps: Sequence[Step]) -> bool:
        """Whether the service kept up with this one of the steps."""
        latencies = step.everything.latencies
        if not latencies.count or step.achieved < ACHIEVED:
            return False
        return latencies.at(99.0) <= self.limit_of(steps)

    def limit_of(self, steps: Sequence[Step]) -> float:
        """The p99 that may not be exceeded."""
        if self.limit is not None:
            return self.limit
        lowest = min(steps, key=lambda step: step.rate)
        return TIMES * lowest.everything.latencies.at(99.0)

    def of(self, steps: Sequence[Step]) -> Step | None:
        """The highest step that the service kept up with; None where it is not even the lowest."""
        good = [step for step in steps if self.keeps_up(step, steps)]
        return max(good, key=lambda step: step.rate, default=None)


def parse_sweep(text: str) -> tuple[float, ...]:
    """The rates of "LOW:HIGH:STEPS", each the same factor above the one before.

    Raises SweepInvalid.
    """
    try:
        low, high, count = (float(part) for part in text.split(":"))
    except ValueError:
        raise SweepInvalid(f"{text!r} must be LOW:HIGH:STEPS, such as 100:2000:8") from None
    if not (0 < low < high <= HIGHEST and count in range(2, 51)):
        raise SweepInvalid(
            f"{text!r}: LOW must be above 0 and below HIGH (at most {HIGHEST:g}), STEPS 2 to 50"
        )
    return tuple(low * (high / low) ** (number / (count - 1)) for number in range(int(count)))


def listed_rates(rates: Sequence[float], steps: Sequence[Step], knee: Knee) -> Iterator[float]:
    """These rates, until the service falls behind at two in a row. `steps` grows meanwhile."""
    for rate in rates:
        yield rate
        last = steps[-_BEYOND:]
        if len(last) == _BEYOND and not any(knee.keeps_up(step, steps) for step in last):
            return


def searched_rates(first: float, steps: Sequence[Step], knee: Knee) -> Iterator[float]:
    """Doubled until the service falls behind, then narrowed down. `steps` grows meanwhile."""
    rate, low = first, 0.0
    while rate <= HIGHEST:
        yield rate
        if not steps or not knee.keeps_up(steps[-1], steps):
            break
        low, rate = rate, rate * _FACTOR
    high = rate
    for _ in range(_HALVINGS if low else 0):
        rate = (low * high) ** 0.5
        yield rate
        if knee.keeps_up(steps[-1], steps):
            low = rate
        else:
            high = rate
