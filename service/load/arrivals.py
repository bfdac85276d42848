"""When requests are due: a rate, a ramp up to it, and even or random gaps.

Gaps are drawn as if one request were due a second, and then laid out along the rate. So one rule
serves any profile, and tests need no randomness.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from random import Random
from typing import Literal

Spacing = Literal["poisson", "constant"]


def gaps(spacing: Spacing, random: Random) -> Iterator[float]:
    """Gaps of one on average: all the same, or those of many independent clients."""
    if spacing == "constant":
        return chain((0.0,), repeat(1.0))
    return (random.expovariate(1.0) for _ in repeat(None))


def arrivals(
    rate: float, seconds: float, units: Iterable[float], ramp: float = 0.0
) -> Iterator[float]:
    """The moments, in seconds from the start, that requests are due at.

    `ramp` seconds from nothing to `rate` a second, then `seconds` at that. `units` are the gaps.
    """
    ramped = rate * ramp / 2
    whole = ramped + rate * seconds
    area = 0.0
    for unit in units:
        area += unit
        if area >= whole:
            return
        # The moment up to which so many are due: the area below the rate, turned round.
        yield math.sqrt(2 * ramp * area / rate) if area < ramped else area / rate + ramp / 2
