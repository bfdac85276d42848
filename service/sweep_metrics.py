"""What sweeps did, as a file of metrics: a command ends before anybody could ask it.

The file is for the textfile collector of Prometheus's node exporter. It is replaced as a whole;
what counts goes on from what is in it, and anew where that cannot be read.
https://github.com/prometheus/node_exporter#textfile-collector
"""

from __future__ import annotations

from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    write_to_textfile,
)
from prometheus_client.parser import text_string_to_metric_families

from service import timestamps
from service.sweeper import KINDS, OUTCOMES, Report

_SUCCESS = "mont_sweep_last_success_timestamp_seconds"

# They would tell when this process began to count, which is not when the file did.
disable_created_metrics()  # type: ignore[no-untyped-call]

Values = dict[tuple[str, ...], float]


def write_metrics(path: Path, report: Report) -> None:
    """Add what this sweep did to the file. Raises OSError."""
    before = _read(path)
    registry = CollectorRegistry()
    swept = Counter(
        "mont_swept",
        "What sweeps found, by kind and what became of it; found ones again by each sweep.",
        ["kind", "outcome"],
        registry=registry,
    )
    for kind in KINDS:
        for outcome in OUTCOMES:  # from 0, or nobody would see the first one
            earlier = before.get(("mont_swept_total", kind, outcome), 0.0)
            swept.labels(kind, outcome).inc(earlier + report.counts[kind][outcome])
    failed = report.place is not None
    ended = float(timestamps.to_micros(report.finished_at) // 1_000_000)
    failures = Counter(
        "mont_sweep_failures",
        "Sweeps that did not come to their end: a store failed, or they were stopped.",
        registry=registry,
    )
    failures.inc(before.get(("mont_sweep_failures_total",), 0.0) + failed)
    for name, text, value in [
        ("mont_sweep_left", "What the last sweep left to another one, or to you.", report.left),
        ("mont_sweep_last_run_timestamp_seconds", "When the last sweep ended.", ended),
        (
            _SUCCESS,
            "When a sweep last came to its end; 0 is never.",
            before.get((_SUCCESS,), 0.0) if failed else ended,
        ),
    ]:
        Gauge(name, text, registry=registry).set(value)
    write_to_textfile(str(path), registry)


def _read(path: Path) -> Values:
    """The samples of a file, by their names and the values of their labels in order."""
    try:
        return {
            (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(path.read_text("utf-8"))
            for sample in family.samples
        }
    except (OSError, ValueError):
        return {}
