"""What is learnt of one request on its way: who asks, what the stores took, why it was refused.

Filled in by whoever knows, read once by whoever observes the answer. It decides nothing.
"""

from __future__ import annotations

from contextvars import ContextVar

from service.auth.callers import Caller


class Spent:
    """What one store took of one request: how many calls, and their time added up in seconds."""

    __slots__ = ("calls", "seconds")

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0


class Trail:
    """One request's. `caller` is None until known, `error` unless refused; `stores` by name."""

    __slots__ = ("caller", "error", "stores")

    def __init__(self) -> None:
        self.caller: Caller | None = None
        self.error: Exception | None = None
        self.stores: dict[str, Spent] = {}


current: ContextVar[Trail | None] = ContextVar("trail", default=None)
"""Of the request that this context runs for; None for what is done beside requests."""


def note_call(
    store: str, _operation: str, seconds: float, _attempts: int, _code: str | None
) -> None:
    """Add a call of a store to the request that it was made for (a `storage.calls.OnCall`).

    Calls that were under way at the same time count each with its whole time.
    """
    if (trail := current.get()) is not None:
        spent = trail.stores.get(store)
        if spent is None:
            spent = trail.stores[store] = Spent()
        spent.calls += 1
        spent.seconds += seconds
