"""When requests of a load test are due, begin, and count from: on a clock that nobody waits for."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from service.client import ImageNotFound, MontProblem
from service.client.errors import ProblemDocument, problem_of
from service.load.arrivals import arrivals, gaps
from service.load.mix import MixInvalid, parse_mix
from service.load.openloop import OpenLoop
from service.load.recorder import Recorder
from service.load.timeline import Timeline
from service.load.verdicts import GOOD, NOT_SENT, TIMED_OUT, Verdict
from service.load.workflow import Ended, Turn
from tests.support.load_steps import IDLE

# --- When they are due ----------------------------------------------------------------------------


def test_constant_arrivals_are_evenly_spaced() -> None:
    due = list(arrivals(4.0, 1.0, gaps("constant", Random(1))))
    assert due == [0.0, 0.25, 0.5, 0.75]


def test_a_ramp_offers_half_as_many_and_ends_at_the_full_rate() -> None:
    due = list(arrivals(100.0, 10.0, gaps("constant", Random(1)), ramp=10.0))
    assert len(due) == 1500
    assert sum(moment < 10.0 for moment in due) == 500
    # A quarter of the ramp's in its first half, and no step where the ramp ends.
    assert sum(moment < 5.0 for moment in due) == 125
    assert max(b - a for a, b in pairwise(due[495:505])) == pytest.approx(0.01, rel=0.02)


def test_poisson_arrivals_are_those_of_independent_users() -> None:
    due = list(arrivals(50.0, 200.0, gaps("poisson", Random(7))))
    a_second = Counter(int(moment) for moment in due)
    counts = [a_second[second] for second in range(200)]
    mean = sum(counts) / 200
    # A Poisson distribution's variance is its mean.
    variance = sum((count - mean) ** 2 for count in counts) / 200
    assert mean == pytest.approx(50.0, rel=0.03)
    assert variance == pytest.approx(mean, rel=0.3)
    assert due == sorted(due)


def test_the_mix_is_drawn_by_its_shares() -> None:
    mix, random = parse_mix(" list=3, get=1,delete=0 "), Random(3)
    drawn = Counter(mix.draw(random) for _ in range(4000))
    assert set(drawn) == {"list", "get"}
    assert drawn["list"] / 4000 == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(
    "text", ["", "list", "list=x", "list=-1", "list=nan", "lisst=1", "list=1,list=2", "list=0"]
)
def test_a_mix_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(MixInvalid):
        parse_mix(text)


# --- When they begin ------------------------------------------------------------------------------


class Schedule:
    """An open loop on a clock that jumps to whatever is waited for."""

    def __init__(self, clients: int, patience: float = 0.0) -> None:
        self.now = 0.0
        self.begun: list[tuple[float, float]] = []
        self.late: list[float] = []
        self.queued: list[float] = []
        self.missed: list[float] = []
        self.answer = asyncio.Event()
        self.stop = asyncio.Event()
        self.loop = OpenLoop(
            self.begin,
            self.missed.append,
            self,
            clients=clients,
            patience=patience,
            now=lambda: self.now,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)  # what was begun gets its turn before time goes on
        self.now += seconds

    async def begin(self, due: float) -> None:
        self.begun.append((due, self.now))
        await self.answer.wait()

    def slipped(self, due: float, seconds: float) -> None:
        self.late.append(seconds)

    def waited(self, due: float) -> None:
        self.queued.append(due)

    async def run(self, *dues: float, end: float = 100.0) -> None:
        await self.loop.run(dues, end, self.stop, drain=0.0, hurry=0.0)


async def test_each_begins_when_it_is_due_although_none_is_answered() -> None:
    schedule = Schedule(clients=10)
    await schedule.run(1.0, 2.0, 2.5)
    assert schedule.begun == [(1.0, 1.0), (2.0, 2.0), (2.5, 2.5)]
    assert schedule.late == [0.0, 0.0, 0.0]


async def test_what_is_overdue_begins_at_once_and_the_slip_is_noted() -> None:
    schedule = Schedule(clients=10, patience=10.0)
    schedule.now = 5.0
    await schedule.run(1.0, 2.0)
    assert schedule.begun == [(1.0, 5.0), (2.0, 5.0)]
    assert schedule.late == [4.0, 3.0]


async def test_a_tester_that_is_too_slow_never_falls_behind_for_ever() -> None:
    schedule = Schedule(clients=10, patience=10.0)
    schedule.now = 50.0
    await schedule.run(1.0, 39.0, 41.0)
    assert (schedule.begun, schedule.missed) == ([(41.0, 50.0)], [1.0, 39.0])
    schedule.now = 102.0
    await schedule.run(99.0, end=100.0)
    assert schedule.missed == [1.0, 39.0, 99.0]


async def test_what_finds_no_client_waits_and_keeps_its_due_time() -> None:
    schedule = Schedule(clients=1, patience=1000.0)
    running = asyncio.create_task(schedule.run(1.0, 2.0, end=1000.0))
    while not schedule.queued:
        await asyncio.sleep(0)
    schedule.now = 7.0
    schedule.answer.set()
    await running
    assert schedule.begun == [(1.0, 1.0), (2.0, 7.0)]
    # A wait for a client is the service's doing, not the schedule's.
    assert schedule.late == [0.0]


async def test_what_waited_too_long_is_missed_and_the_schedule_goes_on() -> None:
    schedule = Schedule(clients=1)
    await schedule.run(1.0, 2.0, 3.0)
    assert (schedule.begun, schedule.missed) == ([(1.0, 1.0)], [2.0, 3.0])


async def test_a_stop_begins_nothing_more_and_ends_what_is_under_way() -> None:
    schedule = Schedule(clients=1, patience=1000.0)
    running = asyncio.create_task(schedule.run(1.0, 2.0, 3.0, end=1000.0))
    while not schedule.queued:
        await asyncio.sleep(0)
    schedule.stop.set()
    await running
    assert (schedule.begun, schedule.missed, schedule.loop.busy) == ([(1.0, 1.0)], [], 0)


# --- What they count from -------------------------------------------------------------------------


def missing() -> MontProblem:
    return problem_of(ProblemDocument("urn:mont:problem:image-not-found", "Gone", 404, ""))


async def test_a_call_counts_from_when_it_was_due_and_the_next_from_its_answer() -> None:
    told: list[tuple[str, float, float, Verdict]] = []
    moments = iter([3.0, 3.5])
    turn = Turn(1.0, lambda *each: told.append(each), lambda: next(moments), seconds=60.0)

    async def answered() -> str:
        return "ticket"

    async def refused() -> None:
        raise missing()

    assert await turn.call("upload-url", answered()) == "ticket"
    with pytest.raises(Ended) as ended:
        await turn.call("complete", refused())
    assert isinstance(ended.value.__cause__, ImageNotFound)
    assert told == [
        ("upload-url", 1.0, 3.0, GOOD),
        ("complete", 3.0, 3.5, Verdict("error", "404 image-not-found")),
    ]


def a_recorder() -> Recorder:
    """Measures from second 10 to 20."""
    return Recorder(parse_mix("upload=1,list=1"), 0.0, 10.0, 20.0, Timeline(0.0, 5.0))


def test_only_what_was_due_in_the_measured_time_is_measured() -> None:
    recorder = a_recorder()
    for due in (9.9, 10.0, 19.9, 20.0):
        recorder.arrived(due, due)
        recorder.called("list", due, due + 0.5, GOOD, due)
        recorder.acted("list", due, due + 0.5, GOOD)
    step = recorder.step(1.0, 30.0, IDLE, ())
    assert (step.offered, step.calls["list"].count, step.actions["list"].count) == (2, 2, 2)
    # Done in the measured time are the one that was due just before it and the first in it.
    assert step.done == 2
    assert sum(each.offered for each in step.moments) * 5 == pytest.approx(4)


def test_later_calls_of_an_action_are_measured_with_it() -> None:
    recorder = a_recorder()
    recorder.called("complete", 20.5, 21.0, GOOD, due=19.5)
    assert recorder.step(1.0, 30.0, IDLE, ()).calls["complete"].count == 1


def test_quick_failures_do_not_flatter_the_latencies_and_timeouts_are_in_them() -> None:
    recorder = a_recorder()
    for seconds, verdict in (
        (1.0, GOOD),
        (0.001, Verdict("turned away", "429 throttled")),
        (0.001, Verdict("error", "500 internal-error")),
        (5.0, TIMED_OUT),
    ):
        recorder.called("list", 12.0, 12.0 + seconds, verdict, 12.0)
    recorder.missed("upload", 12.0, 15.0)
    step = recorder.step(1.0, 30.0, IDLE, ())
    tally = step.calls["list"]
    assert (tally.count, tally.good, tally.errors, tally.turned_away) == (4, 1, 2, 1)
    assert tally.latencies.count == 2
    assert tally.latencies.most == pytest.approx(5.0, rel=0.001)
    assert step.everything.errors == 3
    assert step.everything.latencies.count == 3
    assert {(each.call, each.name, each.turned_away) for each in step.failures} == {
        ("list", "429 throttled", True),
        ("list", "500 internal-error", False),
        ("list", "timeout", False),
        ("upload-url", NOT_SENT.name, False),
    }


def test_exchanges_with_s3_are_not_the_services_own() -> None:
    recorder = a_recorder()
    recorder.called("s3-post", 12.0, 13.0, GOOD, 12.0)
    step = recorder.step(1.0, 30.0, IDLE, ())
    assert (step.calls["s3-post"].count, step.everything.count) == (1, 0)


def test_an_interrupted_step_counts_what_it_measured_so_far() -> None:
    recorder = a_recorder()
    recorder.arrived(12.0, 12.0)
    recorder.acted("list", 12.0, 12.1, GOOD)
    recorder.cut(14.0)
    recorder.arrived(15.0, 15.0)
    step = recorder.step(1.0, 16.0, IDLE, ())
    assert (step.seconds, step.offered, step.throughput) == (4.0, 1, 0.25)
