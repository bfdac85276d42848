"""Whether all that requests need answers, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from service.errors import StoreUnavailable
from service.ports import Check
from service.together import together

# Whoever asks may be anybody, and is not counted: without this, each could make the stores answer
# to two calls or more.
_GOOD_FOR_SECONDS = 1.0


class Readiness:
    """Checks, made by one at a time for all who ask meanwhile.

    That all is well holds for a second. That it is not is told to those who have waited for it.
    """

    def __init__(self, checks: Sequence[Check], clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._checks = checks
        self._clock = clock
        # Whoever goes away while it asks leaves it to the next in line.
        self._asking = asyncio.Lock()
        self._began = 0
        self._ended = 0
        self._failure: StoreUnavailable | None = None
        self._well_until = float("-inf")

    async def check(self) -> None:
        """Return when everything answers. Raises StoreUnavailable."""
        began_before = self._began
        async with self._asking:
            answered_meanwhile = self._ended > began_before
            if not answered_meanwhile and self._clock() >= self._well_until:
                await self._ask()
            failure = self._failure
        if failure is not None:
            # Raised again and again, one error would hold on to all who were told.
            raise StoreUnavailable(failure.store, failure.cause)

    async def _ask(self) -> None:
        self._began += 1
        try:
            await together(check() for check in self._checks)
        except StoreUnavailable as failure:
            self._failure = failure
        else:
            self._failure = None
            self._well_until = self._clock() + _GOOD_FOR_SECONDS
        self._ended = self._began
