"""The outbox in memory, for tests: the same contract as the table's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from service.model import Backlog, Delivery, Event, EventState


class MemoryOutbox:
    """`ports.Outbox` in a dictionary."""

    def __init__(self) -> None:
        self._deliveries: dict[str, Delivery] = {}

    def add(self, event: Event) -> None:
        """Keep a new event, due at once. The table does it in the records' own transaction."""
        self._deliveries[event.event_id] = Delivery(event, due_at=event.occurred_at)

    async def due(self, now: str, limit: int) -> list[tuple[str, str]]:
        """See `ports.Outbox`."""
        waiting = sorted(
            (each.due_at, event_id)
            for event_id, each in self._deliveries.items()
            if each.due_at is not None and each.due_at <= now
        )
        return [(event_id, due_at) for due_at, event_id in waiting[:limit]]

    async def claim(self, event_id: str, due_at: str, until: str) -> Delivery | None:
        """See `ports.Outbox`."""
        found = self._held(event_id, due_at)
        if found is None:
            return None
        claimed = replace(found, due_at=until, attempts=found.attempts + 1)
        self._deliveries[event_id] = claimed
        return claimed

    async def delivered(self, event_id: str, lease: str, at: str) -> None:
        """See `ports.Outbox`."""
        found = self._held(event_id, lease)
        if found is not None:
            self._deliveries[event_id] = replace(
                found, due_at=None, state="delivered", last_error=None
            )

    async def failed(self, event_id: str, lease: str, due_at: str | None, reason: str) -> None:
        """See `ports.Outbox`."""
        found = self._held(event_id, lease)
        if found is not None:
            state: EventState = "dead" if due_at is None else "waiting"
            self._deliveries[event_id] = replace(
                found, due_at=due_at, state=state, last_error=reason
            )

    async def backlog(self) -> Backlog:
        """See `ports.Outbox`."""
        due = [each.due_at for each in self._deliveries.values() if each.due_at is not None]
        return Backlog(len(due), min(due, default=None))

    async def find(self, event_id: str) -> Delivery | None:
        """See `ports.Outbox`."""
        return self._deliveries.get(event_id)

    async def list_all(self, state: EventState | None) -> AsyncIterator[Delivery]:
        """See `ports.Outbox`."""
        for each in list(self._deliveries.values()):
            if state in (None, each.state):
                yield each

    async def replay(self, event_id: str, now: str) -> bool:
        """See `ports.Outbox`."""
        found = self._deliveries.get(event_id)
        if found is None:
            return False
        self._deliveries[event_id] = Delivery(found.event, due_at=now)
        return True

    def _held(self, event_id: str, due_at: str) -> Delivery | None:
        found = self._deliveries.get(event_id)
        return found if found is not None and found.due_at == due_at else None
