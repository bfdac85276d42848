"""Whether all that requests need answers, however many ask."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import StoreUnavailable
from service.operations.readiness import Readiness
from tests.support.makers import FakeClock


class Store:
    """Counts how often it is asked; answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False
        self.let = asyncio.Event()
        self.let.set()

    async def check(self) -> None:
        self.asked += 1
        await self.let.wait()
        if self.down:
            raise StoreUnavailable("DynamoDB", "down")


async def test_it_takes_all_checks() -> None:
    up, down = Store(), Store()
    down.down = True
    await Readiness([up.check], FakeClock()).check()
    with pytest.raises(StoreUnavailable):
        await Readiness([up.check, down.check], FakeClock()).check()


async def test_all_who_ask_meanwhile_share_one_answer() -> None:
    store = Store()
    store.let.clear()
    ready = Readiness([store.check], FakeClock())
    asking = [asyncio.create_task(ready.check()) for _ in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    store.let.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [None] * 99
    assert store.asked == 2  # by the one that went away, and for all the others


@pytest.mark.parametrize("down", [False, True])
async def test_an_answer_is_good_for_a_second(down: bool) -> None:
    store, clock = Store(), FakeClock()
    ready = Readiness([store.check], clock)

    async def outcome() -> str:
        try:
            await ready.check()
        except StoreUnavailable:
            return "down"
        return "up"

    store.down = down
    first = await outcome()
    store.down = not down
    clock.seconds += 0.9
    assert await outcome() == first
    assert store.asked == 1
    clock.seconds += 0.1
    assert await outcome() != first
    assert store.asked == 2
