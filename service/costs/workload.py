"""A month of use: how many images, how many requests of which kind, and what they amount to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.costs.quantities import GB, Quantity
from service.costs.units import CallUnits, Units

DEFAULT_MIX: Mapping[str, float] = {
    "upload-url": 10,
    "complete": 10,
    "list": 25,
    "list-all": 5,
    "get": 10,
    "edit": 2,
    "download-url": 35,
    "delete": 3,
}
REQUESTS_AN_IMAGE = 10
SECONDS_A_MONTH = 730 * 3600
_STAGED_DAYS, _DAYS_A_MONTH = 1, 730 / 24
# Of an invocation of a warm function: our own part at a gigabyte of memory, and the wait for one
# answer of either store, as AWS's own are usually seen from a function in their region.
_OWN_MS, _DYNAMODB_MS, _S3_MS = 4.0, 5.0, 30.0
# Each invocation is billed by whole milliseconds.
_ROUNDING_MS = 0.5


class WorkloadInvalid(ValueError):
    """A workload that cannot be computed; the message says why."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is stored and asked in a month.

    `image_bytes` on average; `mix` are shares of the calls, which need not add up to anything;
    `peak` is how many times the average the busiest second has; `busiest_user` is the part of all
    requests that one user makes; `memory_gb` of each function.
    """

    images: int
    requests: int
    image_bytes: int = 2_048_000
    mix: Mapping[str, float] = field(default_factory=lambda: DEFAULT_MIX)
    peak: float = 4.0
    busiest_user: float = 0.01
    memory_gb: float = 1.0

    def share(self, call: str) -> float:
        """The part of all requests that are this call."""
        return self.mix.get(call, 0.0) / sum(self.mix.values())

    @property
    def peak_rate(self) -> float:
        """Requests a second at the busiest."""
        return self.requests / SECONDS_A_MONTH * self.peak


def parse_mix(text: str, known: Mapping[str, object]) -> dict[str, float]:
    """Shares of calls, as in "upload-url=1,complete=1,list=8". Raises WorkloadInvalid."""
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, sign, number = (each.strip() for each in part.partition("="))
        if name not in known:
            raise WorkloadInvalid(f"{name!r} is none of {', '.join(known)}")
        if name in mix:
            raise WorkloadInvalid(f"{name} is there twice")
        try:
            share = float(number) if sign else -1.0
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1e9:
            raise WorkloadInvalid(f"{part.strip()!r} must be a call and its share, such as list=25")
        mix[name] = share
    if not sum(mix.values()):
        raise WorkloadInvalid("at least one call must have a share above 0")
    return mix


def duration_ms(call: CallUnits) -> float:
    """How long an invocation for this call is billed."""
    waiting = call.dynamodb_waits * _DYNAMODB_MS + call.s3_waits * _S3_MS
    return _OWN_MS + waiting + _ROUNDING_MS


def amounts(workload: Workload, units: Units) -> dict[Quantity, float]:
    """What a month of it takes of everything that AWS counts."""
    made = {name: workload.requests * workload.share(name) for name in units.calls}

    def total(name: str) -> float:
        return sum(made[call] * float(getattr(each, name)) for call, each in units.calls.items())

    uploads, downloads = made["complete"], made["download-url"]
    record_gb = workload.images * units.record_bytes / GB
    # What was uploaded stays for a day beside its copy, in case the client asks again.
    staged = uploads * _STAGED_DAYS / _DAYS_A_MONTH
    seconds = sum(made[call] * duration_ms(each) for call, each in units.calls.items()) / 1000
    return {
        "dynamodb_read_unit": total("read_units"),
        "dynamodb_write_unit": total("write_units"),
        "dynamodb_gb_month": record_gb,
        "dynamodb_backup_gb_month": record_gb,
        # The clients' own: each upload is a POST, each link one GET.
        "s3_put": total("s3_puts") + uploads,
        "s3_get": total("s3_gets") + downloads,
        "s3_gb_month": (workload.images + staged) * workload.image_bytes / GB,
        "lambda_request": workload.requests,
        "lambda_gb_second": seconds * workload.memory_gb,
        "api_gateway_request": workload.requests,
        "transfer_out_gb": (downloads * workload.image_bytes + total("answer_bytes")) / GB,
    }
