"""AWS's prices, from a dated file: tiers, and what a quantity costs by them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, get_args

from service.costs.quantities import Quantity


class PricesInvalid(Exception):
    """A file of prices that cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Tier:
    """So many units at this price each; None is without end."""

    units: float | None
    price: float


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices of one region on one day."""

    date: str
    region: str
    currency: str
    sources: tuple[str, ...]
    tiers: Mapping[Quantity, tuple[Tier, ...]]

    def cost(self, quantity: Quantity, amount: float) -> float:
        """What this amount costs in a month."""
        total, left = 0.0, amount
        for tier in self.tiers[quantity]:
            part = left if tier.units is None else min(left, tier.units)
            total += part * tier.price
            left -= part
        return total


def list_prices() -> PriceList:
    """The prices that come with the service."""
    return read_prices((files(__package__) / "prices.json").read_text("utf-8"))


def read_prices(text: str) -> PriceList:
    """The prices in a text like `prices.json`. Raises PricesInvalid."""
    try:
        document: dict[str, Any] = json.loads(text)
        tiers = {name: _tiers(name, document["prices"][name]) for name in get_args(Quantity)}
        return PriceList(
            date=str(document["date"]),
            region=str(document["region"]),
            currency=str(document["currency"]),
            sources=tuple(str(source) for source in document["sources"]),
            tiers=tiers,
        )
    except KeyError as error:
        raise PricesInvalid(f"{error.args[0]} is missing") from error
    except json.JSONDecodeError as error:
        raise PricesInvalid(f"it is no JSON: {error}") from error
    except (TypeError, AttributeError) as error:
        raise PricesInvalid("it is not built like service/costs/prices.json") from error


def _tiers(name: str, pairs: list[tuple[float | None, float]]) -> tuple[Tier, ...]:
    tiers = tuple(
        Tier(None if units is None else float(units), float(price)) for units, price in pairs
    )
    ends = [tier.units is None for tier in tiers]
    if ends != [False] * (len(tiers) - 1) + [True]:
        raise PricesInvalid(f"{name}: the last tier, and only that, must be without end (null)")
    if any(tier.price < 0 or (tier.units or 0) < 0 for tier in tiers):
        raise PricesInvalid(f"{name}: nothing can be below zero")
    return tiers
