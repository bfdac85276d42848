"""Counts what each call takes of the stores, for `mont cost`.

    python -m tests.load.units

writes `service/costs/units.json`; a test counts again and compares.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from service.settings import Settings
from service.storage.items import TIMELINE_SHARDS
from service.storage.outbox import DUE_SHARDS
from tests.load.growth import Cost, filled, measured
from tests.load.in_process import logging_to_nowhere
from tests.load.simulated.stores import SimulatedStores

_Calls = dict[str, dict[str, float]]

PATH = Path(__file__).resolve().parents[2] / "service" / "costs" / "units.json"
_IMAGES = 1_000
_COUNTED = ("upload-url", "complete", "list", "list-all", "get", "edit", "download-url", "delete")


EXTRAS: Mapping[str, Mapping[str, Any]] = {
    "storage-quota": {"storage_quota_images": 10**9},
    # At its start the server looks how many events wait.
    "events": {"events": "webhook", "own_calls": DUE_SHARDS},
}
"""What a deployment may turn on, as settings: what calls then take more is counted, too."""


async def counted(samples: int = 8) -> dict[str, Any]:
    """The document of `units.json`, counted now."""
    stores = filled(Settings(), _IMAGES)
    record_bytes = stores.images.stored_bytes / _IMAGES
    plain = await _calls(stores, samples)
    return {
        "calls": plain,
        "extras": {
            name: _more(plain, await _calls(filled(Settings(), _IMAGES), samples, **changes))
            for name, changes in EXTRAS.items()
        },
        "record_bytes": round(record_bytes),
    }


async def _calls(stores: SimulatedStores, samples: int, **changes: Any) -> _Calls:
    costs = await measured(stores, _IMAGES, samples, **changes)
    return {name: _units(name, costs[name]) for name in _COUNTED}


def _more(plain: _Calls, extra: _Calls) -> _Calls:
    """What each call takes more, where it does."""
    differences = {
        name: {
            unit: round(number - plain[name][unit], 2)
            for unit, number in units.items()
            if number > plain[name][unit] and unit != "answer_bytes"
        }
        for name, units in extra.items()
    }
    return {name: units for name, units in differences.items() if units}


def _units(name: str, cost: Cost) -> dict[str, float]:
    in_s3 = cost.s3_puts + cost.s3_gets + cost.s3_deletes
    waits = cost.store_calls - in_s3
    if name == "list-all":
        # All partitions are asked at once, and some of them a second time.
        waits = ceil(waits / TIMELINE_SHARDS)
    return {
        "read_units": round(cost.read_units, 2),
        "write_units": round(cost.write_units, 2),
        "s3_puts": round(cost.s3_puts, 2),
        "s3_gets": round(cost.s3_gets, 2),
        "dynamodb_waits": round(waits, 2),
        "s3_waits": round(in_s3, 2),
        "answer_bytes": round(cost.answer_bytes, -1),
    }


if __name__ == "__main__":
    with logging_to_nowhere():
        PATH.write_text(json.dumps(asyncio.run(counted()), indent=1) + "\n", "utf-8")
