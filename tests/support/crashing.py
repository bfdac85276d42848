"""A process that dies at one of its store calls, counted as they come: none is listed by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any


class Crash(Exception):
    """Stands for the end of the process."""


class Fate:
    """Says when one process dies: before or after so many store calls, over all its stores."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._at, self._after = at, after
        self._calls = 0
        self.died = False

    def on(self, store: object) -> Any:
        """This store, as that process reaches it."""
        return _Doomed(store, self)

    async def meet(self, call: Callable[[], Awaitable[object]]) -> object:
        if self.died:
            raise Crash  # tasks of a dead process do nothing more
        fatal = self._calls == self._at
        self._calls += 1
        if fatal and not self._after:
            self.died = True
            raise Crash
        result = await call()
        if fatal:
            self.died = True
            raise Crash
        return result

    def __repr__(self) -> str:
        return f"dies {'after' if self._after else 'before'} call {self._at}"


class _Doomed:
    def __init__(self, store: object, fate: Fate) -> None:
        self._store, self._fate = store, fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*positional: object, **named: object) -> object:
            return await self._fate.meet(lambda: method(*positional, **named))

        return call


async def every_fate(*, at_least: int) -> AsyncIterator[Fate]:
    """A process for each store call there is and each side of it; the last one lives on.

    `at_least` so many calls it has to have made, or the fates have not reached them.
    """
    for after in (False, True):
        for at in count():
            fate = Fate(at, after=after)
            yield fate
            if not fate.died:
                assert at >= at_least, f"only {at} store calls were made"
                break
