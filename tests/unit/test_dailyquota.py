"""A key never has one request more than its quota, whatever happens to those who count."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.dailyquota import LARGEST_LEASE, DailyQuota
from service.errors import StoreUnavailable
from service.ports import RequestCounts
from service.ratelimit import Allowance
from service.storage.memory_usage import MemoryRequestCounts
from tests.support.interleaving import Check, Paused, Turns, many_orders
from tests.support.makers import FakeClock

NEVER = 3600.0
"""A patience that no test uses up."""


@dataclass
class Counted:
    """Counts that remember what was added, and fail as they are told to."""

    sums: MemoryRequestCounts = field(default_factory=MemoryRequestCounts)
    added: list[int] = field(default_factory=list)
    fate: str = "fine"

    async def add(self, key_id: str, day: str, number: int) -> int:
        self.added.append(number)
        if self.fate == "failed":
            raise StoreUnavailable("DynamoDB", "it is down")
        total = await self.sums.add(key_id, day, number)
        if self.fate == "lost":
            raise StoreUnavailable("DynamoDB", "the answer was lost")
        return total


class Failures:
    """How many requests passed uncounted."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> None:
        self.number += 1


def a_quota(counts: RequestCounts, clock: FakeClock, **different: Any) -> DailyQuota:
    wanted: dict[str, Any] = {
        "default": 100,
        "now": clock.now,
        "monotonic": clock,
        "on_failure": lambda: None,
        "patience": NEVER,
    }
    return DailyQuota(counts, **{**wanted, **different})


async def passed(quota: DailyQuota, requests: int, key_id: str = "k") -> int:
    """How many of so many requests, one after the other, are counted and pass."""
    answers = [await quota.take(key_id, None) for _ in range(requests)]
    return sum(answer is not None and answer.allowed for answer in answers)


@pytest.mark.parametrize("limit", [1, 49, 50, 51, 100, 130])
async def test_one_process_lets_exactly_the_quota_through_at_a_write_for_fifty(limit: int) -> None:
    counts = Counted()
    quota = a_quota(counts, FakeClock(), default=limit)
    assert await passed(quota, limit + 200) == limit
    assert counts.added == [LARGEST_LEASE] * math.ceil(limit / LARGEST_LEASE)


async def test_whoever_is_refused_is_told_when_the_day_ends() -> None:
    clock = FakeClock()  # at noon
    quota = a_quota(Counted(), clock, default=2)
    answers = [await quota.take("k", None) for _ in range(3)]
    assert [answer.header for answer in answers if answer] == [
        '"daily";r=1;t=43200',
        '"daily";r=0;t=43200',
        '"daily";r=0;t=43200',
    ]
    last = answers[-1]
    assert last is not None
    assert (last.allowed, last.retry_after) == (False, 43_200)
    assert last.policy.header == '"daily";q=2;w=86400'


async def test_a_day_is_one_in_utc_and_the_next_begins_anew() -> None:
    clock, counts = FakeClock(), Counted()
    quota = a_quota(counts, clock, default=3)
    assert await passed(quota, 5) == 3
    clock.seconds += 12 * 3600 - 1
    assert await passed(quota, 1) == 0
    clock.seconds += 1
    assert await passed(quota, 5) == 3
    assert set(counts.sums.sums) == {("k", "2026-02-13"), ("k", "2026-02-14")}


async def test_the_day_is_that_of_utc_wherever_the_clock_is() -> None:
    counts = Counted()
    elsewhere = datetime.fromisoformat("2026-02-13T23:30:00-05:00")
    await a_quota(counts, FakeClock(), now=lambda: elsewhere).take("k", None)
    assert set(counts.sums.sums) == {("k", "2026-02-14")}
    assert elsewhere.astimezone(UTC).day == 14


async def test_a_keys_own_quota_goes_before_the_default() -> None:
    counts = Counted()
    quota = a_quota(counts, FakeClock(), default=1)
    answers = [await quota.take("own", 3) for _ in range(4)]
    assert [answer is not None and answer.allowed for answer in answers] == [True] * 3 + [False]
    off = a_quota(counts, FakeClock(), default=0)
    assert await off.take("k", None) is None
    assert (await off.take("own2", 1)) is not None
    assert ("k", "2026-02-13") not in counts.sums.sums


async def test_keys_do_not_share_their_quotas() -> None:
    quota = a_quota(Counted(), FakeClock(), default=10)
    assert [await passed(quota, 12, key) for key in ("a", "b")] == [10, 10]


async def test_a_process_that_may_not_live_long_takes_small_leases_that_grow() -> None:
    counts = Counted()
    quota = a_quota(counts, FakeClock(), default=1000, first_lease=5)
    await passed(quota, 200)
    assert counts.added == [5, 10, 20, 40, 50, 50, 50]


async def test_a_hundred_and_twenty_at_once_share_three_writes() -> None:
    counts = Counted()
    quota = a_quota(counts, FakeClock(), default=1000)
    answers = await asyncio.gather(*(quota.take("k", None) for _ in range(120)))
    assert all(answer is not None and answer.allowed for answer in answers)
    assert counts.added == [50, 50, 50]


Step = tuple[int, int, str]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 120),
        st.sampled_from(["fine", "fine", "fine", "lost", "failed", "crash"]),
    ),
    max_size=25,
)


@given(st.integers(1, 600), st.sampled_from([1, 5, LARGEST_LEASE]), STEPS)
def test_no_number_of_replicas_crashes_and_lost_answers_exceeds_the_quota(
    limit: int, first_lease: int, steps: list[Step]
) -> None:
    async def play() -> None:
        counts, clock, failures = Counted(), FakeClock(), Failures()

        def replica() -> DailyQuota:
            return a_quota(
                counts, clock, default=limit, first_lease=first_lease, on_failure=failures
            )

        replicas = {number: replica() for number in range(5)}
        started = len(replicas)
        through = requests = broken = 0
        for number, burst, fate in steps:
            clock.seconds += 2  # a store that failed is asked again
            counts.fate = fate
            if fate == "crash":
                replicas[number] = replica()
                started += 1
                continue
            before = len(counts.added)
            through += await passed(replicas[number], burst)
            requests += burst
            broken += 0 if fate == "fine" else len(counts.added) - before
        assert through <= limit
        assert failures.number == 0 or broken > 0
        # Leases that are smaller at first cost a few writes more, once for each replica.
        ramp = math.ceil(math.log2(LARGEST_LEASE / first_lease))
        assert len(counts.added) <= requests / LARGEST_LEASE + started * (1 + ramp) + broken
        if not broken and started == len(replicas) and through < requests:
            # Nothing was lost, so what was refused was refused for a reason.
            assert through > limit - started * LARGEST_LEASE

    asyncio.run(play())


async def test_replicas_never_exceed_the_quota_in_whatever_order_their_writes_come() -> None:
    async def scene(turns: Turns) -> tuple[dict[str, Any], Check]:
        counts = Counted()
        paused: Any = Paused(counts, turns)
        clock = FakeClock()
        replicas = [a_quota(paused, clock, default=120, first_lease=20) for _ in range(3)]

        async def burst(quota: DailyQuota, requests: int) -> int:
            answers = await asyncio.gather(*(quota.take("k", None) for _ in range(requests)))
            return sum(answer is not None and answer.allowed for answer in answers)

        async def check(outcomes: Mapping[str, object], order: list[str]) -> None:
            through = sum(int(str(each)) for each in outcomes.values())
            assert 120 - 2 * LARGEST_LEASE < through <= 120, order
            assert counts.sums.sums["k", "2026-02-13"] == sum(counts.added)

        return {
            f"{name}{number}": burst(quota, 45)
            for number, quota in enumerate(replicas)
            for name in ("a", "b")
        }, check

    await many_orders(scene, 40)


async def test_once_exhausted_a_day_costs_no_further_write() -> None:
    counts = Counted()
    first, second = (a_quota(counts, FakeClock(), default=60) for _ in range(2))
    assert await passed(first, 100) == 60
    assert await passed(second, 100) == 0
    assert counts.added == [50, 50, 50]


async def test_a_store_that_fails_lets_requests_through_and_is_not_asked_at_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counts, clock, failures = Counted(fate="failed"), FakeClock(), Failures()
    quota = a_quota(counts, clock, on_failure=failures)
    assert [await quota.take("k", None) for _ in range(20)] == [None] * 20
    assert (failures.number, len(counts.added)) == (20, 1)
    clock.seconds += 2
    assert await quota.take("k", None) is None
    assert len(counts.added) == 2
    (line,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "requests pass uncounted" in line.getMessage()
    assert "it is down" in line.getMessage()
    clock.seconds += 20
    assert await quota.take("other", None) is None
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 2


async def test_a_store_that_is_well_again_counts_again() -> None:
    counts, clock = Counted(fate="failed"), FakeClock()
    quota = a_quota(counts, clock, default=10)
    assert await passed(quota, 5) == 0
    counts.fate = "fine"
    clock.seconds += 2
    assert await passed(quota, 20) == 10


@dataclass
class Held(Counted):
    """Answers when it is told to."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def add(self, key_id: str, day: str, number: int) -> int:
        await self.go_on.wait()
        return await super().add(key_id, day, number)


async def test_a_slow_store_holds_requests_up_once_and_what_it_grants_late_is_used() -> None:
    counts, failures = Held(), Failures()
    quota = a_quota(counts, FakeClock(), on_failure=failures, patience=0)
    assert await passed(quota, 30) == 0
    assert failures.number == 30
    counts.go_on.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert counts.added == [50], "thirty requests waited for the same lease"
    assert await passed(quota, 50) == 50


async def test_whoever_gives_up_waiting_leaves_the_lease_to_others() -> None:
    counts = Held()
    quota = a_quota(counts, FakeClock())
    first, second = (asyncio.create_task(quota.take("k", None)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    counts.go_on.set()
    answer: Allowance | None = await second
    assert answer is not None
    assert answer.allowed
    assert counts.added == [50]
    assert first.cancelled()


async def test_an_error_that_nobody_foresaw_fails_no_request() -> None:
    class Broken:
        async def add(self, key_id: str, day: str, number: int) -> int:
            raise RuntimeError("a bug")

    assert await a_quota(Broken(), FakeClock()).take("k", None) is None


async def test_closing_ends_what_is_under_way() -> None:
    counts = Held()
    quota = a_quota(counts, FakeClock(), patience=0)
    await quota.take("k", None)
    await quota.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_memory_is_bounded_and_a_key_that_was_forgotten_still_has_its_quota() -> None:
    counts = Counted()
    quota = a_quota(counts, FakeClock(), default=60, most_keys=10)
    assert await passed(quota, 5, "first") == 5
    for number in range(50):
        await quota.take(f"key {number}", None)
    assert len(quota) == 10
    assert await passed(quota, 100, "first") == 10, "the rest of the first lease is wasted"


async def test_another_quota_for_a_key_holds_from_its_next_request() -> None:
    quota = a_quota(Counted(), FakeClock())
    assert [(await quota.take("k", 2)) is not None for _ in range(2)] == [True, True]
    refused = await quota.take("k", 2)
    assert refused is not None
    assert not refused.allowed
    raised = await quota.take("k", 500)
    assert raised is not None
    assert raised.allowed
