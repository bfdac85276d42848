"""Logs and metrics as Lambda wants them: Powertools' JSON lines, and metrics embedded in them."""

from __future__ import annotations

import logging
import os

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

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
    """Counts and times each request, by endpoint and status (CloudWatch embedded metric format)."""

    def answered(self, request: Answered) -> None:
        """See `telemetry.Observer`."""
        metrics.add_dimension("route", request.route)
        metrics.add_dimension("status", str(request.status))
        metrics.add_metric("mont_requests", MetricUnit.Count, 1)
        metrics.add_metric(
            "mont_request_duration_seconds", MetricUnit.Seconds, round(request.seconds, 6)
        )

    def limited(self, policy: str) -> None:
        """See `telemetry.LimitObserver`."""
        _count("mont_limited_total", policy=policy)

    def limiter_failed(self) -> None:
        """See `telemetry.LimitObserver`."""
        _count("mont_limiter_failures_total")


def _count(name: str, **dimensions: str) -> None:
    # In a line of its own: the dimensions of a line belong to all metrics in it.
    with single_metric(name, MetricUnit.Count, 1, namespace=NAMESPACE) as metric:
        metric.add_dimension("service", SERVICE)
        for dimension, value in dimensions.items():
            metric.add_dimension(dimension, value)
