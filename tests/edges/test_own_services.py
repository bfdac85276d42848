"""Services with settings of their own: throttled, with other limits, or with dead stores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from service.settings import Settings
from tests.edges.conftest import open_door
from tests.support.api import Api, HttpApi, new_user
from tests.support.real_images import real_image
from tests.support.stores import free_port, random_settings

OpenService = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def service(browser: aiohttp.ClientSession, stores: Settings) -> OpenService:
    """Opens a service whose settings differ in what is given."""

    @asynccontextmanager
    async def opened(settings: Settings = stores, **different: Any) -> AsyncIterator[Api]:
        async with open_door(replace(settings, **different)) as address:
            yield HttpApi(browser, address)

    return opened


async def test_a_service_that_is_not_busy_tells_what_remains(service: OpenService) -> None:
    async with service(throttle_rate_limit=1, throttle_burst_limit=5) as api:
        for remaining in (4, 3, 2):
            answer = await api.request("GET", "/images", params={"user_id": new_user()})
            assert answer.headers["RateLimit-Policy"] == '"burst";q=5;w=5'
            assert answer.headers["RateLimit"].startswith(f'"burst";r={remaining};t=')


async def test_a_burst_too_many_is_429_and_says_when_to_come_back(service: OpenService) -> None:
    async with service(throttle_rate_limit=1, throttle_burst_limit=3) as api:
        body = {"user_id": "a", "filename": "a", "content_type": "image/png", "file_size": 1}
        answers = [await api.request("POST", "/images/upload-url", json=body) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        answers[3].problem(429, "throttled")
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 2
        assert answers[3].headers["RateLimit"].startswith('"burst";r=0;')
        assert answers[3].headers["Access-Control-Allow-Origin"] == "*"
        # Even nonsense counts, or guessing would be free.
        (await api.request("POST", "/images/complete", json={})).problem(429, "throttled")


async def test_health_and_documents_are_never_throttled(service: OpenService) -> None:
    async with service(throttle_rate_limit=1, throttle_burst_limit=1) as api:
        for _ in range(3):
            for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs", "/"):
                answer = await api.request("GET", path)
                assert answer.status == 200
                assert "RateLimit" not in answer.headers
        assert (await api.request("GET", "/images", params={"user_id": "a"})).status == 200


async def test_origins_can_be_named(service: OpenService) -> None:
    mine, other = "https://app.example", "https://evil.example"
    async with service(cors_allow_origins=(mine, "http://localhost:3000")) as api:
        for path in ("/livez", "/nothing"):
            answer = await api.request("GET", path, headers={"Origin": mine})
            assert answer.headers["Access-Control-Allow-Origin"] == mine
            assert answer.headers["Vary"] == "Origin"
            for headers in ({"Origin": other}, {"Origin": "null"}, {}):
                answer = await api.request("GET", path, headers=headers)
                assert "Access-Control-Allow-Origin" not in answer.headers
                assert answer.headers["Vary"] == "Origin"
        preflight = {"Origin": other, "Access-Control-Request-Method": "POST"}
        answer = await api.request("OPTIONS", "/images/complete", headers=preflight)
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_limits_that_are_configured_hold(service: OpenService) -> None:
    async with service(
        max_file_size=1000,
        allowed_content_types=("image/png",),
        default_page_size=1,
        max_page_size=2,
        s3_presigned_url_expiry_upload=60,
        s3_presigned_url_expiry_download=30,
    ) as api:
        body = {"user_id": "a", "filename": "a", "content_type": "image/png", "file_size": 1000}
        assert (await api.ok("POST", "/images/upload-url", json=body))["expires_in"] == 60
        wrong = {**body, "file_size": 1001, "content_type": "image/jpeg"}
        answer = await api.request("POST", "/images/upload-url", json=wrong)
        assert answer.locations() == ["body.content_type", "body.file_size"]
        answer = await api.request("GET", "/images", params={"limit": 3})
        assert answer.locations() == ["query.limit"]
        user = new_user()
        image = real_image("image/png", 8, 8)
        assert image.size <= 1000
        ids = [await api.upload(user, image) for _ in range(2)]
        assert await api.ids(user_id=user) == [ids[1]]
        link = await api.ok("GET", f"/images/{ids[0]}/download-url")
        assert link["expires_in"] == 30
        document = await api.ok("GET", "/openapi.json")
        upload = document["components"]["schemas"]["UploadRequest"]["properties"]
        assert upload["file_size"]["maximum"] == 1000
        assert upload["content_type"]["enum"] == ["image/png"]


async def unavailable(api: Api) -> None:
    """Everything that needs a store is 503; what needs none works on."""
    image_id = str(uuid4())
    requests: list[tuple[str, str, Any]] = [
        ("GET", "/readyz", None),
        ("GET", "/images", None),
        ("GET", "/images?user_id=a", None),
        ("GET", f"/images/{image_id}", None),
        ("GET", f"/images/{image_id}/download-url", None),
        ("PATCH", f"/images/{image_id}", {"user_id": "a", "tags": []}),
        ("DELETE", f"/images/{image_id}", {"user_id": "a"}),
        ("POST", "/images/complete", {"user_id": "a", "image_id": image_id}),
        ("POST", "/images/download-urls", {"user_id": "a", "image_ids": [image_id]}),
    ]
    started = time.monotonic()
    answers = await asyncio.gather(
        *(api.request(method, path, json=body) for method, path, body in requests)
    )
    assert time.monotonic() - started < 5
    for answer in answers:
        problem = answer.problem(503, "store-unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert "127.0.0.1" not in str(problem)
    # Item by item where the store refuses; as a whole where the time for the request runs out.
    body = {"user_id": "a", "image_ids": [image_id]}
    batch = (await api.request("POST", "/images/delete", json=body)).json()
    assert {item["status"] for item in batch.get("results", [batch])} == {503}
    assert (await api.request("GET", "/livez")).status == 200
    assert (await api.declare("a", real_image()))["image_id"]


async def test_stores_that_nobody_listens_for_are_503(service: OpenService) -> None:
    dead = random_settings(f"http://127.0.0.1:{free_port()}")
    async with service(dead, request_time_limit=1) as api:
        await unavailable(api)


async def test_stores_that_never_answer_are_503_within_the_time_limit(
    service: OpenService,
) -> None:
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        silent = random_settings(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            async with service(silent, request_time_limit=1) as api:
                await unavailable(api)
        finally:
            over.set()


async def test_a_missing_bucket_or_table_is_not_ready(
    service: OpenService, stores: Settings
) -> None:
    name = uuid4().hex
    for lacking in ({"s3_bucket_name": name}, {"dynamodb_table_name": name}):
        async with service(stores, **lacking) as api:
            (await api.request("GET", "/readyz")).problem(503, "store-unavailable")
