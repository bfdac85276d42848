"""Prometheus metrics of one process, or of all of several workers."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from service.telemetry import Answered

METRICS_TYPE = CONTENT_TYPE_LATEST

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class PrometheusMetrics:
    """Counts requests by endpoint, method and status, and times them by endpoint."""

    def __init__(self, folder: str | None = None) -> None:
        """`folder` is where all of several workers keep theirs (prometheus_client's own rules)."""
        self._folder = folder
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

        self._limited = Counter(
            "mont_limited",
            "Requests refused by a limit, by its policy.",
            ["policy"],
            registry=self._registry,
        )
        self._tasks = Gauge(
            "mont_tasks",
            "Tasks of the event loop when asked: requests, connections and what they wait for.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._turned_away = Counter(
            "mont_shed",
            "Requests turned away unread, by reason: overloaded, or too many connections.",
            ["reason"],
            registry=self._registry,
        )
        self._limiter_failures = Counter(
            "mont_limiter_failures",
            "Requests that passed uncounted, since the store of daily quotas failed or was slow.",
            registry=self._registry,
        )

        self._webhooks = Counter(
            "mont_webhooks",
            "Attempts to deliver an event: delivered, retried later, or dead after the last one.",
            ["outcome"],
            registry=self._registry,
        )

    def webhook(self, outcome: str) -> None:
        """See `events.delivery.Watch`."""
        self._webhooks.labels(outcome).inc()

    def answered(self, request: Answered) -> None:
        """See `telemetry.Observer`. Never by path: paths would make metrics without end."""
        method = request.method if request.method in _METHODS else "other"
        self._requests.labels(request.route, method, str(request.status)).inc()
        self._seconds.labels(request.route).observe(request.seconds)

    def limited(self, policy: str) -> None:
        """See `telemetry.LimitObserver`."""
        self._limited.labels(policy).inc()

    def limiter_failed(self) -> None:
        """See `telemetry.LimitObserver`."""
        self._limiter_failures.inc()

    def turned_away(self, reason: str) -> None:
        """Count a request or connection that was not taken on."""
        self._turned_away.labels(reason).inc()

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format; those of all workers."""
        with suppress(RuntimeError):  # no loop is running, and so no task
            self._tasks.set(len(asyncio.all_tasks()))
        if self._folder is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(together)
