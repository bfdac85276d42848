"""A bucket lets through its burst and its rate, and tells when to come back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ratelimit import Allowance, TokenBucket, limit_header
from tests.support.makers import FakeClock

RATES = st.floats(0.1, 5_000)
BURSTS = st.integers(1, 100)
GAPS = st.lists(st.floats(0, 20) | st.just(0.0), max_size=100)


@given(RATES, BURSTS, GAPS)
def test_never_more_than_the_burst_and_the_rate(rate: float, burst: int, gaps: list[float]) -> None:
    clock = FakeClock()
    bucket = TokenBucket(rate, burst, clock)
    passed: list[float] = []
    for gap in gaps:
        clock.seconds += gap
        if bucket.take().allowed:
            passed.append(clock.seconds)
    # In any window, not only from the start.
    for first, since in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - since) + 1e-6


@given(RATES, BURSTS, GAPS)
def test_whoever_comes_back_as_told_is_let_through(
    rate: float, burst: int, gaps: list[float]
) -> None:
    clock = FakeClock()
    bucket = TokenBucket(rate, burst, clock)
    for gap in gaps:
        clock.seconds += gap
        allowance = bucket.take()
        assert 0 <= allowance.remaining <= burst - allowance.allowed
        assert 0 <= allowance.reset <= burst / rate + 1e-6
        if not allowance.allowed:
            assert allowance.retry_after > 0
            clock.seconds += allowance.retry_after + 1e-6
            assert bucket.take().allowed


def test_a_burst_passes_at_once_and_then_one_each_time_a_token_drips_in() -> None:
    clock = FakeClock()
    bucket = TokenBucket(10, 3, clock)
    assert [bucket.take().remaining for _ in range(3)] == [2, 1, 0]
    refused = bucket.take()
    assert (refused.allowed, refused.remaining, refused.retry_after) == (False, 0, 0.1)
    clock.seconds += 0.125
    assert bucket.take().allowed
    assert not bucket.take().allowed


def test_an_idle_bucket_fills_up_to_its_burst_and_no_further() -> None:
    clock = FakeClock()
    bucket = TokenBucket(10, 3, clock)
    clock.seconds += 1_000
    assert [bucket.take().allowed for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("rate", "burst", "policy"),
    [(1000, 500, '"burst";q=500;w=1'), (10, 25, '"burst";q=25;w=3'), (1, 60, '"burst";q=60;w=60')],
)
def test_the_policy_names_burst_and_seconds_to_refill(rate: int, burst: int, policy: str) -> None:
    bucket = TokenBucket(rate, burst, FakeClock())
    assert bucket.policy == policy
    assert math.ceil(burst / rate) == int(policy.rpartition("=")[2])


def test_the_header_rounds_waiting_up() -> None:
    assert limit_header(Allowance(True, 7, 0.0, 2.1)) == '"burst";r=7;t=3'
