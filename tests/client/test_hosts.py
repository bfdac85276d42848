"""What many calls of one host do while nobody answers there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from yarl import URL

from service.client import ConnectionFailed, MontClient, MontError, ServiceFailed, Upload
from service.client.errors import ProblemDocument
from service.client.hosts import Host, Hosts
from tests.client.proxy import Proxy, answer
from tests.client.waits import no_waiting
from tests.support.api import new_user
from tests.support.real_images import real_image


def unwell() -> ServiceFailed:
    return ServiceFailed(ProblemDocument("about:blank", "Not now", 503, ""))


class Place:
    """Something that can be called, and how often it was, and by how many at once."""

    def __init__(self, *failures: MontError) -> None:
        self.failures = [*failures]
        self.calls = self.most = 0
        self._now = 0

    async def __call__(self) -> str:
        self.calls += 1
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        if self.failures:
            raise self.failures.pop()
        return "done"


async def eight_times(call: Callable[[], Awaitable[str]]) -> list[str | BaseException]:
    return await asyncio.gather(*(call() for _ in range(8)), return_exceptions=True)


async def test_one_attempt_at_a_time_finds_out_whether_it_is_back() -> None:
    waits: list[float] = []
    host, place = Host(no_waiting(waits)), Place(*[ConnectionFailed("gone") for _ in range(13)])
    assert await eight_times(lambda: host.run(place)) == ["done"] * 8
    assert place.calls == 13 + 8
    # Eight that failed together are one failure, and the five after them came one by one.
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    place.most = 0
    assert await eight_times(lambda: host.run(place)) == ["done"] * 8
    assert place.most == 8, "all at once again"


async def test_while_it_is_away_nobody_else_knocks() -> None:
    host, place = Host(no_waiting()), Place(*[ConnectionFailed("gone") for _ in range(6)])
    first = asyncio.create_task(host.run(place))
    while place.calls < 2:
        await asyncio.sleep(0)
    place.most = 0
    assert await eight_times(lambda: host.run(place)) == ["done"] * 8
    assert await first == "done"
    assert place.calls == 6 + 9


async def test_nobody_waits_for_the_end_of_a_transfer_that_is_on_its_way() -> None:
    host, place, end = Host(no_waiting()), Place(ConnectionFailed("gone")), asyncio.Event()

    async def transfer() -> str:
        await place()
        host.reached()
        await end.wait()
        return "sent"

    sending = asyncio.create_task(host.run(transfer, transfer=True))
    while place.failures:
        await asyncio.sleep(0)
    assert await eight_times(lambda: host.run(place)) == ["done"] * 8
    assert not sending.done()
    end.set()
    assert await sending == "sent"


async def test_whoever_probes_may_be_stopped() -> None:
    host, place = Host(no_waiting()), Place(*[ConnectionFailed("gone") for _ in range(5)])
    first, second = (asyncio.create_task(host.run(place)) for _ in range(2))
    while place.calls < 3:
        await asyncio.sleep(0)
    first.cancel()
    assert await second == "done"
    assert await asyncio.gather(first, return_exceptions=True) != ["done"]


async def test_all_give_up_together_and_the_next_ones_at_once() -> None:
    waits: list[float] = []
    retries = no_waiting(waits, give_up_after=20.0)
    host, place = Host(retries), Place(*[ConnectionFailed("gone") for _ in range(999)])
    for _ in range(5):
        outcomes = await eight_times(lambda: host.run(place))
        assert {str(each) for each in outcomes} == {"gone"}
    assert sum(waits) == 20.0, "not once for each of forty calls"
    place.failures.clear()
    assert await host.run(place) == "done"
    place.failures.append(ConnectionFailed("gone again"))
    assert await host.run(place) == "done", "and there is time again"


async def test_a_host_that_is_unwell_answers_everybody() -> None:
    waits: list[float] = []
    host = Host(no_waiting(waits, give_up_after=20.0))
    place = Place(*[unwell() for _ in range(12)])
    assert await eight_times(lambda: host.run(place)) == ["done"] * 8
    assert place.most > 1
    place.failures += [unwell() for _ in range(999)]
    outcomes = [await eight_times(lambda: host.run(place)) for _ in range(3)]
    assert {type(each) for some in outcomes for each in some} == {ServiceFailed}
    assert place.calls < 150


async def test_a_transfer_may_take_its_time() -> None:
    now = 0.0

    async def slow() -> str:
        nonlocal now
        now += 100.0
        if now == 100.0:
            raise ConnectionFailed("cut")
        return "done"

    host = Host(no_waiting(clock=lambda: now))
    assert await host.run(slow, transfer=True) == "done"
    now = 0.0
    with pytest.raises(ConnectionFailed):
        await host.run(slow)


def test_a_host_is_an_address_without_its_path() -> None:
    hosts = Hosts(no_waiting())
    assert hosts.of(URL("http://a/b")) is hosts.of(URL("http://a/c?d"))
    assert hosts.of(URL("http://a/b")) is not hosts.of(URL("http://a:81/b"))


async def test_what_is_waited_for_is_told() -> None:
    told: list[tuple[str, float]] = []
    host = Host(no_waiting(waiting=lambda error, seconds: told.append((str(error), seconds))))
    assert await host.run(Place(ConnectionFailed("gone"), ConnectionFailed("away"))) == "done"
    assert told == [("away", 0.25), ("gone", 0.75)]


async def test_many_uploads_are_told_of_a_service_that_is_gone_in_the_time_of_one() -> None:
    waits: list[float] = []
    items = [Upload(real_image().body, filename=f"{number}.jpg") for number in range(40)]
    async with MontClient("http://127.0.0.1:1", retries=no_waiting(waits)) as mont:
        outcomes = [each async for each in mont.upload_many(items, jobs=8)]
    assert {type(each.error) for each in outcomes} == {ConnectionFailed}
    assert len({id(each.item) for each in outcomes}) == 40
    assert sum(waits) <= 2 * 30


async def test_many_uploads_go_on_after_a_restart(proxy: Proxy) -> None:
    async def refuse(passing: object) -> object:
        passing.request.transport.abort()
        return await answer(502)(passing)

    waits: list[float] = []
    items = [Upload(real_image().body, filename=f"{number}.jpg") for number in range(12)]
    proxy.fail("POST /images/upload-url", *[refuse] * 9)
    async with MontClient(proxy.url, user_id=new_user(), retries=no_waiting(waits)) as mont:
        outcomes = [each async for each in mont.upload_many(items, jobs=4)]
        assert [each.error for each in outcomes] == [None] * 12
        assert len([image async for image in mont.images()]) == 12
    assert sum(waits) > 5, "longer than five attempts ever lasted"
