"""Made-up steps of a load test."""

from __future__ import annotations

from service.load.figures import Figures, Latencies
from service.load.results import Failures, Step, Tally, Tester

IDLE = Tester(lag=Figures(), slippage=Figures(), cpu=0.1, queued=0, most_busy=3)


def figures_of(*seconds: float) -> Figures:
    latencies = Latencies()
    for each in seconds:
        latencies.record(each)
    return latencies.figures()


def a_tally(
    *seconds: float, errors: int = 0, turned_away: int = 0, count: int | None = None
) -> Tally:
    good = len(seconds) if count is None else count
    return Tally(good + errors + turned_away, errors, turned_away, figures_of(*seconds))


def a_step(
    rate: float = 100.0,
    *,
    offered: int = 100,
    done: int = 100,
    everything: Tally | None = None,
    calls: dict[str, Tally] | None = None,
    actions: dict[str, Tally] | None = None,
    failures: tuple[Failures, ...] = (),
    tester: Tester = IDLE,
) -> Step:
    return Step(
        rate=rate,
        start=0.0,
        begin=1.0,
        seconds=1.0,
        offered=offered,
        done=done,
        everything=a_tally(0.01) if everything is None else everything,
        calls=calls or {},
        actions=actions or {},
        failures=failures,
        moments=(),
        tester=tester,
    )
