"""Where a workload meets the next limit of AWS, and what lifts it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

from __future__ import annotations

from dataclasses import dataclass

from service.costs.units import Units
from service.costs.workload import Workload, duration_ms
from service.storage.items import TIMELINE_SHARDS

_PARTITION_READS, _PARTITION_WRITES = 3_000, 1_000
_TABLE_UNITS = 40_000
_PREFIX_PUTS, _PREFIX_GETS = 3_500, 5_500
_CONCURRENCY = 1_000
PLAN_RATE = 1_000
"""What `config/api.yaml` lets through: ThrottlingRateLimit."""

_ACCOUNT_RATE = 10_000
# Completing an image writes one entry to each list, deleting it takes both away.
_LIST_WRITES = ("complete", "delete")


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: how much of it the busiest second takes (1 is all), and what lifts it."""

    name: str
    allows: str
    used: float
    lifted_by: str

    def reached_at(self, workload: Workload) -> float | None:
        """The requests a second that take all of it; None where this mix takes nothing of it."""
        return workload.peak_rate / self.used if self.used else None


def limits(workload: Workload, units: Units) -> list[Limit]:
    """All limits, the nearest first."""
    found = [*_gateway(workload, units), *_tables(workload, units), *_bucket(workload, units)]
    return sorted(found, key=lambda limit: -limit.used)


def _rate(workload: Workload, *calls: str) -> float:
    """How often a second these calls are made at the peak."""
    return workload.peak_rate * sum(workload.share(call) for call in calls)


def _gateway(workload: Workload, units: Units) -> list[Limit]:
    peak = workload.peak_rate
    mean_ms = sum(workload.share(name) * duration_ms(each) for name, each in units.calls.items())
    return [
        Limit(
            "API usage plan",
            f"{PLAN_RATE:,} requests/s",
            peak / PLAN_RATE,
            "ThrottlingRateLimit and ThrottlingBurstLimit in config/api.yaml (a choice of ours)",
        ),
        Limit(
            "API Gateway account",
            f"{_ACCOUNT_RATE:,} requests/s",
            peak / _ACCOUNT_RATE,
            "Service Quotas (throttle rate), a second region, or the server in containers",
        ),
        Limit(
            "Lambda concurrency",
            f"{_CONCURRENCY:,} at once",
            peak * mean_ms / 1000 / _CONCURRENCY,
            "Service Quotas (concurrent executions), or the server in containers",
        ),
    ]


def _tables(workload: Workload, units: Units) -> list[Limit]:
    calls = units.calls
    reads = sum(_rate(workload, name) * each.read_units for name, each in calls.items())
    writes = sum(_rate(workload, name) * each.write_units for name, each in calls.items())
    listed = _rate(workload, *_LIST_WRITES)
    all_listed = _rate(workload, "list-all") * calls["list-all"].read_units
    one_listed = _rate(workload, "list") * calls["list"].read_units
    return [
        Limit(
            "busiest user, uploads and deletions",
            f"{_PARTITION_WRITES:,} a second",
            workload.busiest_user * listed / _PARTITION_WRITES,
            "several user ids for such a user: a user's list is one partition of its index",
        ),
        Limit(
            "busiest user, lists",
            f"{_PARTITION_READS:,} units/s",
            workload.busiest_user * one_listed / _PARTITION_READS,
            "smaller pages, a cache in front, or several user ids for such a user",
        ),
        Limit(
            "timeline, uploads and deletions",
            f"{TIMELINE_SHARDS * _PARTITION_WRITES:,} a second",
            listed / (TIMELINE_SHARDS * _PARTITION_WRITES),
            "more shards (TIMELINE_SHARDS, and timeline_shard of every record written anew)",
        ),
        Limit(
            "timeline, lists of all images",
            f"{TIMELINE_SHARDS * _PARTITION_READS:,} units/s",
            all_listed / (TIMELINE_SHARDS * _PARTITION_READS),
            "a cache in front: the unfiltered list is the same for everybody",
        ),
        Limit(
            "table, reads",
            f"{_TABLE_UNITS:,} units/s",
            reads / _TABLE_UNITS,
            "Service Quotas (table-level read throughput)",
        ),
        Limit(
            "table, writes",
            f"{_TABLE_UNITS:,} units/s",
            writes / _TABLE_UNITS,
            "Service Quotas (table-level write throughput); raise warm throughput before a launch",
        ),
    ]


def _bucket(workload: Workload, units: Units) -> list[Limit]:
    calls = units.calls
    uploads, downloads = _rate(workload, "complete"), _rate(workload, "download-url")
    puts = sum(_rate(workload, name) * each.s3_puts for name, each in calls.items())
    split = "nothing to do: S3 splits a prefix by user id as its rate grows (503 until it has)"
    return [
        Limit(
            "S3 uploads/, POST",
            f"{_PREFIX_PUTS:,} a second",
            uploads / _PREFIX_PUTS,
            split,
        ),
        Limit(
            "S3 images/, COPY and deletion",
            f"{_PREFIX_PUTS:,} a second",
            puts / _PREFIX_PUTS,
            split,
        ),
        Limit(
            "S3 images/, GET",
            f"{_PREFIX_GETS:,} a second",
            downloads / _PREFIX_GETS,
            "a CDN in front of the bucket; S3 splits the prefix too",
        ),
    ]
