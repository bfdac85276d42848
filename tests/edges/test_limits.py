"""Limits through both doors: one quota for all replicas of either kind, room for each user."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import pytest

from service.operations.keys import create_key
from service.settings import Settings
from service.storage.api_keys import DynamoDBApiKeys
from service.storage.clients import open_clients
from tests.edges.conftest import open_door
from tests.support.api import Api, HttpApi, new_user
from tests.support.gateway import BridgeApi, Lambda
from tests.support.real_images import real_image
from tests.support.stores import environment_of, random_settings

SMALL = real_image("image/png", 8, 8)


@asynccontextmanager
async def served(
    settings: Settings, browser: aiohttp.ClientSession, *doors: str
) -> AsyncIterator[list[Api]]:
    """A service of its own behind each door, on the same stores."""
    async with AsyncExitStack() as stack:
        apis: list[Api] = []
        for door in doors:
            if door == "bridge":
                functions = Lambda(environment_of(settings))
                stack.callback(functions.close)
                apis.append(BridgeApi(browser, functions))
            else:
                address = await stack.enter_async_context(open_door(settings))
                apis.append(HttpApi(browser, address))
        yield apis


async def a_key(settings: Settings, quota: int | None) -> dict[str, str]:
    async with open_clients(settings) as clients:
        keys = DynamoDBApiKeys(clients.dynamodb, settings.api_keys_table_name)
        text, _ = await create_key(
            keys, new_user(), now=lambda: datetime.now(UTC), daily_quota=quota
        )
    return {"X-API-Key": text}


async def test_one_quota_holds_for_both_doors_together(
    stores: Settings, browser: aiohttp.ClientSession
) -> None:
    settings = replace(stores, auth_mode="api_key", daily_quota=60)
    key = await a_key(settings, None)
    async with served(settings, browser, "aiohttp", "bridge", "aiohttp") as apis:
        passed = 0
        for api in [*apis, *apis]:
            for _ in range(25):
                answer = await api.request("GET", "/images", headers=key)
                assert answer.status in {200, 429}
                passed += answer.status == 200
                assert '"daily";q=60;w=86400' in answer.headers["RateLimit-Policy"]
            assert '"daily";r=' in answer.headers["RateLimit"]
        assert 50 <= passed <= 60
        refused = await apis[1].request("GET", "/images", headers=key)
        refused.problem(429, "quota-exceeded")
        assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
        other = await a_key(settings, 1)
        assert (await apis[1].request("GET", "/images", headers=other)).status == 200


@pytest.mark.parametrize("door", ["aiohttp", "bridge"])
async def test_a_keys_own_quota_holds_exactly(
    stores: Settings, browser: aiohttp.ClientSession, door: str
) -> None:
    settings = replace(stores, auth_mode="api_key", daily_quota=0)
    key, free = await a_key(settings, 7), await a_key(settings, None)
    async with served(settings, browser, door) as (api,):
        statuses = [(await api.request("GET", "/images", headers=key)).status for _ in range(9)]
        assert statuses == [200] * 7 + [429] * 2
        answer = await api.request("GET", "/images", headers=free)
        assert "daily" not in answer.headers.get("RateLimit", "")
        assert (await api.request("GET", "/livez", headers=key)).status == 200


@pytest.mark.parametrize("door", ["aiohttp", "bridge"])
async def test_a_missing_table_of_usage_lets_requests_through(
    stores: Settings, browser: aiohttp.ClientSession, door: str
) -> None:
    settings = replace(stores, auth_mode="api_key", usage_table_name="nowhere", daily_quota=1)
    key = await a_key(settings, None)
    async with served(settings, browser, door) as (api,):
        statuses = [(await api.request("GET", "/images", headers=key)).status for _ in range(3)]
        assert statuses == [200] * 3
        if door == "aiohttp":
            metrics = (await api.request("GET", "/metrics")).body.decode()
            assert "mont_limiter_failures_total 3.0" in metrics.splitlines()


@pytest.mark.parametrize("door", ["aiohttp", "bridge"])
async def test_a_user_stores_what_there_is_room_for(
    stores: Settings, browser: aiohttp.ClientSession, door: str
) -> None:
    settings = replace(stores, storage_quota_bytes=10**6, storage_quota_images=2)
    async with served(settings, browser, door) as (api,):
        user = new_user()
        tickets = [await api.stage(user, SMALL) for _ in range(3)]
        ids = [ticket["image_id"] for ticket in tickets]
        answers = [await api.complete(user, image_id) for image_id in ids]
        assert [answer.status for answer in answers] == [200, 200, 403]
        problem = answers[2].problem(403, "storage-quota-exceeded")
        assert f"{2 * SMALL.size} of 1000000 bytes and 2 of 2 images" in problem["detail"]
        declared = {
            "user_id": user,
            "filename": "a.png",
            "content_type": "image/png",
            "file_size": 1,
        }
        refused = await api.request("POST", "/images/upload-url", json=declared)
        refused.problem(403, "storage-quota-exceeded")
        assert (await api.complete(user, ids[0])).status == 200
        batch = {"user_id": user, "image_ids": ids[:1] * 2}
        await api.ok("POST", "/images/delete", json=batch)
        assert (await api.complete(user, ids[2])).status == 200, "what was staged has stayed"
        assert set(await api.ids(user_id=user)) == set(ids[1:])
        for image_id in ids[1:]:
            await api.ok("DELETE", f"/images/{image_id}", json={"user_id": user})
        assert await api.upload(user, SMALL)


async def test_a_service_whose_quota_has_no_table_is_not_ready(
    stores: Settings, browser: aiohttp.ClientSession
) -> None:
    lacking = replace(
        stores, storage_quota_bytes=1, usage_table_name=random_settings("http://x").usage_table_name
    )
    async with served(lacking, browser, "aiohttp") as (api,):
        (await api.request("GET", "/readyz")).problem(503, "store-unavailable")
