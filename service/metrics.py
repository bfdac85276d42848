"""Prometheus metrics of one process, or of all of several workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from service.outcomes import OUTCOMES, FewCodes, fault_of, upload_outcome
from service.processes import WorkerProcesses
from service.telemetry import Answered

METRICS_TYPE = CONTENT_TYPE_LATEST

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SAMPLING_SECONDS = 1.0

# When each counter began doubles their number, and several workers together do not tell it anyway.
disable_created_metrics()  # type: ignore[no-untyped-call]


class PrometheusMetrics:
    """Counts and times requests by endpoint, and calls of the stores by operation."""

    def __init__(
        self, folder: str | None = None, *, under_way: Callable[[], int] = lambda: 0
    ) -> None:
        """`folder` is where all of several workers keep theirs (prometheus_client's own rules).

        `under_way` says how many requests are, at that moment.
        """
        self._folder = folder
        self._under_way = under_way
        self._codes = FewCodes()
        # Looking a child up by its labels takes longer than counting with it.
        self._counting: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._timing_calls: dict[tuple[str, str], Histogram] = {}
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
        self._in_flight = Gauge(
            "mont_requests_in_flight",
            "Requests that have arrived and have no answer yet.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._uploads = Counter(
            "mont_uploads",
            "Uploads that were looked at: completed, or why they were refused.",
            ["outcome"],
            registry=self._registry,
        )
        self._call_seconds = Histogram(
            "mont_store_call_duration_seconds",
            "Time of a store's call with all its attempts.",
            ["store", "operation"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._call_errors = Counter(
            "mont_store_errors",
            "Calls that failed after all attempts, by the store's code or the kind of failure.",
            ["store", "operation", "code"],
            registry=self._registry,
        )
        self._retries = Counter(
            "mont_store_retries",
            "Attempts beyond the first one of a store's call.",
            ["store", "operation"],
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
        # Every worker reads the same outbox: what the last one saw is true.
        self._events_waiting = Gauge(
            "mont_events_waiting",
            "Events to be sent as webhooks yet, counted up to 4,000; then there may be more.",
            registry=self._registry,
            multiprocess_mode="livemostrecent",
        )
        self._events_overdue = Gauge(
            "mont_events_overdue_seconds",
            "How long the first of them should have been tried.",
            registry=self._registry,
            multiprocess_mode="livemostrecent",
        )
        for outcome in OUTCOMES:  # from 0, or nobody would see the first one
            self._uploads.labels(outcome)
        for reason in ("overloaded", "connections"):
            self._turned_away.labels(reason)
        for outcome in ("delivered", "retried", "dead"):
            self._webhooks.labels(outcome)
        if folder is None:
            ProcessCollector(registry=self._registry)

    def webhook(self, outcome: str) -> None:
        """See `telemetry.WebhookObserver`."""
        self._webhooks.labels(outcome).inc()

    def events_waiting(self, number: int, overdue_seconds: float) -> None:
        """See `telemetry.WebhookObserver`."""
        self._events_waiting.set(number)
        self._events_overdue.set(overdue_seconds)

    def answered(self, request: Answered) -> None:
        """See `telemetry.Observer`. Never by path: paths would make metrics without end."""
        method = request.method if request.method in _METHODS else "other"
        key = request.route, method, request.status
        children = self._counting.get(key)
        if children is None:
            children = self._counting[key] = (
                self._requests.labels(request.route, method, str(request.status)),
                self._seconds.labels(request.route),
            )
        counter, timing = children
        counter.inc()
        timing.observe(request.seconds)
        if (outcome := upload_outcome(request)) is not None:
            self._uploads.labels(outcome).inc()

    def store_called(
        self, store: str, operation: str, seconds: float, attempts: int, code: str | None
    ) -> None:
        """See `storage.calls.OnCall`."""
        key = store, operation
        timing = self._timing_calls.get(key)
        if timing is None:
            timing = self._timing_calls[key] = self._call_seconds.labels(store, operation)
        timing.observe(seconds)
        if attempts > 1:
            self._retries.labels(store, operation).inc(attempts - 1)
        if (fault := fault_of(code)) is not None:
            self._call_errors.labels(store, operation, self._codes.of(fault)).inc()

    def limited(self, policy: str) -> None:
        """See `telemetry.LimitObserver`."""
        self._limited.labels(policy).inc()

    def limiter_failed(self) -> None:
        """See `telemetry.LimitObserver`."""
        self._limiter_failures.inc()

    def turned_away(self, reason: str) -> None:
        """Count a request or connection that was not taken on."""
        self._turned_away.labels(reason).inc()

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator[None]:
        """Inside the block, keep what other workers are asked about this one up to date."""
        if self._folder is None:  # asked itself, and only itself
            yield
            return
        keeping = asyncio.create_task(self._keep_sampling())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def _keep_sampling(self) -> None:
        while True:
            self._sample()
            await asyncio.sleep(_SAMPLING_SECONDS)

    def _sample(self) -> None:
        self._in_flight.set(self._under_way())
        with suppress(RuntimeError):  # no loop is running, and so no task
            self._tasks.set(len(asyncio.all_tasks()))

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format; those of all workers."""
        self._sample()
        if self._folder is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, self._folder)  # type: ignore[no-untyped-call]
        together.register(WorkerProcesses(self._folder))
        return generate_latest(together)
