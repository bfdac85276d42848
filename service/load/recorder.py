"""What happens while a step runs, counted. Moments are seconds from the start of the whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from service.load.figures import Latencies
from service.load.mix import ACTIONS, S3_CALLS, Mix
from service.load.results import Failures, Step, Tally, Tester
from service.load.timeline import Timeline
from service.load.verdicts import NOT_SENT, Verdict


class Counts:
    """Counts of one kind of thing."""

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self._latencies = Latencies()

    def record(self, latency: float, verdict: Verdict) -> None:
        """One more."""
        self.verdicts[verdict.kind] += 1
        if verdict.kind == "good" or verdict.waited:
            self._latencies.record(latency)

    def tally(self, percentiles: Iterable[float]) -> Tally:
        """What they amount to."""
        return Tally(
            count=self.verdicts.total(),
            errors=self.verdicts["error"],
            turned_away=self.verdicts["turned away"],
            latencies=self._latencies.figures(percentiles),
        )


class Recorder:
    """One step: measured is what was due from `begin` to `end`; the rest warms up."""

    def __init__(
        self, mix: Mix, start: float, begin: float, end: float, timeline: Timeline
    ) -> None:
        self._start = start
        self._begin = begin
        self._end = end
        self._timeline = timeline
        self._calls = {name: Counts() for name in mix.calls}
        self._actions = {name: Counts() for name in mix.shares}
        self._everything = Counts()
        self._failures: Counter[tuple[str, Verdict]] = Counter()
        self._offered = 0
        self._done = 0
        self.made_up = 0
        # For whoever looks on: all of it, warm-up included.
        self.totals: Counter[str] = Counter()

    def arrived(self, due: float, now: float) -> None:
        """An action is due."""
        self._offered += self.measures(due)
        self._timeline.arrived(now)

    def called(self, name: str, started: float, ended: float, verdict: Verdict, due: float) -> None:
        """A call ended, of an action that was due at `due`; `started`: when the call was due."""
        api = name not in S3_CALLS
        latency = ended - started
        self._timeline.called(latency if api else None, verdict, ended)
        self.totals[verdict.kind] += 1
        if not self.measures(due):
            return
        self._calls.setdefault(name, Counts()).record(latency, verdict)
        if api:
            self._everything.record(latency, verdict)
        if verdict.kind != "good":
            self._failures[name, verdict] += 1

    def acted(self, name: str, due: float, ended: float, verdict: Verdict) -> None:
        """An action ended."""
        self._timeline.acted(verdict, ended)
        self._done += verdict.kind == "good" and self.measures(ended)
        if self.measures(due):
            self._actions[name].record(ended - due, verdict)

    def missed(self, name: str, due: float, now: float) -> None:
        """An action was not begun, as nobody was free to. To the user it is a call unanswered."""
        self._timeline.called(None, NOT_SENT, now)
        self.totals["error"] += 1
        if self.measures(due):
            self._actions[name].record(now - due, NOT_SENT)
            self._everything.record(now - due, NOT_SENT)
            self._failures[ACTIONS[name][0], NOT_SENT] += 1

    def cut(self, moment: float) -> None:
        """The measured time ends here, if not before."""
        self._end = min(self._end, max(moment, self._begin))

    def measures(self, moment: float) -> bool:
        """Whether a moment is in the measured time."""
        return self._begin <= moment < self._end

    def step(self, rate: float, now: float, tester: Tester, percentiles: Iterable[float]) -> Step:
        """What there is by now."""
        self._timeline.close(now)
        also = tuple(percentiles)
        return Step(
            rate=rate,
            start=self._start,
            begin=self._begin,
            seconds=self._end - self._begin,
            offered=self._offered,
            done=self._done,
            everything=self._everything.tally(also),
            calls={name: counts.tally(also) for name, counts in self._calls.items()},
            actions={name: counts.tally(also) for name, counts in self._actions.items()},
            failures=[
                Failures(call, verdict.name, count, verdict.kind == "turned away")
                for (call, verdict), count in self._failures.most_common()
            ],
            moments=tuple(self._timeline.moments),
            tester=tester,
            made_up=self.made_up,
        )
