"""What a load test makes of its figures: percentiles, budgets, the knee, warnings about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from service.load.budgets import BudgetInvalid, judge, parse_budget
from service.load.inputs import InputInvalid, parse_seconds, parse_sizes
from service.load.knee import (
    Knee,
    SweepInvalid,
    listed_rates,
    parse_sweep,
    searched_rates,
)
from service.load.mix import DEFAULT_MIX, parse_mix
from service.load.results import Result, Step
from service.load.selfwatch import warnings_of
from tests.support.load_steps import IDLE, a_step, a_tally, figures_of

MIX = parse_mix(DEFAULT_MIX)

# --- Percentiles ----------------------------------------------------------------------------------


def test_percentiles_are_right_to_three_digits() -> None:
    figures = figures_of(*(number / 1000 for number in range(1, 1001)))
    assert figures.count == 1000
    assert figures.mean == pytest.approx(0.5005)
    for percentile, seconds in ((50.0, 0.5), (90.0, 0.9), (99.0, 0.99), (99.9, 0.999)):
        assert figures.at(percentile) == pytest.approx(seconds, rel=0.002)
    assert (figures.least, figures.most) == (0.001, 1.0)
    assert figures.at(99.99) <= figures.most


def test_a_curve_ends_where_there_are_too_few_samples() -> None:
    curve = figures_of(*[0.1] * 1000).curve
    assert max(percentile for percentile, _ in curve) == pytest.approx(99.9)
    assert figures_of().curve == []


def test_latencies_beyond_all_reason_do_not_get_lost() -> None:
    assert figures_of(0.0, 10_000.0).count == 2


# --- Budgets --------------------------------------------------------------------------------------


STEP = a_step(
    done=96,
    everything=a_tally(*[0.01] * 99, 0.5, errors=2, turned_away=10),
    calls={"complete": a_tally(0.3)},
    actions={"upload": a_tally(0.9, 1.1), "delete": a_tally()},
)


@pytest.mark.parametrize(
    ("text", "measured", "kept"),
    [
        ("p50<20ms", "10.01ms", True),
        ("p99.9 < 200ms", "500ms", False),
        ("mean<=0.02s", "14.9ms", True),
        ("max<500000us", "500ms", False),
        ("errors<2%", "1.786%", True),
        ("errors<0.01", "1.786%", False),
        ("turned-away<=8.9%", "8.929%", False),
        ("achieved>=95%", "96%", True),
        ("throughput>=100/s", "96/s", False),
        ("complete.p95<1s", "300ms", True),
        ("upload.max<1s", "1100ms", False),
        ("delete.p95<1s", None, False),
        ("delete.errors<1%", None, False),
    ],
)
def test_a_budget_is_kept_or_broken(text: str, measured: str | None, kept: bool) -> None:
    budget = parse_budget(text, MIX, sweep=False)
    wanted = [budget.percentile] if budget.percentile else []
    assert set(wanted) <= set(STEP.everything.latencies.percentiles) | {95.0}
    (judged,) = judge([budget], Result([STEP]))
    assert (judged.measured, judged.kept) == (measured, kept)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fast", "no budget"),
        ("p99<200", "needs a unit"),
        ("p99<200/s", "needs a unit"),
        ("p99<<1s", "no budget"),
        ("p100<1s", "no budget"),
        ("speed>1s", "none of errors"),
        ("errors<5ms", "is a share"),
        ("throughput>5%", "a number a second"),
        ("uplaod.p95<1s", "not in the mix"),
        ("complete.throughput>5/s", "of the whole run"),
        ("knee>100/s", "--sweep"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(BudgetInvalid, match=said):
        parse_budget(text, MIX, sweep=False)


def test_a_budget_on_what_the_mix_leaves_out_is_refused() -> None:
    with pytest.raises(BudgetInvalid, match="which has list"):
        parse_budget("upload.p95<1s", parse_mix("list=1"), sweep=False)


def test_of_a_sweep_budgets_are_about_the_knee() -> None:
    slow, fast = a_step(10.0, everything=a_tally(1.0)), a_step(20.0, everything=a_tally(0.1))
    budgets = [parse_budget(text, MIX, sweep=True) for text in ("p99<200ms", "knee>=20/s")]
    for knee, kept in ((fast, [True, True]), (slow, [False, False]), (None, [False, False])):
        result = Result([slow, fast], sweep=True, knee=knee)
        assert [each.kept for each in judge(budgets, result)] == kept


def test_nothing_measured_keeps_no_budget() -> None:
    budget = parse_budget("errors<100%", MIX, sweep=False)
    assert [each.kept for each in judge([budget], Result([]))] == [False]


# --- The knee -------------------------------------------------------------------------------------

Service = Callable[[float], tuple[float, float]]


def bending_at(capacity: float) -> Service:
    """A service that does all up to its capacity, and gets slow just below it."""

    def answer(rate: float) -> tuple[float, float]:
        load = min(rate / capacity, 0.999)
        return min(rate, capacity), 0.01 / (1 - load)

    return answer


def step_of(service: Service, rate: float) -> Step:
    done, seconds = service(rate)
    tally = a_tally(*[seconds] * 10)
    return a_step(rate, offered=round(rate * 100), done=round(done * 100), everything=tally)


def test_the_knee_is_the_highest_rate_that_is_kept_up_with() -> None:
    steps = [step_of(bending_at(1000), rate) for rate in (100, 200, 400, 600, 800, 1100, 1500)]
    # 3 times what it takes at 100/s (11 ms): passed between 600/s and 800/s.
    assert Knee().limit_of(steps) == pytest.approx(0.0333, rel=0.01)
    assert (found := Knee().of(steps)) is not None
    assert found.rate == 600
    assert (found := Knee(limit=0.06).of(steps)) is not None
    assert found.rate == 800


def test_what_is_not_done_in_time_is_beyond_the_knee_however_fast_the_rest() -> None:
    steps = [a_step(100), a_step(200, done=95), a_step(300, done=94)]
    assert (found := Knee().of(steps)) is not None
    assert found.rate == 200


def test_a_service_that_does_not_even_keep_up_with_the_lowest_rate_has_no_knee() -> None:
    assert Knee().of([a_step(100, done=50)]) is None
    assert Knee(limit=0.001).of([a_step(100)]) is None
    assert Knee().of([a_step(100, everything=a_tally(errors=5))]) is None


def offered(rates: Callable[[list[Step]], object], service: Service) -> list[float]:
    steps: list[Step] = []
    for rate in rates(steps):  # type: ignore[attr-defined]
        steps += [step_of(service, rate)]
    return [step.rate for step in steps]


def test_a_sweep_ends_after_two_rates_that_are_too_much() -> None:
    rates = offered(
        lambda steps: listed_rates((100, 200, 400, 800, 1600, 3200), steps, Knee()),
        bending_at(300),
    )
    assert rates == [100, 200, 400, 800]


def test_a_search_doubles_up_to_the_knee_and_narrows_it_down() -> None:
    knee = Knee(limit=0.1)
    rates = offered(lambda steps: searched_rates(50, steps, knee), bending_at(1000))
    assert rates[:6] == [50, 100, 200, 400, 800, 1600]
    steps = [step_of(bending_at(1000), rate) for rate in rates]
    assert (found := knee.of(steps)) is not None
    # A latency of 100 ms is where the load is 90 %.
    assert 800 < found.rate <= 900
    assert len(rates) == 9


def test_a_search_that_fails_at_once_ends_at_once() -> None:
    rates = offered(lambda steps: searched_rates(50, steps, Knee(0.001)), bending_at(1000))
    assert rates == [50]


def test_a_sweeps_rates_are_each_the_same_factor_above_the_one_before() -> None:
    assert parse_sweep("100:1600:5") == pytest.approx((100, 200, 400, 800, 1600))


@pytest.mark.parametrize(
    "text", ["", "100", "100:200", "0:10:2", "200:100:3", "1:2:1", "1:2:2.5", "1:nan:3", "a:b:c"]
)
def test_a_sweep_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SweepInvalid):
        parse_sweep(text)


# --- The tester itself ----------------------------------------------------------------------------


def test_a_tester_that_had_time_says_nothing() -> None:
    assert warnings_of(a_step(), clients=10) == []


@pytest.mark.parametrize(
    ("tester", "said"),
    [
        (replace(IDLE, cpu=0.97), "97% of a processor"),
        (replace(IDLE, lag=figures_of(0.2)), "event loop was up to 200.0 ms late"),
        (replace(IDLE, slippage=figures_of(0.05)), "Requests began up to 50.0 ms late"),
        (replace(IDLE, queued=40), "40 of 100 actions found all 10 clients busy"),
    ],
)
def test_a_tester_that_was_the_bottleneck_says_so(tester: object, said: str) -> None:
    (warning,) = warnings_of(replace(a_step(), tester=tester), clients=10)  # type: ignore[arg-type]
    assert said in warning


def test_what_is_small_beside_the_latencies_is_no_distortion() -> None:
    tester = replace(IDLE, slippage=figures_of(0.05))
    assert warnings_of(a_step(everything=a_tally(1.0), tester=tester), clients=10) == []


# --- What people write ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sizes"),
    [("100k", (100_000, 100_000)), ("20k-2M", (20_000, 2_000_000)), ("1500", (1500, 1500))],
)
def test_sizes(text: str, sizes: tuple[int, int]) -> None:
    assert parse_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "10", "2M-20k", "1k-2k-3k", "1G", "-5k", "many"])
def test_sizes_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InputInvalid):
        parse_sizes(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("200ms", 0.2), ("5m", 300), ("1h", 3600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "25h", "1d", "nan"])
def test_durations_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InputInvalid):
        parse_seconds(text)
