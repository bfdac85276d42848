"""Runs a few calls at once in every order that their store calls can come in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from random import Random
from typing import Any

# How often the loop goes round for everything runnable to have run. Too few fails loudly: a
# schedule would end with calls under way.
_ROUNDS = 8

_who: ContextVar[str] = ContextVar("who")

Outcome = object
Check = Callable[[Mapping[str, Outcome], list[str]], Awaitable[None]]
Scene = Callable[["Turns"], Awaitable[tuple[dict[str, Coroutine[Any, Any, object]], Check]]]


class Turns:
    """Holds every store call until it is given its turn."""

    def __init__(self, *, one_by_one: bool) -> None:
        """`one_by_one`: whether two calls that one caller makes at once have a turn each."""
        self._one_by_one = one_by_one
        self._waiting: list[tuple[str, str, asyncio.Future[None]]] = []

    async def wait(self, what: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((_who.get(), what, turn))
        await turn

    def choices(self) -> list[str]:
        names = [f"{who}:{what}" if self._one_by_one else who for who, what, _ in self._waiting]
        return sorted(set(names))

    def give(self, choice: str) -> None:
        who, _, what = choice.partition(":")
        given = [each for each in self._waiting if each[0] == who and what in ("", each[1])]
        self._waiting = [each for each in self._waiting if each not in given]
        for _, _, turn in given:
            turn.set_result(None)


class Paused:
    """A store whose every call waits for its turn, and then happens at once."""

    def __init__(self, store: object, turns: Turns) -> None:
        self._store = store
        self._turns = turns

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        method = getattr(self._store, name)

        async def call(*positional: object, **named: object) -> object:
            await self._turns.wait(name)
            return await method(*positional, **named)

        return call


async def every_order(scene: Scene, *, one_by_one: bool = True) -> int:
    """Plays a scene in every order there is, checks each end, and returns how many there were.

    A scene sets up a world and returns the calls by name, and what must hold at the end, given
    each call's result (or the exception that it raised) and the order played.
    """
    played = 0
    wanted: list[int] = []
    taken: list[tuple[int, int]] = []

    def choose(choices: int) -> int:
        number = wanted[len(taken)] if len(taken) < len(wanted) else 0
        taken.append((number, choices))
        return number

    while True:
        taken.clear()
        await _play(scene, choose, one_by_one)
        played += 1
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return played
        wanted[:] = [number for number, _ in taken]
        wanted[-1] += 1


async def many_orders(scene: Scene, number: int, *, one_by_one: bool = True) -> None:
    """Plays a scene in so many orders out of more than can all be played, always the same ones."""
    for seed in range(number):
        await _play(scene, Random(seed).randrange, one_by_one)


async def _play(scene: Scene, choose: Callable[[int], int], one_by_one: bool) -> None:
    turns = Turns(one_by_one=one_by_one)
    calls, check = await scene(turns)
    tasks = {name: _started(name, call) for name, call in calls.items()}
    order: list[str] = []
    while True:
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        choices = turns.choices()
        if not choices:
            break
        order.append(choices[choose(len(choices))])
        turns.give(order[-1])
    assert all(task.done() for task in tasks.values()), f"calls are stuck after {order}"
    await check({name: _outcome(task) for name, task in tasks.items()}, order)


def _started(name: str, call: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    async def run() -> object:
        _who.set(name)
        return await call

    return asyncio.create_task(run())


def _outcome(task: asyncio.Task[object]) -> Outcome:
    return task.exception() or task.result()
