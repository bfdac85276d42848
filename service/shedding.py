"""When to turn requests away, so that those which are taken on are still answered fast.

However many clients wait for their answers before they ask again, the backlog never outgrows their
number, and nobody is turned away. It grows without end where requests arrive faster than they are
answered: then everybody waits, times out and asks again. That is told by a backlog that is both
long and slow. From then on no more requests are under way at once than are answered within about
twice the time that they take in calm (the limit follows the answers: a little up for a fast one,
more down for a slow one), until for a second nobody had to be turned away.

Knows requests by their endpoint's name and the time they take, and nothing of HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar

from service.telemetry import Answered

arrival: ContextVar[float | None] = ContextVar("arrival", default=None)
"""When the request of this context was there, by the gate's clock: before it waited its turn."""

# Fewer under way than this are no backlog, however slow the stores are.
_BACKLOG = 64
# As many are taken on whatever the answers say: one at a time would starve slow stores of work.
_FLOOR = 4
_CALM_FACTOR, _SLACK_SECONDS = 2.0, 0.001
_UP, _DOWN = 1.01, 0.95
_LEARNING = 0.1
_PROOF = 20
_QUIET_SECONDS = 1.0
# What had waited longer than this when the overload was noticed is let go of.
_STALE_SECONDS = 0.02

_log = logging.getLogger(__name__)


class Gate:
    """Counts what is under way in one process, and decides what is taken on.

    An observer of answers, from which it learns how long they take.
    """

    def __init__(self, delay: float, clock: Callable[[], float]) -> None:
        """`delay` in seconds: how much longer than in calm answers take when there is overload."""
        self.under_way = 0
        self._delay = delay
        self._clock = clock
        self._overloaded_since: float | None = None
        self._limit = float(_FLOOR)
        self._last_shed = 0.0
        self._shed = 0
        self._hopeless = 0
        self._calm: dict[str, float] = {}
        self._counters: list[Callable[[str], None]] = []

    @property
    def overloaded(self) -> bool:
        """Whether requests are being turned away."""
        return self._overloaded_since is not None

    @property
    def limit(self) -> float:
        """How many may be under way at once while there is overload."""
        return self._limit

    def count_with(self, counter: Callable[[str], None]) -> None:
        """Call this with the reason whenever a request is turned away."""
        self._counters.append(counter)

    def has_room(self) -> bool:
        """Whether one request more can be taken on now."""
        if self._overloaded_since is None:
            return True
        now = self._clock()
        if now - self._last_shed > _QUIET_SECONDS:
            self._end(now)
            return True
        return self.under_way < self._limit

    def is_stale(self, arrived: float) -> bool:
        """Whether a request waited for its turn so long that its answer would be late anyway."""
        return self._overloaded_since is not None and self._clock() - arrived > _STALE_SECONDS

    def turned_away(self, reason: str) -> None:
        """Take note of a request that is turned away."""
        if reason == "overloaded":
            self._last_shed = self._clock()
            self._shed += 1
        for count in self._counters:
            count(reason)

    def answered(self, request: Answered) -> None:
        """See `telemetry.Observer`."""
        arrived = arrival.get()
        if arrived is None or (request.status >= 400 and request.status != 404):
            return  # a refusal is fast and says nothing of how long answers take
        now = self._clock()
        seconds = now - arrived
        calm = self._calm.get(request.route, 0.0)
        if self._overloaded_since is not None:
            if arrived >= self._overloaded_since:  # else it is of the backlog, which tells nothing
                self._follow(request.route, seconds, calm)
        elif self.under_way <= _FLOOR:
            self._learn(request.route, seconds)
        elif self.under_way >= _BACKLOG and seconds > calm + self._delay:
            self._begin(now, seconds, calm)

    def _begin(self, now: float, seconds: float, calm: float) -> None:
        # Little's law: as many as this backlog would have to be for answers to be fast again.
        self._limit = max(_FLOOR, self.under_way * _CALM_FACTOR * calm / seconds)
        self._overloaded_since = self._last_shed = now
        self._shed = 0
        _log.warning(
            "overloaded: %d requests under way, answers take %.0f ms instead of %.0f; "
            "requests are turned away",
            *(self.under_way, seconds * 1000, calm * 1000),
        )

    def _end(self, now: float) -> None:
        _log.warning(
            "no longer overloaded: %d requests turned away in %.1f s",
            *(self._shed, self._last_shed - (self._overloaded_since or now)),
        )
        self._overloaded_since = None

    def _learn(self, route: str, seconds: float) -> None:
        calm = self._calm.get(route, seconds)
        self._calm[route] = calm + (seconds - calm) * _LEARNING

    def _follow(self, route: str, seconds: float, calm: float) -> None:
        if not calm:  # the first of its kind came with the flood
            self._calm[route] = calm = seconds
        if seconds <= calm * _CALM_FACTOR + _SLACK_SECONDS:
            self._limit *= _UP
            self._hopeless = 0
            return
        if self._limit <= _FLOOR and seconds > calm * _CALM_FACTOR * _FLOOR:
            # So few at once cannot be what takes so long: it is the stores that became slower.
            self._hopeless += 1
            if self._hopeless >= _PROOF:
                self._calm[route] = seconds
                self._hopeless = 0
        self._limit = max(float(_FLOOR), self._limit * _DOWN)
