"""What operators see of a request: one JSON log line, and whatever else its door observes.

Every log line written while a request runs carries that request's id.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Protocol, TextIO

import orjson

from service import problems
from service.trail import Trail
from service.values import value

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""Of the trace that the request of this context is part of, where there are traces."""

_access = logging.getLogger("service.access")


@value(frozen=True, slots=True)
class Answered:
    """One request, answered. `route` is the endpoint's name; `seconds` the time it took.

    `trail` is what was learnt on the way, where it went any way.
    """

    route: str
    method: str
    path: str
    status: int
    seconds: float
    trail: Trail | None = None


class Observer(Protocol):
    """Whoever wants to know of every request."""

    def answered(self, request: Answered) -> None:
        """Take note of one request. Must not fail and not block."""
        ...


class LimitObserver(Protocol):
    """Whoever wants to know what the limits did. Must not fail and not block."""

    def limited(self, policy: str) -> None:
        """Take note of a request that the limit of this name refused."""
        ...

    def limiter_failed(self) -> None:
        """Take note of a request that passed uncounted, since the limiter's store failed."""
        ...


class AccessLog:
    """Logs every request at INFO."""

    def __init__(self) -> None:
        # What a record tells beside time and facts is the same for all: found out for each, its
        # line of code, process and thread would cost as much as all that is done with it.
        self._always = vars(
            logging.LogRecord(_access.name, logging.INFO, __file__, 0, "request", (), None)
        )

    def answered(self, request: Answered) -> None:
        """See `Observer`."""
        if _access.isEnabledFor(logging.INFO):
            facts = {
                "route": request.route,
                "method": request.method,
                "path": request.path,
                "status": request.status,
                "duration_ms": round(request.seconds * 1000, 3),
            }
            if request.trail is not None:
                facts |= _learnt(request.trail)
            _access.handle(self._record(facts))

    def _record(self, facts: dict[str, object]) -> logging.LogRecord:
        record = logging.LogRecord.__new__(logging.LogRecord)
        always, now = self._always, time.time()
        since = 1000 * (now - always["created"])
        record.__dict__.update(
            always,
            created=now,
            msecs=1000 * (now % 1),
            relativeCreated=always["relativeCreated"] + since,
            facts=facts,
        )
        return record


def _learnt(trail: Trail) -> dict[str, object]:
    """The caller's name (never a credential), the problem, what each store took."""
    facts: dict[str, object] = {}
    if (caller := trail.caller) is not None:
        if caller.user_id is not None:
            facts["user_id"] = caller.user_id
        if caller.key_id is not None:
            facts["key_id"] = caller.key_id
    if trail.error is not None:
        facts["problem"] = problems.kind_of(trail.error).slug
    if trail.stores:
        facts["stores"] = {
            store: {"calls": spent.calls, "ms": round(spent.seconds * 1000, 3)}
            for store, spent in trail.stores.items()
        }
    return facts


class JsonFormatter(logging.Formatter):
    """A log record as one line of JSON, with the id of the request that it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        if (trace := trace_id.get()) is not None:
            line["trace_id"] = trace
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # text that no UTF-8 can say, such as a path with a lone surrogate
            return json.dumps(line, default=str)


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines as its base does, which takes a lock once more to flush each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record at once."""
        try:
            self.stream.write(f"{self.format(record)}\n")
            self.stream.flush()
        except Exception:  # whatever it is, no request may fail for it
            self.handleError(record)


def configure_logging(level: str) -> None:
    """Send everything from `level` up to standard error, as JSON."""
    handler = _Lines(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # botocore tells of every retry and credential look-up at INFO; those are ours to report.
    logging.getLogger("botocore").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger("aiobotocore").setLevel(max(logging.WARNING, logging.getLevelName(level)))
