"""Logs and metrics as Lambda wants them: Powertools' JSON lines, and metrics embedded in them."""

from __future__ import annotations

import logging
import os

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from service.telemetry import Answered

NAMESPACE = "Mont"

logger = Logger(service="mont", level=os.environ.get("LOG_LEVEL") or "INFO")
metrics = Metrics(namespace=NAMESPACE, service="mont")


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
