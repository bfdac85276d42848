"""A call costs the same however many images there are, and costs what `mont cost` says."""

from __future__ import annotations

import asyncio
import json

import pytest

from service.settings import Settings
from tests.load import growth, units
from tests.load.growth import CASES, Cost, filled, measured, sizes_in

SMALL, LARGE = 1_000, 20_000
# Images fall on the sixteen partitions by chance: a page somewhere in the middle may need one
# partition more, or less, than another page.
BY_CHANCE = "list-all, middle page"


@pytest.fixture(scope="module")
def costs() -> dict[int, dict[str, Cost]]:
    return {
        size: asyncio.run(measured(filled(Settings(), size), size, samples=2))
        for size in (SMALL, LARGE)
    }


def test_units_and_rows_are_the_same_at_twenty_times_the_images(
    costs: dict[int, dict[str, Cost]],
) -> None:
    exact = set(CASES) - {BY_CHANCE}
    for case in exact:
        small, large = costs[SMALL][case], costs[LARGE][case]
        assert (small.units, small.rows, small.store_calls) == (
            large.units,
            large.rows,
            large.store_calls,
        ), case
    assert costs[LARGE][BY_CHANCE].read_units <= 1.5 * costs[SMALL]["list-all"].read_units


def test_every_case_but_signing_takes_something(costs: dict[int, dict[str, Cost]]) -> None:
    for case, cost in costs[LARGE].items():
        assert any(cost.units) == (case != "upload-url"), case


def test_a_page_reads_few_rows_more_than_it_shows(costs: dict[int, dict[str, Cost]]) -> None:
    assert 50 < costs[LARGE]["list"].rows <= 60
    assert costs[LARGE]["list"].store_calls == 1


async def test_the_units_that_mont_cost_reckons_with_are_those_of_this_version() -> None:
    recorded = json.loads(units.PATH.read_text("utf-8"))
    counted = await units.counted(samples=8)
    # Dates and ids change an answer's length by a few bytes.
    for each in (*recorded["calls"].values(), *counted["calls"].values()):
        each["answer_bytes"] = pytest.approx(each["answer_bytes"], abs=50)
    assert counted == recorded, "count anew: python -m tests.load.units"


def test_sizes_are_read_in_order_and_nonsense_is_refused() -> None:
    assert sizes_in("20_000, 1000") == [1_000, 20_000]
    for wrong in ("", "many", "10", "999999999"):
        with pytest.raises(SystemExit, match="IMAGES"):
            sizes_in(wrong)


def test_a_table_shows_every_case() -> None:
    cost = Cost(1, 2, 0, 1, 0, 3, 2, 100, 50, 900)
    shown = growth.table({size: dict.fromkeys(CASES, cost) for size in (SMALL, LARGE)})
    assert all(f"\n{case} " in shown for case in CASES)
    assert growth.document({SMALL: {"list": cost}})["sizes"]["1000"]["list"]["write_units"] == 2
