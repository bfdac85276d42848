"""A run: make some images, offer the rate or rates, measure, delete what was made.

However it ends, what was made is deleted, and every part of it takes bounded time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Protocol

from service.client import ConnectionFailed, MontClient, MontError, Retries
from service.client.concurrency import as_done
from service.load.arrivals import arrivals, gaps
from service.load.cleaning import clean
from service.load.knee import listed_rates, searched_rates
from service.load.openloop import OpenLoop
from service.load.pictures import make_pictures
from service.load.places import NotAllowedThere, Places
from service.load.plan import Plan
from service.load.pool import Pool
from service.load.recorder import Recorder
from service.load.results import Cleaned, Result, Step
from service.load.selfwatch import SelfWatch
from service.load.service import Service, open_service
from service.load.timeline import Timeline
from service.load.verdicts import GOOD, UNFINISHED, Verdict
from service.load.workflow import Ended, Turn, Workflow

_PREPARING_AT_ONCE = 8
_PREPARING_SECONDS = 120
# After Ctrl-C, for answers that are on their way: what they made must be known to be deleted.
_HURRY = 5.0
_SHOW_EVERY = 1.0
_HEAD_START = 0.05


@dataclass(frozen=True, slots=True)
class Look:
    """How far it is. `passed` of `whole` seconds of a step at `rate`; what became of calls."""

    phase: str
    rate: float
    passed: float
    whole: float
    busy: int
    good: int
    errors: int
    turned_away: int
    throughput: float
    p50: float | None
    p99: float | None


class Audience(Protocol):
    """Whoever follows a run."""

    def preparing(self, images: int) -> None:
        """So many images are being made."""
        ...

    def look(self, look: Look) -> None:
        """How far it is, every second."""
        ...

    def ended(self, step: Step) -> None:
        """A step was measured."""
        ...

    def cleaning(self, images: int) -> None:
        """So many images are being deleted."""
        ...


class Trial:
    """One run of a plan. `stop` ends it early, and in order."""

    def __init__(self, plan: Plan, audience: Audience) -> None:
        self._plan = plan
        self._audience = audience
        self._random = Random(plan.seed)
        self._pictures = make_pictures(*plan.image_sizes, self._random)
        self._stop = asyncio.Event()
        self._refused: NotAllowedThere | None = None
        self._recorder: Recorder | None = None
        self._zero = time.perf_counter()
        self.pool = Pool()

    def stop(self) -> None:
        """Begin nothing more, and measure no further."""
        if self._recorder is not None:
            self._recorder.cut(self._now())
        self._stop.set()

    async def run(self, mont: MontClient) -> tuple[Result, Cleaned]:
        """All of it. Raises NotAllowedThere, MontError where it cannot even begin."""
        plan, places = self._plan, Places(anywhere=self._plan.anywhere)
        await places.check(plan.target.url, "The service")
        try:
            async with open_service(plan.target, places) as service:
                await self._prepare(self._workflow(service))
                self._zero = time.perf_counter()
                result = await self._measure(service)
        finally:
            cleaned = await self._clean(mont)
        return result, cleaned

    def _workflow(self, service: Service, recorder: Recorder | None = None) -> Workflow:
        def made_up() -> None:
            if recorder is not None:
                recorder.made_up += 1

        users, pictures = self._plan.users, self._pictures
        return Workflow(service, self.pool, users, pictures, self._random, made_up)

    async def _prepare(self, workflow: Workflow) -> None:
        """Make images that the first actions can be about. Raises MontError."""
        self._audience.preparing(self._plan.images)

        async def attempt() -> None:
            turn = Turn(self._now(), _nobody, self._now, self._plan.timeout)
            try:
                self.pool.ready(await workflow.upload(turn))
            except Ended as ended:
                error = ended.__cause__
                if isinstance(error, MontError):
                    raise error from None
                raise ConnectionFailed(f"no answer in {self._plan.timeout:g} s") from None

        async def one(number: int) -> None:
            if not self._stop.is_set():
                await Retries(attempts=3).run(attempt)

        try:
            async with asyncio.timeout(_PREPARING_SECONDS):
                # The first one alone: where that fails, so would all.
                for numbers in (range(1), range(1, self._plan.images)):
                    async for _ in as_done(numbers, one, _PREPARING_AT_ONCE):
                        pass
        except TimeoutError:
            raise ConnectionFailed(
                f"{self._plan.images} images could not be made in {_PREPARING_SECONDS} s"
            ) from None

    async def _measure(self, service: Service) -> Result:
        plan = self._plan
        steps: list[Step] = []
        for rate in self._rates(steps):
            if self._stop.is_set():
                break
            step = await self._offer(service, rate, plan.ramp if not steps else 0.0)
            if self._refused is not None:
                raise self._refused
            if step.seconds > 0 and step.offered:
                steps.append(step)
                self._audience.ended(step)
        knee = plan.knee.of(steps) if plan.sweeps and steps else None
        return Result(steps, plan.sweeps, knee, self._stop.is_set())

    def _rates(self, steps: list[Step]) -> Iterator[float]:
        plan = self._plan
        if plan.search:
            return searched_rates(plan.rate, steps, plan.knee)
        if plan.rates:
            return listed_rates(plan.rates, steps, plan.knee)
        return iter((plan.rate,))

    async def _offer(self, service: Service, rate: float, ramp: float) -> Step:
        """One rate, from its warm-up to the last answer."""
        plan, random = self._plan, self._random
        start = self._now() + _HEAD_START
        begin = start + ramp + plan.warmup
        end = begin + plan.seconds
        timeline = Timeline(start, _width(end - start))
        recorder = self._recorder = Recorder(plan.mix, start, begin, end, timeline)
        if self._stop.is_set():
            self.stop()
        watch = SelfWatch(recorder.measures, self._now)
        workflow = self._workflow(service, recorder)

        async def act(due: float) -> None:
            watch.most_busy = max(watch.most_busy, loop.busy)
            await self._act(plan.mix.draw(random), due, workflow, recorder)

        def missed(due: float) -> None:
            recorder.arrived(due, self._now())
            recorder.missed(plan.mix.draw(random), due, self._now())

        loop = OpenLoop(
            act, missed, watch, clients=plan.clients, patience=plan.timeout, now=self._now
        )
        moments = arrivals(rate, plan.warmup + plan.seconds, gaps(plan.spacing, random), ramp)
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(watch.watch()),
                group.create_task(self._show(rate, start, begin, end, recorder, timeline, loop)),
            ]
            await loop.run(
                (start + moment for moment in moments),
                end,
                self._stop,
                drain=plan.timeout,
                hurry=min(_HURRY, plan.timeout),
            )
            for task in beside:
                task.cancel()
        return recorder.step(rate, self._now(), watch.tester(), plan.percentiles)

    async def _act(self, action: str, due: float, workflow: Workflow, recorder: Recorder) -> None:
        recorder.arrived(due, self._now())

        def tell(call: str, call_due: float, ended: float, verdict: Verdict) -> None:
            recorder.called(call, call_due, ended, verdict, due)

        turn = Turn(due, tell, self._now, self._plan.timeout)
        verdict = UNFINISHED
        try:
            await workflow.act(action, turn)
            verdict = GOOD
        except Ended as ended:
            verdict = ended.verdict
        except NotAllowedThere as refused:
            self._refused = refused
            self.stop()
        finally:
            recorder.acted(action, due, self._now(), verdict)

    async def _show(
        self,
        rate: float,
        start: float,
        begin: float,
        end: float,
        recorder: Recorder,
        timeline: Timeline,
        loop: OpenLoop,
    ) -> None:
        while True:
            await asyncio.sleep(_SHOW_EVERY)
            now = self._now()
            timeline.close(now)
            last = timeline.moments[-1] if timeline.moments else None
            phase = "warming up" if now < begin else "measuring" if now < end else "last answers"
            self._audience.look(
                Look(
                    phase=phase,
                    rate=rate,
                    passed=min(now, end) - start,
                    whole=end - start,
                    busy=loop.busy,
                    good=recorder.totals["good"],
                    errors=recorder.totals["error"],
                    turned_away=recorder.totals["turned away"],
                    throughput=last.achieved if last else 0.0,
                    p50=last.p50 if last else None,
                    p99=last.p99 if last else None,
                )
            )

    async def _clean(self, mont: MontClient) -> Cleaned:
        if self._plan.keep:
            return Cleaned(self.pool.made, 0)
        images = self.pool.remaining
        self._audience.cleaning(len(images))
        # Deleted twice: what the service was still completing was not there the first time.
        unsettled = self.pool.unsettled
        seconds = self._plan.cleanup_seconds
        cleaned = await clean(mont, images, self.pool.made, seconds)
        if unsettled and not cleaned.left:
            again = await clean(mont, unsettled, len(unsettled), seconds)
            return Cleaned(cleaned.made, cleaned.deleted, again.left, again.why)
        return cleaned

    def _now(self) -> float:
        return time.perf_counter() - self._zero


def _width(seconds: float) -> float:
    """How long a piece of the time axis is: a second, unless there would be few or very many."""
    return max(0.25, min(1.0, seconds / 20), seconds / 120)


def _nobody(call: str, due: float, ended: float, verdict: Verdict) -> None:
    """Nothing is measured before the run."""
