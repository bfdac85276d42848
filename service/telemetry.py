"""What operators see: one JSON log line a request, errors with the same id, Prometheus metrics."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

import orjson
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

METRICS_TYPE = CONTENT_TYPE_LATEST

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_access = logging.getLogger("service.access")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


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
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure_logging(level: str) -> None:
    """Send everything from `level` up to standard error, as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # botocore tells of every retry and credential look-up at INFO; those are ours to report.
    logging.getLogger("botocore").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger("aiobotocore").setLevel(max(logging.WARNING, logging.getLevelName(level)))


class Telemetry:
    """Counts and logs requests. One for each service, with a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "mont_requests",
            "Requests answered, by endpoint, method and status.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "mont_request_duration_seconds",
            "Time from the whole request read to the answer made, by endpoint.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def request_done(self, route: str, method: str, path: str, status: int, seconds: float) -> None:
        """Record one request. `route` is the endpoint's name: paths would make metrics endless."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if _access.isEnabledFor(logging.INFO):
            facts = {
                "route": route,
                "method": method,
                "path": path,
                "status": status,
                "duration_ms": round(seconds * 1000, 3),
            }
            _access.info("request", extra={"facts": facts})

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
