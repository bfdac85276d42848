"""A run as JSON, and as text for the terminal. Milliseconds there, as people compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.load.budgets import Judged
from service.load.figures import TOLD, Figures
from service.load.plan import Plan
from service.load.results import Cleaned, Result, Step, Tally
from service.load.selfwatch import warnings_of
from service.load.words import percentile_text, rate_text, share_text, time_text

_COLUMNS = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say about a run. `target` without credentials, `started` in UTC."""

    target: str
    started: str
    version: str
    plan: Plan
    result: Result
    cleaned: Cleaned
    judged: Sequence[Judged]

    @property
    def broken(self) -> list[Judged]:
        """The budgets that were not kept."""
        return [each for each in self.judged if not each.kept]

    @property
    def settings(self) -> dict[str, object]:
        """What was asked for."""
        plan = self.plan
        low, high = plan.image_sizes
        return {
            "mix": ",".join(f"{name}={share:g}" for name, share in plan.mix.shares.items()),
            "rate": rate_text(plan.rate) if not plan.rates else [f"{r:.4g}/s" for r in plan.rates],
            "spacing": plan.spacing,
            "duration": f"{plan.seconds:g} s",
            "warmup": f"{plan.warmup:g} s",
            "ramp": f"{plan.ramp:g} s",
            "clients": plan.clients,
            "users": len(plan.users),
            "timeout": f"{plan.timeout:g} s",
            "image_size": f"{low} bytes" if low == high else f"{low} to {high} bytes",
        }

    def warnings(self, step: Step) -> list[str]:
        """Why figures of a step may be the tester's own."""
        return warnings_of(step, self.plan.clients)


def as_document(report: Report) -> dict[str, object]:
    """All of it as JSON."""
    result, cleaned = report.result, report.cleaned
    return {
        "target": report.target,
        "started": report.started,
        "version": report.version,
        "settings": report.settings,
        "interrupted": result.interrupted,
        "steps": [{**_step(each), "warnings": report.warnings(each)} for each in result.steps],
        "knee": None
        if result.knee is None
        else {
            "rate": result.knee.rate,
            "throughput": result.knee.throughput,
            "p99_ms": _ms(result.knee.everything.latencies.at(99.0)),
        },
        "budgets": [
            {"budget": each.budget.text, "measured": each.measured, "kept": each.kept}
            for each in report.judged
        ],
        "cleanup": {
            "made": cleaned.made,
            "deleted": cleaned.deleted,
            "left": [{"user_id": user, "image_id": image_id} for user, image_id in cleaned.left],
            "why": cleaned.why,
        },
    }


def _step(step: Step) -> dict[str, object]:
    tester = step.tester
    return {
        "rate": step.rate,
        "seconds": step.seconds,
        "offered": step.offered,
        "offered_rate": step.offered_rate,
        "done": step.done,
        "throughput": step.throughput,
        "achieved": step.achieved,
        "made_up": step.made_up,
        "all": _tally(step.everything),
        "calls": {name: _tally(each) for name, each in step.calls.items()},
        "actions": {name: _tally(each) for name, each in step.actions.items()},
        "failures": [
            {
                "call": each.call,
                "class": each.name,
                "count": each.count,
                "turned_away": each.turned_away,
            }
            for each in step.failures
        ],
        "over_time": [
            {
                "at": each.at,
                "offered": each.offered,
                "achieved": each.achieved,
                "errors": each.errors,
                "turned_away": each.turned_away,
                "p50_ms": None if each.p50 is None else _ms(each.p50),
                "p95_ms": None if each.p95 is None else _ms(each.p95),
                "p99_ms": None if each.p99 is None else _ms(each.p99),
            }
            for each in step.moments
        ],
        "tester": {
            "cpu": tester.cpu,
            "loop_lag_ms": _latencies(tester.lag),
            "slippage_ms": _latencies(tester.slippage),
            "queued": tester.queued,
            "most_busy": tester.most_busy,
        },
    }


def _tally(tally: Tally) -> dict[str, object]:
    return {
        "count": tally.count,
        "good": tally.good,
        "errors": tally.errors,
        "turned_away": tally.turned_away,
        "latency_ms": _latencies(tally.latencies),
    }


def _latencies(figures: Figures) -> dict[str, float]:
    if not figures.count:
        return {}
    told = {percentile_text(each): _ms(figures.at(each)) for each in TOLD}
    return {
        "mean": _ms(figures.mean),
        "min": _ms(figures.least),
        **told,
        "max": _ms(figures.most),
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def as_text(report: Report) -> str:
    """The step that counts, its failures, the knee, the budgets, and what is left behind."""
    result = report.result
    said: list[str] = []
    step = result.judged
    if step is None:
        said.append("Nothing was measured.")
    else:
        said += _step_text(step)
        said += [f"warning: {each}" for each in report.warnings(step)]
    if result.sweep:
        said.append(knee_text(report))
    said += [budget_text(each) for each in report.judged]
    said += [f"warning: {each}" for each in cleanup_warnings(report)]
    return "\n".join(said)


def knee_text(report: Report) -> str:
    """Where the knee is, in a sentence."""
    steps, knee = report.result.steps, report.result.knee
    if not steps:
        return "Knee: unknown."
    limit = time_text(report.plan.knee.limit_of(steps))
    rule = f"95 % done in the same time, p99 within {limit}"
    if knee is None:
        return f"Knee: below {rate_text(steps[0].rate)} ({rule})."
    if knee.rate == max(step.rate for step in steps):
        return f"Knee: not reached at {rate_text(knee.rate)} ({rule})."
    return f"Knee: {rate_text(knee.rate)} ({rule})."


def budget_text(judged: Judged) -> str:
    """A budget and whether it was kept."""
    measured = judged.measured or "nothing was measured"
    return f"budget {judged.budget.text}: {'kept' if judged.kept else 'BROKEN'} ({measured})"


def cleanup_warnings(report: Report) -> list[str]:
    """What the run leaves behind, and how to get rid of it."""
    cleaned = report.cleaned
    if report.plan.keep:
        return [f"{cleaned.made} images were kept (--keep); each has the tag mont-load."]
    if not cleaned.left:
        return []
    users = sorted({user or "" for user, _ in cleaned.left})
    named = f" of {', '.join(users[:3])}{' ...' if len(users) > 3 else ''}" if any(users) else ""
    return [
        f"{len(cleaned.left)} images{named} could not be deleted: {cleaned.why}. "
        "They have the tag mont-load: mont ls --user USER --tag mont-load --all | mont rm --yes -"
    ]


def _step_text(step: Step) -> list[str]:
    lines = [
        f"{rate_text(step.rate)} for {step.seconds:.3g} s: {step.offered} actions due, "
        f"{step.done} done in the same time ({share_text(step.achieved)}), "
        f"{rate_text(step.everything.count / step.seconds)} calls of the API",
        "",
        f"{'call':<14}{'count':>9}{'errors':>8}{'turned':>8}"
        + "".join(f"{percentile_text(each):>10}" for each in _COLUMNS)
        + f"{'max':>10}",
    ]
    lines += [_row(name, tally) for name, tally in step.calls.items()]
    lines.append(_row("all of the API", step.everything))
    lines += [
        f"  {each.count:>7}  {each.call}: {each.name}{' (turned away)' if each.turned_away else ''}"
        for each in step.failures
    ]
    return [*lines, ""]


def _row(name: str, tally: Tally) -> str:
    figures = tally.latencies
    cells = [*(figures.at(each) for each in _COLUMNS), figures.most]
    shown = [time_text(each) if figures.count else "-" for each in cells]
    return f"{name:<14}{tally.count:>9}{tally.errors:>8}{tally.turned_away:>8}" + "".join(
        f"{each:>10}" for each in shown
    )
