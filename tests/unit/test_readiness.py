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


@pytest.mark.parametrize("down", [False, True])
async def test_all_who_ask_meanwhile_share_one_answer(down: bool) -> None:
    store = Store()
    store.down = down
    store.let.clear()
    ready = Readiness([store.check], FakeClock())
    first = asyncio.create_task(outcome(ready))
    await asyncio.sleep(0)
    meanwhile = [asyncio.create_task(outcome(ready)) for _ in range(100)]
    await asyncio.sleep(0)
    first.cancel()  # and leaves it to the next
    await asyncio.sleep(0)
    store.let.set()
    assert await asyncio.gather(*meanwhile) == ["down" if down else "up"] * 100
    assert store.asked == 2


async def test_who_was_not_there_when_a_check_began_is_not_told_that_it_failed() -> None:
    store = Store()
    store.down = True
    store.let.clear()
    ready = Readiness([store.check], FakeClock())
    first = asyncio.create_task(outcome(ready))
    await asyncio.sleep(0)
    later = asyncio.create_task(outcome(ready))
    await asyncio.sleep(0)
    store.let.set()
    assert await first == "down"
    store.down = False
    assert await later == "up"


async def test_that_all_is_well_is_good_for_a_second() -> None:
    store, clock = Store(), FakeClock()
    ready = Readiness([store.check], clock)
    assert await outcome(ready) == "up"
    store.down = True
    clock.seconds += 0.9
    assert await outcome(ready) == "up"
    assert store.asked == 1
    clock.seconds += 0.1
    assert await outcome(ready) == "down"
    store.down = False
    assert await outcome(ready) == "up"
    assert store.asked == 3


async def outcome(ready: Readiness) -> str:
    try:
        await ready.check()
    except StoreUnavailable:
        return "down"
    return "up"
