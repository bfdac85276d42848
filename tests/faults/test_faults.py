"""Stores that fail: every answer is right or a problem, in time, and afterwards all is well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.endpoints import ENDPOINTS
from tests.faults.calls import CALLS, Prepared
from tests.faults.conftest import Service
from tests.support.api import Answer
from tests.support.faultproxy import FAULTS

# A first try and two more, for each call that a request makes of its stores. Each may find that a
# connection which was kept open is dead, and then takes another.
TRIES = 2 * 3
HARMLESS = {"a short delay"}


def is_unavailable(document: Any) -> bool:
    return bool(
        document.get("status") == 503 and document["type"] == "urn:mont:problem:store-unavailable"
    )


def failed_cleanly(answer: Answer) -> bool:
    """Whether an answer says that the stores failed, and nothing of how."""
    if answer.status == 200:  # one answer for several images: each has its own
        results = answer.json().get("results", [])
        return bool(results) and any(map(is_unavailable, results))
    document = answer.problem(503, "store-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert b"amz" not in answer.body.lower()
    return is_unavailable(document)


async def settle(service: Service, each: Prepared) -> None:
    """Make the call again, as a client would that got no good answer: some time later."""
    service.let_time_pass()
    await each.succeeded(await each.make())


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_endpoint_bears_it(service: Service, fault: str) -> None:
    prepared = {name: await prepare(service.api) for name, prepare in CALLS.items()}
    service.proxy.fault = FAULTS[fault]
    answers = dict(
        zip(
            prepared,
            await asyncio.gather(*(each.make() for each in prepared.values())),
            strict=True,
        )
    )
    service.proxy.fault = None
    for name, answer in answers.items():
        assert (answer.status == 200) if fault in HARMLESS else failed_cleanly(answer), name
    for each in prepared.values():
        await settle(service, each)


@pytest.mark.parametrize("fault", ["reset after", "500", "throttled", "truncated"])
@pytest.mark.parametrize("name", ["show", "complete", "delete"])
async def test_it_is_tried_again_but_not_for_ever(service: Service, fault: str, name: str) -> None:
    each = await CALLS[name](service.api)
    service.proxy.calls.clear()
    service.proxy.fault = FAULTS[fault]
    await each.make()
    service.proxy.fault = None
    # The first call of the stores fails, so there is no other.
    assert 1 < len(service.proxy.calls) <= TRIES
    assert len(set(service.proxy.calls)) == 1
    await settle(service, each)


async def test_links_and_forms_need_no_store_to_be_up(service: Service) -> None:
    service.proxy.fault = FAULTS["black hole"]
    body = {"user_id": "a", "filename": "a.png", "content_type": "image/png", "file_size": 1}
    assert (await service.api.request("POST", "/images/upload-url", json=body)).status == 200
    assert (await service.api.request("GET", "/livez")).status == 200
    service.proxy.fault = None


async def test_a_dead_store_holds_up_nobody_who_does_not_need_it(service: Service) -> None:
    shown, ready = [await CALLS[name](service.api) for name in ("show", "ready")]
    service.proxy.only = {"GET", "PUT", "POST", "DELETE", "HEAD"}.__contains__
    service.proxy.fault = FAULTS["black hole"]
    asked = asyncio.create_task(ready.make())
    await settle(service, shown)
    assert not asked.done()
    assert failed_cleanly(await asked)


def test_no_endpoint_is_left_out() -> None:
    asked = {"/readyz", "/images", "/images/{image_id}", "/images/{image_id}/download-url",
             "/images/complete", "/images/download-urls", "/images/delete"}  # fmt: skip
    without_stores = {"/images/upload-url", "/livez"}
    assert {each.path for each in ENDPOINTS} == asked | without_stores
