"""What a month costs: amounts times prices, tier by tier, and the limits that it meets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from click.testing import CliRunner, Result

from service.__main__ import main
from service.costs import limits
from service.costs.prices import PricesInvalid, list_prices, read_prices
from service.costs.quantities import GB, Quantity
from service.costs.report import month_of
from service.costs.units import CallUnits, Units, counted_units
from service.costs.workload import (
    DEFAULT_MIX,
    SECONDS_A_MONTH,
    Workload,
    WorkloadInvalid,
    amounts,
    parse_mix,
)

ROOT = Path(__file__).parents[2]
PRICES = json.loads((ROOT / "service" / "costs" / "prices.json").read_text("utf-8"))
NOTHING = CallUnits(0, 0, 0, 0, 0, 0, 0)


def mont_cost(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["cost", *arguments])


def prices_with(**changes: Any) -> str:
    return json.dumps({**PRICES, "prices": {**PRICES["prices"], **changes}})


# Prices.


def test_a_price_with_tiers_charges_each_part_at_its_own() -> None:
    prices = read_prices(prices_with(s3_gb_month=[[10, 2.0], [5, 1.0], [None, 0.5]]))
    assert prices.cost("s3_gb_month", 0) == 0
    assert prices.cost("s3_gb_month", 10) == 20
    assert prices.cost("s3_gb_month", 12) == 22
    assert prices.cost("s3_gb_month", 25) == 30


def test_the_prices_that_come_along_are_dated_and_complete() -> None:
    prices = list_prices()
    assert prices.date and prices.region == "us-east-1"
    assert len(prices.sources) == 5
    assert set(prices.tiers) == set(PRICES["prices"]) == set(get_args(Quantity))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "no JSON"),
        ("[]", "not built like"),
        (json.dumps({**PRICES, "prices": {}}), "dynamodb_read_unit is missing"),
        (prices_with(s3_put=[[5, 1.0]]), "s3_put: the last tier"),
        (prices_with(s3_put=[]), "s3_put: the last tier"),
        (prices_with(s3_put=[[None, -1.0]]), "s3_put: nothing can be below zero"),
    ],
)
def test_prices_that_cannot_be_used_are_refused(text: str, said: str) -> None:
    with pytest.raises(PricesInvalid, match=said):
        read_prices(text)


# Amounts.


def test_a_months_amounts_follow_from_its_requests() -> None:
    units = Units(
        {
            "complete": replace(NOTHING, write_units=4, s3_puts=1, s3_gets=1, s3_waits=2),
            "download-url": replace(NOTHING, read_units=1, dynamodb_waits=1, answer_bytes=600),
        },
        record_bytes=1024,
    )
    load = Workload(
        images=2**20,
        requests=4_000,
        image_bytes=1_000_000,
        mix={"complete": 1, "download-url": 3},
    )
    taken = amounts(load, units)
    assert taken["dynamodb_write_unit"] == 4_000
    assert taken["dynamodb_read_unit"] == 3_000
    # One of the service's for each, and the client's own upload or download.
    assert taken["s3_put"] == 1_000 + 1_000
    assert taken["s3_get"] == 1_000 + 3_000
    assert taken["dynamodb_gb_month"] == taken["dynamodb_backup_gb_month"] == 1
    assert taken["transfer_out_gb"] == pytest.approx(3_000 * 1_000_600 / GB)
    assert taken["api_gateway_request"] == taken["lambda_request"] == 4_000
    stored = taken["s3_gb_month"] * GB / 1_000_000
    assert stored == pytest.approx(2**20 + 1_000 / 30.4, abs=1)
    assert taken["lambda_gb_second"] == pytest.approx((64.5 * 1_000 + 9.5 * 3_000) / 1000)


def test_the_bill_is_the_sum_of_its_parts() -> None:
    month = month_of(Workload(10**6, 10**7), counted_units(), list_prices())
    assert month.total == pytest.approx(sum(month.costs.values()))
    assert all(cost >= 0 for cost in month.costs.values())
    for quantity in ("dynamodb_write_unit", "s3_put", "lambda_gb_second", "transfer_out_gb"):
        assert month.costs[quantity] > 0


def test_every_call_of_the_usual_mix_was_counted() -> None:
    assert set(DEFAULT_MIX) == set(counted_units().calls)


def test_what_is_turned_on_is_paid_for() -> None:
    plain = counted_units()
    limited = plain.with_extras(["storage-quota"])
    assert limited.calls["list"] == plain.calls["list"]
    assert limited.calls["complete"].write_units > plain.calls["complete"].write_units
    assert limited.calls["upload-url"].read_units > plain.calls["upload-url"].read_units
    load, prices = Workload(10**6, 10**7), list_prices()
    assert month_of(load, limited, prices).total > month_of(load, plain, prices).total


# Limits.


def used(load: Workload) -> dict[str, float]:
    return {limit.name: limit.used for limit in limits.limits(load, counted_units())}


def test_limits_are_taken_in_proportion_to_the_busiest_second() -> None:
    load = Workload(10**6, 10**9)
    assert used(replace(load, peak=8)) == pytest.approx(
        {name: 2 * part for name, part in used(load).items()}
    )
    one = load.requests / SECONDS_A_MONTH * load.peak
    assert used(load)["API Gateway account"] == pytest.approx(one / 10_000)


def test_a_limit_is_reached_where_all_of_it_is_taken() -> None:
    load = Workload(10**6, 10**8)
    for limit in limits.limits(load, counted_units()):
        reached = limit.reached_at(load)
        assert reached is not None
        then = replace(load, requests=round(reached / load.peak * SECONDS_A_MONTH))
        assert used(then)[limit.name] == pytest.approx(1, rel=1e-3)


def test_one_users_load_is_what_meets_the_limits_of_one_partition() -> None:
    load = Workload(10**6, 10**9, mix={"list": 1})
    alone, spread = used(replace(load, busiest_user=1.0)), used(replace(load, busiest_user=0.0))
    assert alone["busiest user, lists"] > 1 > spread["busiest user, lists"] == 0
    assert alone["table, reads"] == spread["table, reads"]


def test_the_usage_plan_is_the_templates() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    text = (ROOT / "config" / "api.yaml").read_text("utf-8")
    rates = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            rates.update(value for key, value in node.items() if key == "ThrottlingRateLimit")
            node = list(node.values())
        if isinstance(node, list):
            for each in node:
                walk(each)

    walk(yaml.load(text, Loader))
    assert rates == {limits.PLAN_RATE}


# The mix.


def test_a_mix_is_shares_of_known_calls() -> None:
    assert parse_mix("list=3, get=1", DEFAULT_MIX) == {"list": 3, "get": 1}


@pytest.mark.parametrize(
    "text", ["", "lists=1", "list", "list=", "list=-1", "list=nan", "list=0", "list=1,list=2"]
)
def test_a_mix_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(WorkloadInvalid):
        parse_mix(text, DEFAULT_MIX)


# The command.


def test_by_default_it_shows_a_thousand_a_million_and_a_billion_images() -> None:
    done = mont_cost()
    assert done.exit_code == 0
    assert "1,000         1,000,000     1,000,000,000" in done.output
    for name in ("DynamoDB", "S3", "Lambda", "API Gateway", "data transfer out", "total"):
        assert f"\n{name}" in done.output
    assert list_prices().date in done.output
    assert "beyond the limit already" in done.output


def test_json_says_the_same_as_plain_values() -> None:
    done = mont_cost("--images", "1.5M", "--requests", "20_000", "--mix", "list=1", "--json")
    (month,) = json.loads(done.output)["months"]
    assert (month["images"], month["requests"]) == (1_500_000, 20_000)
    assert month["mix"] == {"list": 1.0}
    assert month["total"] == pytest.approx(sum(month["costs"].values()))
    assert month["limits"][0]["lifted_by"]
    # Nothing of this mix writes.
    writes = [each for each in month["limits"] if each["name"] == "table, writes"]
    assert writes[0]["reached_at_requests_per_second"] is None


def test_a_storage_quota_costs_writes() -> None:
    bills = [
        json.loads(mont_cost("--images", "1M", "--json", *more).output)["months"][0]
        for more in ((), ("--storage-quota",))
    ]
    plain, limited = (bill["amounts"]["dynamodb_write_unit"] for bill in bills)
    assert limited > plain


def test_other_prices_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    free = {name: [[None, 0]] for name in PRICES["prices"]}
    path.write_text(json.dumps({**PRICES, "region": "eu-central-1", "prices": free}), "utf-8")
    done = mont_cost("--images", "1M", "--prices", str(path), "--json")
    document = json.loads(done.output)
    assert document["prices"]["region"] == "eu-central-1"
    assert document["months"][0]["total"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--requests", "5"), "--requests needs --images"),
        (("--images", "0"), "no number from 1"),
        (("--images", "many"), "no number from 1"),
        (("--images", "1", "--mix", "lists=1"), "'lists' is none of"),
        (("--images", "1", "--peak", "0"), "--peak"),
        (("--images", "1", "--busiest-user", "101"), "--busiest-user"),
        (("--images", "1", "--prices", "setup.cfg"), "cannot be used"),
        (("--images", "1", "--prices", "none.json"), "does not exist"),
    ],
)
def test_bad_input_gets_a_message_and_no_bill(
    arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = mont_cost(*arguments)
    assert done.exit_code != 0
    assert said in done.output
    assert "total" not in done.output
    assert not isinstance(done.exception, ValueError)
