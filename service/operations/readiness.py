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
    """Checks, made by one for all who ask meanwhile, and not again within a second."""

    def __init__(self, checks: Sequence[Check], clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._checks = checks
        self._clock = clock
        # Whoever goes away while it asks leaves it to the next in line.
        self._asking = asyncio.Lock()
        self._failure: StoreUnavailable | None = None
        self._until = float("-inf")

    async def check(self) -> None:
        """Return when everything answers. Raises StoreUnavailable."""
        async with self._asking:
            if self._clock() >= self._until:
                self._failure = await self._found()
                self._until = self._clock() + _GOOD_FOR_SECONDS
            failure = self._failure
        if failure is not None:
            # Raised again and again, one error would hold on to all who were told.
            raise StoreUnavailable(failure.store, failure.cause)

    async def _found(self) -> StoreUnavailable | None:
        try:
            await together(check() for check in self._checks)
        except StoreUnavailable as failure:
            return failure
        return None
