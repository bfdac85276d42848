"""What a body may be, before anybody looks into it: the same on every door."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from service.endpoints import Call, Reply
from service.exchange import ApiRequest
from service.pipeline import MAX_BODY_BYTES
from tests.support.makers import an_api, an_endpoint, document_of

DECLARATION = {
    "user_id": "ann",
    "filename": "a.png",
    "content_type": "image/png",
    "file_size": 1,
}


@pytest.mark.parametrize(
    "coding", ["gzip", "deflate", "br", "GZIP", "identity, gzip", "unheard-of"]
)
async def test_a_compressed_body_is_not_read(coding: str) -> None:
    answer = await an_api()(
        "POST", "/images/upload-url", DECLARATION, headers={"content-encoding": coding}
    )
    assert answer.status == 415
    assert document_of(answer)["type"] == "urn:mont:problem:unsupported-body"
    assert "compressed" in document_of(answer)["detail"]


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
async def test_a_body_that_says_that_it_is_not_compressed_is_read(coding: str) -> None:
    answer = await an_api()(
        "POST", "/images/upload-url", DECLARATION, headers={"content-encoding": coding}
    )
    assert answer.status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 415),
        ({"origin": "https://evil.example", "content-type": "application/json"}, 200),
        ({}, 200),
    ],
)
async def test_a_page_cannot_send_what_it_does_not_name_and_so_need_not_ask_for(
    headers: dict[str, str], status: int
) -> None:
    body = orjson.dumps(DECLARATION)
    request = ApiRequest("POST", "/images/upload-url", headers=headers, body=body)
    assert (await an_api().pipeline.run(request)).status == status


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["/images", "/livez", "/nothing"])
async def test_a_body_too_large_is_refused_wherever_it_goes(method: str, path: str) -> None:
    answer = await an_api()(method, path, body=b"x" * (MAX_BODY_BYTES + 1))
    assert answer.status == 413


async def test_what_a_door_spent_on_reading_is_part_of_the_requests_time() -> None:
    async def endless(call: Call[Any, Any]) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    api = an_api(None, an_endpoint(endless), request_time_limit=900)
    async with asyncio.timeout(60):
        answer = await api.pipeline.run(ApiRequest("GET", "/probe"), waited=900)
    assert answer.status == 503
    assert document_of(answer)["type"] == "urn:mont:problem:store-unavailable"
