"""What was measured, as values. Seconds, shares of 1, and numbers a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.load.figures import Figures


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something was done and what came of it.

    `latencies` of good answers, and of those that never came, up to when they were given up: an
    error or a refusal that comes at once would only make the rest look faster.
    """

    count: int = 0
    errors: int = 0
    turned_away: int = 0
    latencies: Figures = field(default_factory=Figures)

    @property
    def good(self) -> int:
        """What ended as it should."""
        return self.count - self.errors - self.turned_away


@dataclass(frozen=True, slots=True)
class Failures:
    """A class of failures of one call."""

    call: str
    name: str
    count: int
    turned_away: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """One piece of the time axis, `at` its middle, in seconds from the start of all."""

    at: float
    offered: float
    achieved: float
    errors: float
    turned_away: float
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Tester:
    """How the tester itself did. `lag` of its event loop, `slippage` of its schedule.

    `cpu`: its share of one processor. `queued`: arrivals that found every client busy.
    """

    lag: Figures
    slippage: Figures
    cpu: float
    queued: int
    most_busy: int


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured at one rate of actions, of those that were due in `seconds`.

    `start` of its warm-up, `begin` and `seconds` of the measured time, `offered` actions due then,
    `done` those that ended well then, whenever they were due. `everything`: all calls of the API,
    and what was not sent. `made_up`: actions that had to upload their image first.
    """

    rate: float
    start: float
    begin: float
    seconds: float
    offered: int
    done: int
    everything: Tally
    calls: Mapping[str, Tally]
    actions: Mapping[str, Tally]
    failures: Sequence[Failures]
    moments: Sequence[Moment]
    tester: Tester
    made_up: int = 0

    @property
    def throughput(self) -> float:
        """Actions that ended well, a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def offered_rate(self) -> float:
        """Actions that were due, a second: the rate, as chance had it."""
        return self.offered / self.seconds if self.seconds else 0.0

    @property
    def achieved(self) -> float:
        """The share of what was offered that was done in the same time."""
        return self.done / self.offered if self.offered else 0.0


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of the images that the run made."""

    made: int
    deleted: int
    left: Sequence[tuple[str | None, str]] = ()
    """User and image id of those that may still be there."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run. `knee` is one of the steps of a sweep."""

    steps: Sequence[Step]
    sweep: bool = False
    knee: Step | None = None
    interrupted: bool = False

    @property
    def judged(self) -> Step | None:
        """The step that budgets are about."""
        return self.knee or (self.steps[0] if self.steps else None)
