"""What a run is to do. Seconds, and actions a second."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from service.load.arrivals import Spacing
from service.load.knee import Knee
from service.load.mix import Mix
from service.load.service import Target

_OTHER_FILES = 128


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    `rates` of a sweep; `search`: find the knee from `rate` on. `users` whose images they are, None
    where the credentials say so. `percentiles` that budgets ask for beside the usual ones.
    """

    target: Target
    mix: Mix
    users: Sequence[str | None]
    rate: float = 50.0
    rates: Sequence[float] = ()
    search: bool = False
    knee: Knee = field(default_factory=Knee)
    seconds: float = 30.0
    warmup: float = 5.0
    ramp: float = 0.0
    spacing: Spacing = "poisson"
    clients: int = 1000
    timeout: float = 30.0
    image_sizes: tuple[int, int] = (100_000, 100_000)
    images: int = 20
    anywhere: bool = False
    keep: bool = False
    cleanup_seconds: float = 60.0
    seed: int | None = None
    percentiles: Sequence[float] = ()

    @property
    def sweeps(self) -> bool:
        """Whether there is more than one rate."""
        return bool(self.rates) or self.search


def made_up_users(count: int, prefix: str | None) -> list[str | None]:
    """Users whom nobody else has, unless they are asked for by name."""
    start = prefix or f"load-{secrets.token_hex(4)}"
    return [f"{start}-{number}" for number in range(1, count + 1)]


def clients_possible(wanted: int) -> int:
    """How many connections this process may have at once, at most `wanted`.

    The limit is raised as far as the system lets it be.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return max(1, min(wanted, soft - _OTHER_FILES))
