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
from functools import lru_cache, partial
from typing import Protocol

import orjson

from service import problems
from service.loglines import LogLines
from service.trail import Trail
from service.values import value

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""Of the trace that the request of this context is part of, where there are traces."""

# The last two are handed what the first one tells.
_access = logging.getLogger("service.access")
_ours = logging.getLogger("service")
_root = logging.getLogger()


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


class WebhookObserver(Protocol):
    """Whoever wants to know what becomes of webhooks. Must not fail and not block."""

    def webhook(self, outcome: str) -> None:
        """Take note of an attempt: `delivered`, `retried` later, or `dead` after the last one."""
        ...

    def events_waiting(self, number: int, overdue_seconds: float) -> None:
        """Take note of how many wait, and how long the first should have been tried."""
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
        if not _access.isEnabledFor(logging.INFO):
            return
        lines = _only_lines()
        if lines is None:
            _access.handle(self._record(_facts(request)))
        else:
            now, this_id, trace = time.time(), request_id.get(), trace_id.get()
            lines.soon(partial(_access_line, request, now, this_id, trace))

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


def _only_lines() -> LogLines | None:
    """What writes the access log, where nobody else listens: then it needs no records.

    `mont` has it so. Whoever adds a handler or a filter gets a record of each request, as of all
    else.
    """
    handlers = _root.handlers
    if len(handlers) != 1 or _ours.handlers or _access.handlers or _access.filters:
        return None
    lines = handlers[0]
    if not isinstance(lines, LogLines) or lines.filters or lines.level > logging.INFO:
        return None
    return lines


def _access_line(request: Answered, now: float, this_id: str | None, trace: str | None) -> bytes:
    line = _line(now, "INFO", _access.name, "request", this_id, trace)
    line |= _facts(request)
    return _json(line) + b"\n"


def _facts(request: Answered) -> dict[str, object]:
    facts: dict[str, object] = {
        "route": request.route,
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "duration_ms": round(request.seconds * 1e6) / 1000,
    }
    if request.trail is not None:
        facts |= _learnt(request.trail)
    return facts


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
        line = _line(
            record.created,
            record.levelname,
            record.name,
            record.getMessage(),
            request_id.get(),
            trace_id.get(),
        )
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _json(line).decode()


def _line(
    created: float, level: str, logger: str, message: str, this_id: str | None, trace: str | None
) -> dict[str, object]:
    """What every line tells."""
    second, micros = divmod(round(created * 1e6), 1_000_000)
    line: dict[str, object] = {
        "time": f"{_second_text(second)}.{micros // 1000:03}+00:00",
        "level": level,
        "logger": logger,
        "message": message,
    }
    if this_id is not None:
        line["request_id"] = this_id
    if trace is not None:
        line["trace_id"] = trace
    return line


@lru_cache(maxsize=2)
def _second_text(second: int) -> str:
    """Kept, because most lines are of the same second as the one before."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _json(line: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(line, default=str)
    except TypeError:  # text that no UTF-8 can say, such as a path with a lone surrogate
        return json.dumps(line, default=str).encode()


def configure_logging(level: str) -> None:
    """Send everything from `level` up to standard error, as JSON."""
    handler = LogLines(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # botocore tells of every retry and credential look-up at INFO; those are ours to report.
    logging.getLogger("botocore").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger("aiobotocore").setLevel(max(logging.WARNING, logging.getLevelName(level)))
