"""Work done at once: results in order, failures bare, nothing left running."""

import asyncio
import contextlib

import pytest

from service.errors import ImageMissing
from service.together import together


async def give(value: int, rounds: int = 0) -> int:
    for _ in range(rounds):
        await asyncio.sleep(0)
    return value


async def fail(error: BaseException, rounds: int = 0) -> int:
    await give(0, rounds)
    raise error


async def test_results_come_in_order_whatever_finishes_first() -> None:
    assert await together(give(number, 9 - number) for number in range(9)) == list(range(9))
    assert await together([]) == []


async def test_work_is_done_at_once() -> None:
    meeting = asyncio.Barrier(3)
    async with asyncio.timeout(5):
        assert sorted(await together(meeting.wait() for _ in range(3))) == [0, 1, 2]


async def test_the_first_failure_is_raised_as_itself_and_ends_the_rest() -> None:
    ended = asyncio.Event()

    async def endless() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    with pytest.raises(ImageMissing):
        await together([endless(), fail(ImageMissing(), 2)])
    assert ended.is_set()
    with pytest.raises(ImageMissing):
        await together([together([give(1), fail(ImageMissing())]), endless()])  # type: ignore[list-item]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_cancelling_the_whole_cancels_every_part() -> None:
    parts = [asyncio.Event() for _ in range(3)]

    async def part(cancelled: asyncio.Event) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    whole = asyncio.create_task(together(part(each) for each in parts))
    await give(0, 3)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert all(each.is_set() for each in parts)
