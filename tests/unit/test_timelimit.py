"""One timer ends what takes too long, each in its own time, and leaves the rest alone."""

from __future__ import annotations

import asyncio

import pytest

from service.timelimit import TimeLimit


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def ended_by(limit: TimeLimit, spent: float = 0.0) -> BaseException | None:
    """What ends a task that would never end by itself."""
    try:
        with limit.hold(spent):
            await for_ever()
    except (TimeoutError, asyncio.CancelledError) as error:
        return error
    return None


async def test_what_takes_too_long_times_out_and_its_task_goes_on() -> None:
    assert isinstance(await ended_by(TimeLimit(0.001)), TimeoutError)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # nothing is left to be cancelled


async def test_many_under_one_limit_all_time_out_and_so_do_those_that_begin_later() -> None:
    limit = TimeLimit(0.001)
    for _ in range(2):
        ends = await asyncio.gather(*(ended_by(limit) for _ in range(20)))
        assert {type(end) for end in ends} == {TimeoutError}


async def test_whoever_has_spent_more_is_ended_first() -> None:
    limit = TimeLimit(900)
    slow = asyncio.create_task(ended_by(limit))
    await asyncio.sleep(0)
    assert isinstance(await ended_by(limit, spent=900), TimeoutError)
    assert isinstance(await ended_by(limit, spent=901), TimeoutError)
    assert not slow.done()
    slow.cancel()
    assert isinstance(await slow, asyncio.CancelledError)


async def test_what_ends_in_time_is_left_alone() -> None:
    limit = TimeLimit(0.002)
    with limit.hold():
        await asyncio.sleep(0)
    # The timer still goes off, for this one, and ends no one else.
    assert isinstance(await ended_by(limit), TimeoutError)


async def test_errors_pass_as_they_are() -> None:
    with pytest.raises(KeyError), TimeLimit(900).hold():
        raise KeyError


async def test_cancelled_by_others_it_is_cancelled() -> None:
    task = asyncio.create_task(ended_by(TimeLimit(900)))
    await asyncio.sleep(0)
    task.cancel()
    assert isinstance(await task, asyncio.CancelledError)


async def test_cancelled_by_others_at_the_same_time_it_is_cancelled() -> None:
    limit = TimeLimit(900)

    async def ended_twice() -> BaseException | None:
        try:
            with limit.hold():
                for each in limit._held:
                    each.expire()
                asyncio.current_task().cancel()  # type: ignore[union-attr]
                await for_ever()
        except (TimeoutError, asyncio.CancelledError) as error:
            return error
        return None

    assert isinstance(await asyncio.create_task(ended_twice()), asyncio.CancelledError)


def test_one_limit_serves_one_loop_after_another() -> None:
    limit = TimeLimit(0.001)
    for _ in range(2):
        assert isinstance(asyncio.run(ended_by(limit)), TimeoutError)


def test_a_loop_that_ended_with_a_timer_set_does_not_hold_up_the_next() -> None:
    limit = TimeLimit(0.001)

    async def in_time() -> None:
        with limit.hold():
            await asyncio.sleep(0)

    asyncio.run(in_time())
    assert isinstance(asyncio.run(ended_by(limit)), TimeoutError)
