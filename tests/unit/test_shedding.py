"""When requests are turned away, told by a clock that the test moves."""

from __future__ import annotations

from contextvars import copy_context

from service.shedding import Gate, arrival
from service.telemetry import Answered
from tests.support.makers import FakeClock

CALM, DELAY = 0.01, 0.2
CROWD = 100


class Scene:
    """A gate, and requests that arrive and are answered."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gate = Gate(DELAY, self.clock)
        self.shed: list[str] = []
        self.gate.count_with(self.shed.append)

    def answer(self, *, after: float, status: int = 200, route: str = "show") -> None:
        """A request that arrived so long ago is answered now."""

        def answered() -> None:
            arrival.set(self.clock() - after)
            self.gate.answered(Answered(route, "GET", "/", status, after))

        copy_context().run(answered)

    def live_calmly(self) -> None:
        self.gate.under_way = 1
        for _ in range(50):
            self.answer(after=CALM)

    def be_flooded(self) -> None:
        self.gate.under_way = CROWD
        self.answer(after=CALM + DELAY + 0.01)

    def arrive(self) -> bool:
        """One more request; whether it is taken on."""
        if self.gate.has_room():
            return True
        self.gate.turned_away("overloaded")
        return False


def test_nobody_is_turned_away_in_calm() -> None:
    scene = Scene()
    scene.live_calmly()
    assert scene.arrive()
    assert not scene.gate.overloaded
    assert not scene.gate.is_stale(scene.clock() - 60)


def test_many_who_wait_for_their_answers_are_no_overload() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.gate.under_way = CROWD
    for _ in range(1000):
        scene.answer(after=CALM + DELAY - 0.01)
        assert scene.arrive()


def test_few_slow_answers_are_no_overload() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.gate.under_way = 5
    scene.answer(after=9)
    assert scene.arrive()


def test_a_backlog_that_is_long_and_slow_is() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.be_flooded()
    assert scene.gate.overloaded
    assert not scene.arrive()
    assert scene.shed == ["overloaded"]


def test_a_flood_is_noticed_by_a_server_that_never_knew_calm() -> None:
    scene = Scene()
    scene.be_flooded()
    assert not scene.arrive()


def test_as_many_are_taken_on_as_are_answered_fast() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.be_flooded()
    few = scene.gate.limit
    for _ in range(200):
        scene.answer(after=0)
    many = scene.gate.limit
    assert many > 2 * few
    scene.clock.seconds += 0.5
    for _ in range(20):
        scene.answer(after=CALM * 4)
    assert scene.gate.limit < many / 2


def test_some_are_always_taken_on() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.be_flooded()
    scene.clock.seconds += 9
    scene.gate.turned_away("overloaded")
    for _ in range(1000):
        scene.answer(after=8)
    scene.gate.under_way = 1
    assert scene.arrive()


def test_stores_that_become_slower_for_good_are_got_used_to() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.be_flooded()
    scene.clock.seconds += 9
    for _ in range(10):
        scene.answer(after=1)
    few = scene.gate.limit
    for _ in range(500):
        scene.answer(after=1)
    scene.gate.turned_away("overloaded")
    assert scene.gate.limit > 2 * few


def test_what_waited_too_long_is_let_go_once_there_is_overload() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.be_flooded()
    assert scene.gate.is_stale(scene.clock() - 0.1)
    assert not scene.gate.is_stale(scene.clock() - 0.001)


def test_refusals_tell_nothing_of_how_long_answers_take() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.be_flooded()
    before = scene.gate.limit
    for _ in range(100):
        scene.answer(after=0, status=400)
        scene.answer(after=0, status=429)
    assert scene.gate.limit == before


def test_it_is_over_when_nobody_was_turned_away_for_a_while() -> None:
    scene = Scene()
    scene.live_calmly()
    scene.be_flooded()
    assert not scene.arrive()
    scene.clock.seconds += 0.9
    assert not scene.arrive()
    scene.clock.seconds += 1.1
    assert scene.arrive()
    assert not scene.gate.overloaded
