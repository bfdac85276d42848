"""A month's bill and limits, as text for people and as plain values for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.costs.limits import Limit, limits
from service.costs.prices import PriceList
from service.costs.quantities import Quantity
from service.costs.units import Units
from service.costs.workload import Workload, amounts

_LINES: Mapping[str, tuple[Quantity, ...]] = {
    "DynamoDB, requests": ("dynamodb_read_unit", "dynamodb_write_unit"),
    "DynamoDB, storage": ("dynamodb_gb_month",),
    "DynamoDB, backups": ("dynamodb_backup_gb_month",),
    "S3, requests": ("s3_put", "s3_get"),
    "S3, storage": ("s3_gb_month",),
    "Lambda": ("lambda_request", "lambda_gb_second"),
    "API Gateway": ("api_gateway_request",),
    "data transfer out": ("transfer_out_gb",),
}
_WIDTH, _COLUMN = 36, 18


@dataclass(frozen=True, slots=True)
class Month:
    """A workload, what it takes of each quantity, what that costs, and its limits."""

    workload: Workload
    amounts: Mapping[Quantity, float]
    costs: Mapping[Quantity, float]
    limits: Sequence[Limit]

    @property
    def total(self) -> float:
        """The whole bill."""
        return sum(self.costs.values())


def month_of(workload: Workload, units: Units, prices: PriceList) -> Month:
    """The month of this workload at these prices."""
    taken = amounts(workload, units)
    costs = {quantity: prices.cost(quantity, amount) for quantity, amount in taken.items()}
    return Month(workload, taken, costs, limits(workload, units))


def as_text(months: Sequence[Month], prices: PriceList) -> str:
    """Columns of workloads: their bill, then their limits."""
    loads = [month.workload for month in months]
    first = loads[0]
    mix = ", ".join(f"{100 * first.share(name):.3g} % {name}" for name in first.mix)
    lines = [
        f"A month on AWS in {prices.currency}: list prices of {prices.region}, {prices.date}",
        f"Images of {first.image_bytes:,} bytes; requests: {mix}",
        "Each complete is one upload to S3, each download-url one download of the whole image.",
        "",
        _row("images stored", (f"{load.images:,}" for load in loads)),
        _row("requests", (f"{load.requests:,}" for load in loads)),
        _row("requests/s, busiest second", (_short(load.peak_rate) for load in loads)),
        "",
    ]
    for name, parts in _LINES.items():
        sums = [sum(month.costs[part] for part in parts) for month in months]
        lines.append(_row(name, (f"{each:,.2f}" for each in sums)))
    lines += [
        _row("total", (f"{month.total:,.2f}" for month in months)),
        _row("without transfer out", (f"{_without_transfer(month):,.2f}" for month in months)),
        "",
        "How much of each limit the busiest second takes (! is more than there is)",
        "",
    ]
    lines += _limit_lines(months)
    lines += [
        "",
        "Limits in the order in which more requests/s of this mix would meet them",
        *(_next_limits(month) for month in months),
    ]
    lines += ["", "Sources: " + " ".join(prices.sources)]
    lines.append("Not in it: log storage, taxes, discounts, trial offers, requests to /docs and /.")
    return "\n".join(lines)


def as_document(months: Sequence[Month], prices: PriceList) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "prices": {
            "date": prices.date,
            "region": prices.region,
            "currency": prices.currency,
            "sources": list(prices.sources),
        },
        "months": [_month_document(month) for month in months],
    }


def _month_document(month: Month) -> dict[str, Any]:
    load = month.workload
    return {
        "images": load.images,
        "requests": load.requests,
        "image_bytes": load.image_bytes,
        "mix": {name: load.share(name) for name in load.mix},
        "peak_requests_per_second": load.peak_rate,
        "amounts": dict(month.amounts),
        "costs": dict(month.costs),
        "total": month.total,
        "limits": [
            {
                "name": limit.name,
                "allows": limit.allows,
                "used": limit.used,
                "reached_at_requests_per_second": limit.reached_at(load),
                "lifted_by": limit.lifted_by,
            }
            for limit in month.limits
        ],
    }


def _limit_lines(months: Sequence[Month]) -> list[str]:
    """A line for each limit, the nearest of the largest workload first, and what lifts each."""
    lines = []
    for limit in months[-1].limits:
        used = [next(each for each in month.limits if each.name == limit.name) for month in months]
        lines.append(_row(limit.name, (_part(each.used) for each in used)))
        lines.append(f"    {limit.allows}; lifted by: {limit.lifted_by}")
    return lines


def _next_limits(month: Month) -> str:
    """The three limits that a workload meets first as it grows, in that order."""
    load = month.workload
    met = [
        f"{limit.name} at {_short(reached)}"
        for limit in month.limits
        if (reached := limit.reached_at(load)) is not None
    ]
    beyond = "; beyond the limit already" if month.limits[0].used > 1 else ""
    return (
        f"{load.images:,} images, {_short(load.peak_rate)} requests/s{beyond}: "
        f"first {', then '.join(met[:3])}"
    )


def _part(used: float) -> str:
    if used > 1:
        return f"{100 * used:,.0f} % !"
    return f"{100 * used:.2f} %" if used >= 0.0001 else "under 0.01 %"


def _without_transfer(month: Month) -> float:
    return month.total - month.costs["transfer_out_gb"]


def _row(name: str, cells: Any) -> str:
    return f"{name:{_WIDTH}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
