"""The scheduled sweep where it runs: as a function, on the stores of a deployment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from service import naming
from service.settings import Settings
from service.storage.clients import Clients, open_admin_clients, open_clients
from service.storage.sweep_notes import NOTE
from tests.e2e.localstack.harness import Endpoint
from tests.e2e.localstack.sample.deployment import client, invoke
from tests.support.api import HttpApi, new_user
from tests.support.real_images import real_image
from tests.support.stores import records_of

LONG_AGO = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
async def api(gateway: str) -> AsyncIterator[HttpApi]:
    async with aiohttp.ClientSession() as browser:
        yield HttpApi(browser, gateway)


@pytest.fixture
async def settings(gateway: str, localstack: Endpoint) -> Settings:
    return replace(Settings(), aws_endpoint_url=localstack.url)


@pytest.fixture
async def clients(settings: Settings) -> AsyncIterator[Clients]:
    async with open_admin_clients(settings) as clients:
        yield clients


async def test_the_sweep_settles_what_was_left_behind_and_touches_nothing_else(
    api: HttpApi, functions: Any, settings: Settings, clients: Clients
) -> None:
    image = real_image("image/png")
    user = new_user()
    marked, kept = [await api.upload(user, image) for _ in range(2)]
    claimed = (await api.stage(user, image))["image_id"]
    async with open_clients(settings) as plain:
        records = records_of(plain, settings)
        await records.mark_deleting(marked, user, LONG_AGO)
        done = await records.find(kept)
        assert done is not None
        claim = replace(
            done,
            image_id=claimed,
            status="pending",
            upload_timestamp=LONG_AGO,
            s3_key=naming.final_key(user, claimed, image.filename),
        )
        assert await records.create(claim) is None
        await clients.dynamodb.delete_item(
            TableName=settings.usage_table_name, Key={"counter": {"S": NOTE}}
        )
        answer, error, log = await invoke(functions, "sweep_images", {"full_every_days": 7})
        assert error is None, log
        assert [report["complete"] for report in answer["reports"]] == [True, True]
        deletions = answer["reports"][0]["found"]["unfinished_deletion"]
        assert marked in {each["name"] for each in deletions["samples"]}
        uploads = answer["reports"][1]["found"]["unfinished_upload"]
        assert {"name": claimed, "outcome": "published"} in uploads["samples"]
        assert await records.find(marked) is None
    assert sorted(await api.ids(user_id=user)) == sorted([kept, claimed])
    for image_id in (kept, claimed):
        link = await api.ok("GET", f"/images/{image_id}/download-url")
        assert (await api.fetch(link["presigned_url"])).body == image.body
    # The next run leaves the full sweep for its day.
    answer, error, log = await invoke(functions, "sweep_images", {"full_every_days": 7})
    assert error is None, log
    assert len(answer["reports"]) == 1


async def test_its_schedule_is_there_and_names_it(localstack: Endpoint, gateway: str) -> None:
    async with client(localstack, "events") as events, client(localstack, "lambda") as functions:
        sweep = await functions.get_function(FunctionName="sweep_images")
        rules = (
            await events.list_rule_names_by_target(TargetArn=sweep["Configuration"]["FunctionArn"])
        )["RuleNames"]
        (rule,) = await asyncio.gather(*(events.describe_rule(Name=name) for name in rules))
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 day)", "ENABLED")
