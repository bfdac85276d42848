"""Logs and metrics as Lambda wants them: Powertools' JSON lines, and metrics embedded in them."""

from __future__ import annotations

import logging
import os

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit, single_metric

from service.outcomes import FewCodes, fault_of, upload_outcome
from service.telemetry import Answered

NAMESPACE, SERVICE = "Mont", "mont"

logger = Logger(service=SERVICE, level=os.environ.get("LOG_LEVEL") or "INFO")
metrics = Metrics(namespace=NAMESPACE, service=SERVICE)


def join_service_logs() -> None:
    """Send the service's own log lines the same way, with the same correlation id."""
    ours = logging.getLogger("service")
    ours.handlers = list(logger.handlers)
    ours.setLevel(logger.log_level)
    ours.propagate = False


class EmfObserver:
    """Counts and times each request, by endpoint and status (CloudWatch embedded metric format).

    The names are those of the other door's metrics. CloudWatch asks its price for each combination
    of dimensions, so there are fewer: stores are not told apart by operation.
    """

    def __init__(self) -> None:
        # Of the request under way: a container has one at a time.
        self._seconds: dict[str, list[float]] = {}
        self._codes = FewCodes()

    def answered(self, request: Answered) -> None:
        """See `telemetry.Observer`."""
        metrics.add_dimension("route", request.route)
        metrics.add_dimension("status", str(request.status))
        metrics.add_metric("mont_requests_total", MetricUnit.Count, 1)
        metrics.add_metric(
            "mont_request_duration_seconds", MetricUnit.Seconds, round(request.seconds, 6)
        )
        if (outcome := upload_outcome(request)) is not None:
            _count("mont_uploads_total", outcome=outcome)
        for store, seconds in self._seconds.items():
            _time_calls(store, seconds)
        self._seconds.clear()

    def store_called(
        self, store: str, _operation: str, seconds: float, attempts: int, code: str | None
    ) -> None:
        """See `storage.calls.OnCall`."""
        self._seconds.setdefault(store, []).append(round(seconds, 6))
        if attempts > 1:
            _count("mont_store_retries_total", attempts - 1, store=store)
        if (fault := fault_of(code)) is not None:
            _count("mont_store_errors_total", store=store, code=self._codes.of(fault))

    def limited(self, policy: str) -> None:
        """See `telemetry.LimitObserver`."""
        _count("mont_limited_total", policy=policy)

    def limiter_failed(self) -> None:
        """See `telemetry.LimitObserver`."""
        _count("mont_limiter_failures_total")


def _time_calls(store: str, seconds: list[float]) -> None:
    """All calls of a request in one line: their number is that of the values."""
    line = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    line.add_dimension("store", store)
    for each in seconds:
        line.add_metric("mont_store_call_duration_seconds", MetricUnit.Seconds, each)
    if line.metric_set:  # a hundred are sent at once
        line.flush_metrics()


def _count(name: str, number: int = 1, /, **dimensions: str) -> None:
    # In a line of its own: the dimensions of a line belong to all metrics in it.
    with single_metric(name, MetricUnit.Count, number, namespace=NAMESPACE) as metric:
        metric.add_dimension("service", SERVICE)
        for dimension, value in dimensions.items():
            metric.add_dimension(dimension, value)
