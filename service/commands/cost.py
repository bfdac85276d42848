"""mont cost: what a month on AWS costs, and where the next limit lies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.commands.common import Failure

if TYPE_CHECKING:
    from service.costs.prices import PriceList

_SCALES = (1_000, 1_000_000, 1_000_000_000)
_MOST = 10**13
_NUMBER = re.compile(r"(\d{1,14}(?:\.\d{1,6})?)([kmgb]?)", re.ASCII)
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}


def _number(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """A whole number, also as 1_000_000, 1,000,000 or 1M. Raises BadParameter."""
    if value is None:
        return None
    found = _NUMBER.fullmatch(value.replace("_", "").replace(",", "").lower())
    number = float(found[1]) * _SUFFIXES[found[2]] if found else -1
    if not 1 <= number <= _MOST:
        raise click.BadParameter(
            f"{value!r} is no number from 1 to {_MOST:,} (such as 250000, 250k or 1.5M)"
        )
    return round(number)


@click.command()
@click.option(
    "--images", callback=_number, help="Images stored.  [default: 1k, 1M and 1G side by side]"
)
@click.option("--requests", callback=_number, help="API requests a month.  [default: 10 an image]")
@click.option(
    "--image-size",
    callback=_number,
    default="2048000",
    show_default=True,
    help="Bytes, on average.",
)
@click.option("--mix", help="Shares of the calls, such as upload-url=1,complete=1,list=8.")
@click.option(
    "--peak",
    type=click.FloatRange(1, 1_000),
    default=4.0,
    show_default=True,
    help="The busiest second, in times the average.",
)
@click.option(
    "--busiest-user",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="Per cent of all requests that one user makes.",
)
@click.option(
    "--storage-quota", is_flag=True, help="With STORAGE_QUOTA_BYTES or STORAGE_QUOTA_IMAGES."
)
@click.option(
    "--events",
    is_flag=True,
    help="With EVENTS; to deliver one takes two writes of its table more, which are not in here.",
)
@click.option(
    "--prices",
    "price_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Other prices, in a file like service/costs/prices.json.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def cost(
    images: int | None,
    requests: int | None,
    image_size: int,
    mix: str | None,
    peak: float,
    busiest_user: float,
    storage_quota: bool,
    events: bool,
    price_file: Path | None,
    as_json: bool,
) -> None:
    """Say what a month on AWS costs, and where the next limit lies.

    From what each call really takes of DynamoDB and S3, and AWS's list prices of the day that is
    shown. Asks nobody, and needs no account.
    """
    from service.costs import report
    from service.costs.units import counted_units
    from service.costs.workload import (
        DEFAULT_MIX,
        REQUESTS_AN_IMAGE,
        Workload,
        WorkloadInvalid,
        parse_mix,
    )

    if requests is not None and images is None:
        raise click.UsageError("--requests needs --images: what is stored costs, too.")
    chosen = {"storage-quota": storage_quota, "events": events}
    extras = [name for name, wanted in chosen.items() if wanted]
    units, prices = counted_units().with_extras(extras), _prices(price_file)
    try:
        shares = DEFAULT_MIX if mix is None else parse_mix(mix, units.calls)
    except WorkloadInvalid as error:
        raise click.BadParameter(str(error), param_hint="--mix") from error
    months = [
        report.month_of(
            Workload(
                images=stored,
                requests=requests or REQUESTS_AN_IMAGE * stored,
                image_bytes=image_size,
                mix=shares,
                peak=peak,
                busiest_user=busiest_user / 100,
            ),
            units,
            prices,
        )
        for stored in ([images] if images else _SCALES)
    ]
    if as_json:
        click.echo(json.dumps(report.as_document(months, prices), indent=1))
    else:
        click.echo(report.as_text(months, prices))


def _prices(path: Path | None) -> PriceList:
    from service.costs.prices import PricesInvalid, list_prices, read_prices

    if path is None:
        return list_prices()
    try:
        return read_prices(path.read_text("utf-8"))
    except (PricesInvalid, OSError, UnicodeDecodeError) as error:
        raise Failure(f"The prices in {path} cannot be used: {error}") from error
