"""A bucket lets through its burst and its rate, and tells when to come back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ratelimit import Allowance, CallerBuckets, Policy, TokenBucket, limit_headers
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
    assert bucket.take().policy.header == policy
    assert math.ceil(burst / rate) == int(policy.rpartition("=")[2])


def test_the_header_rounds_waiting_up() -> None:
    assert Allowance(Policy("burst", 9, 3), True, 7, 0.0, 2.1).header == '"burst";r=7;t=3'


@given(st.integers(1, 64), RATES, BURSTS)
def test_processes_together_let_no_more_through_than_one_alone(
    workers: int, rate: float, burst: int
) -> None:
    clock = FakeClock()
    buckets = [TokenBucket(rate, burst, clock, share=1 / workers) for _ in range(workers)]
    bursts = [sum(bucket.take().allowed for _ in range(burst + 1)) for bucket in buckets]
    # A process whose part is less than one request gets one, or it would serve nobody.
    assert sum(bursts) <= max(burst, workers)
    assert min(bursts) >= 1
    clock.seconds += 1 / (rate / workers) + 1e-6
    assert all(bucket.take().allowed for bucket in buckets)
    assert not any(bucket.take().allowed for bucket in buckets)


def test_what_is_given_back_can_be_taken_again_and_never_exceeds_the_burst() -> None:
    bucket = TokenBucket(1, 2, FakeClock())
    assert [bucket.take().allowed for _ in range(3)] == [True, True, False]
    bucket.give_back()
    assert [bucket.take().allowed for _ in range(2)] == [True, False]
    for _ in range(5):
        bucket.give_back()
    assert [bucket.take().allowed for _ in range(3)] == [True, True, False]


def test_each_caller_has_a_bucket_of_its_own() -> None:
    buckets = CallerBuckets(lambda: TokenBucket(1, 1, FakeClock()))
    assert [buckets.of(name).take().allowed for name in "aabb"] == [True, False, True, False]


def test_of_more_callers_than_are_remembered_the_one_not_seen_for_longest_is_forgotten() -> None:
    buckets = CallerBuckets(lambda: TokenBucket(1, 1, FakeClock()), most=2)
    for name in ("a", "b", "a", "c"):
        buckets.of(name).take()
    assert len(buckets) == 2
    assert not buckets.of("a").take().allowed
    assert buckets.of("b").take().allowed


def test_no_limit_says_nothing_and_several_stand_side_by_side() -> None:
    assert limit_headers([]) == {}
    several = [
        Allowance(Policy("burst", 500, 1), True, 7, 0.0, 0.2),
        Allowance(Policy("daily", 9, 86_400), False, 0, 60.0, 60.0),
    ]
    assert limit_headers(several) == {
        "RateLimit-Policy": '"burst";q=500;w=1, "daily";q=9;w=86400',
        "RateLimit": '"burst";r=7;t=1, "daily";r=0;t=60',
    }
