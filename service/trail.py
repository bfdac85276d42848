"""What is learnt of one request on its way: who asks, what the stores took, why it was refused.

Filled in by whoever knows, read once by whoever observes the answer. It decides nothing.
"""

from __future__ import annotations

from contextvars import ContextVar

from service.auth.callers import Caller

TIMEOUT = "Timeout"
"""The code of a call that was cut short because its request had run out of time."""


class Spent:
    """What one store took of one request: how many calls, and their time added up in seconds.

    `unanswered` is the operation that it was still at when the time ran out.
    """

    __slots__ = ("calls", "seconds", "unanswered")

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0
        self.unanswered: str | None = None


class Trail:
    """One request's. `caller` is None until known, `error` unless refused; `stores` by name."""

    __slots__ = ("caller", "error", "out_of_time", "stores")

    def __init__(self) -> None:
        self.caller: Caller | None = None
        self.error: Exception | None = None
        self.out_of_time = False
        self.stores: dict[str, Spent] = {}

    def expire(self) -> None:
        """Note that its time is up: what is cancelled from now on is cancelled for that."""
        self.out_of_time = True

    @property
    def unanswered(self) -> dict[str, str]:
        """The stores that it waited for when its time ran out, each with the operation."""
        return {
            store: spent.unanswered
            for store, spent in sorted(self.stores.items())
            if spent.unanswered is not None
        }


current: ContextVar[Trail | None] = ContextVar("trail", default=None)
"""Of the request that this context runs for; None for what is done beside requests."""


def note_call(store: str, operation: str, seconds: float, _attempts: int, code: str | None) -> None:
    """Add a call of a store to the request that it was made for (a `storage.calls.OnCall`).

    Calls that were under way at the same time count each with its whole time.
    """
    if (trail := current.get()) is not None:
        spent = trail.stores.get(store)
        if spent is None:
            spent = trail.stores[store] = Spent()
        spent.calls += 1
        spent.seconds += seconds
        if code == TIMEOUT:
            spent.unanswered = operation


def out_of_time() -> bool:
    """Whether the request that this context runs for has used up its time."""
    trail = current.get()
    return trail is not None and trail.out_of_time
