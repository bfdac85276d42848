"""How much a random search does: a little in every run, a lot in `make fuzz`."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

LONG = os.environ.get("FUZZ") == "long"
"""Whether there is time: `make fuzz` says so."""

ROUNDS = 10 if LONG else 1
"""How many times as much as usual what counts its own rounds has to do."""


def searching(short: int, long: int, **more: Any) -> settings:
    """Settings for a property test: how many examples in every run, and when there is time."""
    return settings(
        max_examples=long if LONG else short,
        # What makes text, headers and bodies of any kind is slow at times, and not ours to mend.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        **more,
    )
