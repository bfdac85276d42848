"""How long a client waits, and when it stops trying."""

from __future__ import annotations

import pytest

from service.client import ConnectionFailed, MontError, NothingUploaded, Retries
from service.client.errors import ProblemDocument, Throttled
from tests.client.waits import no_waiting


def throttled(retry_after: float) -> Throttled:
    return Throttled(ProblemDocument("about:blank", "Slow down", 429, "", retry_after=retry_after))


def test_waits_grow_to_a_limit_and_are_drawn_from_their_whole_range() -> None:
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    retries = Retries(first_wait=0.25, longest_wait=2.0, draw=draw)
    waits = [retries.wait_after(ConnectionFailed(), failures, 0.0) for failures in range(1, 8)]
    assert waits == [0.0] * 7
    assert drawn == [(0.0, high) for high in (0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0)]


def test_the_last_attempt_is_the_last() -> None:
    retries = Retries(attempts=3)
    assert retries.wait_after(ConnectionFailed(), 2, 0.0) is not None
    assert retries.wait_after(ConnectionFailed(), 3, 0.0) is None


def test_the_last_attempt_is_when_the_time_is_up() -> None:
    retries = no_waiting(give_up_after=20.0)
    assert retries.wait_after(ConnectionFailed(), 9, 11.0) == 8.0
    assert retries.wait_after(ConnectionFailed(), 9, 19.5) == 0.5
    assert retries.wait_after(ConnectionFailed(), 9, 20.0) is None
    assert retries.wait_after(ConnectionFailed(), 5_000, 0.0) == 8.0


def test_what_cannot_pass_is_not_tried_again() -> None:
    lasting = NothingUploaded(ProblemDocument("about:blank", "", 404, ""))
    assert Retries().wait_after(lasting, 1, 0.0) is None


def test_what_the_service_asks_for_is_waited_and_a_little_more() -> None:
    retries = no_waiting(first_wait=0.5)
    assert retries.wait_after(throttled(3), 1, 0.0) == 3.5
    assert retries.wait_after(throttled(60), 1, 0.0) == 60.5
    assert retries.wait_after(throttled(61), 1, 0.0) is None


async def test_the_first_result_counts() -> None:
    waits: list[float] = []
    outcomes: list[MontError | str] = [ConnectionFailed(), throttled(1), "done"]

    async def attempt() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, MontError):
            raise outcome
        return outcome

    assert await no_waiting(waits, first_wait=1).run(attempt) == "done"
    assert waits == [1.0, 3.0]


async def test_what_is_no_failure_of_the_service_is_not_swallowed() -> None:
    async def attempt() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await no_waiting().run(attempt)
