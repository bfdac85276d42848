"""Budgets: what a run must keep to, as texts such as `p99<200ms`, and which of them are broken."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from service.load.mix import ACTIONS, Mix
from service.load.results import Result, Step, Tally

_TEXT = re.compile(
    r"(?:(?P<target>[a-z0-9-]+)\.)?(?P<metric>[a-z-]+|p\d{1,2}(?:\.\d{1,4})?)\s*"
    r"(?P<sign><=|<|>=|>)\s*(?P<number>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>us|ms|s|%|/s)?",
    re.ASCII,
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_SHARES = ("errors", "turned-away", "achieved")
_RATES = ("throughput", "knee")
_LATENCIES = ("mean", "max")
_EXAMPLES = "such as p99<200ms, errors<0.1%, upload.p95<1s or throughput>=100/s"


class BudgetInvalid(ValueError):
    """A budget that makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit, in seconds, shares of 1 or a second. `target`: an action, a call, "" for all."""

    text: str
    target: str
    metric: str
    sign: str
    limit: float

    @property
    def percentile(self) -> float | None:
        """The percentile that it is about, if any."""
        return float(self.metric[1:]) if re.fullmatch(r"p[\d.]+", self.metric) else None


@dataclass(frozen=True, slots=True)
class Judged:
    """A budget and what was measured, in words; None: nothing was."""

    budget: Budget
    measured: str | None
    kept: bool


def parse_budget(text: str, mix: Mix, *, sweep: bool) -> Budget:
    """A budget on a run of this mix. Raises BudgetInvalid."""
    found = _TEXT.fullmatch(text.strip().lower())
    if found is None:
        raise BudgetInvalid(f"{text!r} is no budget {_EXAMPLES}")
    target, metric = found["target"] or "", found["metric"]
    known = [*mix.shares, *(call for call in mix.calls if call not in mix.shares)]
    if target and target not in known:
        raise BudgetInvalid(f"{text!r}: {target!r} is not in the mix, which has {', '.join(known)}")
    if target and metric in (*_RATES, "achieved"):
        raise BudgetInvalid(f"{text!r}: {metric} is of the whole run, not of {target}")
    if metric == "knee" and not sweep:
        raise BudgetInvalid(f"{text!r}: only --sweep and --find-knee find a knee")
    limit = float(found["number"]) * _factor(text, metric, found["unit"] or "")
    return Budget(text.strip(), target, metric, found["sign"], limit)


def _factor(text: str, metric: str, unit: str) -> float:
    """What the number is multiplied by, once its unit is one of the metric's."""
    if metric in _SHARES:
        if unit in ("%", ""):
            return 0.01 if unit else 1.0
        raise BudgetInvalid(f"{text!r}: {metric} is a share, such as 0.1%")
    if metric in _RATES:
        if unit in ("/s", ""):
            return 1.0
        raise BudgetInvalid(f"{text!r}: {metric} is a number a second, such as 100/s")
    if metric not in _LATENCIES and not re.fullmatch(r"p\d[\d.]*", metric):
        raise BudgetInvalid(
            f"{text!r}: {metric!r} is none of {', '.join((*_SHARES, *_RATES, *_LATENCIES))}"
            " and no percentile such as p99"
        )
    if unit not in _TIMES:
        raise BudgetInvalid(f"{text!r}: {metric} is a time and needs a unit: us, ms or s")
    return _TIMES[unit]


def judge(budgets: Iterable[Budget], result: Result) -> list[Judged]:
    """Each budget on what was measured: of a sweep, at its knee (without one, the lowest step)."""
    return [_judge(each, result) for each in budgets]


def _judge(budget: Budget, result: Result) -> Judged:
    if budget.metric == "knee":
        return _compare(budget, 0.0 if result.knee is None else result.knee.rate)
    step = result.judged
    if step is None:
        return Judged(budget, None, kept=False)
    if budget.metric == "throughput":
        return _compare(budget, step.throughput)
    if budget.metric == "achieved":
        return _compare(budget, step.achieved) if step.offered else Judged(budget, None, kept=False)
    return _of_tally(budget, _tally(step, budget.target))


def _tally(step: Step, target: str) -> Tally:
    if not target:
        return step.everything
    return step.actions[target] if target in ACTIONS else step.calls[target]


def _of_tally(budget: Budget, tally: Tally) -> Judged:
    share = budget.metric in _SHARES
    if not (tally.count if share else tally.latencies.count):
        return Judged(budget, None, kept=False)
    match budget.metric:
        case "errors":
            measured = tally.errors / tally.count
        case "turned-away":
            measured = tally.turned_away / tally.count
        case "mean":
            measured = tally.latencies.mean
        case "max":
            measured = tally.latencies.most
        case percentile:
            measured = tally.latencies.at(float(percentile[1:]))
    return _compare(budget, measured)


def _compare(budget: Budget, measured: float) -> Judged:
    if budget.metric in _SHARES:
        said = f"{measured * 100:.4g}%"
    elif budget.metric in _RATES:
        said = f"{measured:.4g}/s"
    else:
        said = f"{measured * 1000:.4g}ms"
    return Judged(budget, said, _SIGNS[budget.sign](measured, budget.limit))
