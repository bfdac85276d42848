"""Whether all that requests need answers, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from service.ports import Check
from service.together import together

# Whoever asks may be anybody, and is not counted: without this, each could make the stores answer
# to two calls or more.
_GOOD_FOR_SECONDS = 1.0


class Readiness:
    """Checks, made once for all who ask meanwhile, and not again within a second."""

    def __init__(self, checks: Sequence[Check], clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._checks = checks
        self._clock = clock
        self._made: asyncio.Task[list[None]] | None = None
        self._until = 0.0

    async def check(self) -> None:
        """Return when everything answers. Raises StoreUnavailable."""
        made = self._made
        if (
            made is None
            or (made.done() and self._clock() >= self._until)
            or made.get_loop() is not asyncio.get_running_loop()
        ):
            made = self._made = asyncio.create_task(together(check() for check in self._checks))
            made.add_done_callback(self._note_end)
        # Whoever goes away takes nothing from the others who wait.
        await asyncio.shield(made)

    def _note_end(self, _made: asyncio.Task[list[None]]) -> None:
        self._until = self._clock() + _GOOD_FOR_SECONDS
