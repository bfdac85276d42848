"""The real server, killed by SIGKILL before and after every store call of every operation.

The calls are counted by a proxy between the server and its stores, so a new call is a new test by
itself. `make kill` runs each with every rescue, with and without a quota; the usual run takes one
of each.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from service.settings import Settings
from service.storage.clients import Clients, open_admin_clients
from service.storage.sweeping import stores_of
from service.sweeper import Orders, sweep
from tests.support.api import HttpApi, new_user
from tests.support.consistency import Contents, contents_of, violations
from tests.support.killing_proxy import KillingProxy, Process, killing_proxy
from tests.support.real_images import real_image
from tests.support.server import clean_environment
from tests.support.stores import (
    environment_of,
    no_real_account,
    provision,
    random_settings,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="kills by handle, as Linux offers it"),
]

ALL = os.environ.get("KILL") == "all"
QUOTAS = {"a quota": 1_000_000_000, "no quota": 0}
ROOT = Path(__file__).parents[2]
IMAGE = real_image("image/png")
LONG_AGO = "2026-01-01T00:00:00.000000Z"
_SECONDS = 60


@dataclass
class Nursery:
    """Makes servers. `url` of the stores is the proxy's, which may kill each of them."""

    process: asyncio.subprocess.Process

    async def server(self, environment: dict[str, str]) -> tuple[Process, str]:
        """A new server, listening: its process and its address."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(environment).encode() + b"\n")
        text = ""
        async with asyncio.timeout(_SECONDS):
            while "Ctrl-C" not in text:
                line = await self.process.stdout.readline()
                assert line, f"the server ended at its start: {text}"
                text += line.decode()
        found = re.search(r"Process (\d+).*Page\s+(http://\S+)/", text, re.DOTALL)
        assert found is not None, text
        return Process(int(found[1])), found[2]


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.kill.nursery"),
        cwd=ROOT,
        env=clean_environment(),
        stdin=PIPE,
        stdout=PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Nursery(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@dataclass
class Site:
    """Stores, a server on them that nobody kills (`api`), and what makes those that are killed."""

    settings: Settings
    clients: Clients
    browser: aiohttp.ClientSession
    proxy: KillingProxy
    servers: Nursery
    api: HttpApi
    neighbour: str = field(default_factory=new_user)

    async def contents(self) -> Contents:
        return await contents_of(self.clients, self.settings)

    async def sweep(self) -> None:
        """A sweep two days later."""
        report = await sweep(
            stores_of(self.settings, self.clients),
            Orders(apply=True),
            timedelta(minutes=1),
            now=lambda: datetime.now(UTC) + timedelta(days=2),
        )
        assert report.place is None, report.error
        assert report.left == 0, report.document()

    async def let_time_pass(self) -> None:
        """Make every deletion under way one that began long ago, and so is nobody's any more."""
        items = (await self.clients.dynamodb.scan(TableName=self.settings.dynamodb_table_name))[
            "Items"
        ]
        for item in items:
            if "deleting_since" in item:
                await self.clients.dynamodb.update_item(
                    TableName=self.settings.dynamodb_table_name,
                    Key={"image_id": item["image_id"]},
                    UpdateExpression="SET deleting_since = :long_ago",
                    ExpressionAttributeValues={":long_ago": {"S": LONG_AGO}},
                )

    @asynccontextmanager
    async def doomed(self) -> AsyncIterator[tuple[Process, HttpApi]]:
        settings = replace(self.settings, aws_endpoint_url=self.proxy.url)
        environment = server_environment(settings)
        process, url = await self.servers.server(environment)
        try:
            yield process, HttpApi(self.browser, url)
        finally:
            process.kill()
            await process.ended()
            await self.proxy.settle()


def server_environment(settings: Settings) -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return clean_environment(**environment_of(settings) | {"PORT": "0"}, **keys)


@pytest.fixture(scope="module")
def backend(embedded: str) -> Iterator[str]:
    with no_real_account():
        yield embedded


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=QUOTAS if ALL else list(QUOTAS)[:1]
)
async def site(request: pytest.FixtureRequest, backend: str) -> AsyncIterator[Site]:
    settings = replace(
        random_settings(backend),
        s3_public_endpoint_url=backend,
        storage_quota_bytes=QUOTAS[request.param],
    )
    await provision(settings)
    async with AsyncExitStack() as stack:
        clients = await stack.enter_async_context(open_admin_clients(settings))
        browser = await stack.enter_async_context(aiohttp.ClientSession())
        proxy = await stack.enter_async_context(killing_proxy(backend))
        servers = await stack.enter_async_context(nursery())
        _, url = await servers.server(server_environment(settings))
        site = Site(settings, clients, browser, proxy, servers, HttpApi(browser, url))
        for _ in range(2):
            await site.api.upload(site.neighbour, IMAGE, tags=["mine"])
        await site.api.stage(site.neighbour, IMAGE)
        yield site


# What is done, in which setting, and what is there in the end.

Setting = Callable[[HttpApi, str], Awaitable[list[str]]]
Act = Callable[[HttpApi, str, list[str]], Awaitable[int]]


async def staged(api: HttpApi, user: str) -> list[str]:
    return [(await api.stage(user, IMAGE, tags=["sea"]))["image_id"]]


async def completed(api: HttpApi, user: str) -> list[str]:
    return [await api.upload(user, IMAGE, tags=["sea"])]


async def two_completed(api: HttpApi, user: str) -> list[str]:
    return [*await completed(api, user), *await completed(api, user)]


async def complete(api: HttpApi, user: str, ids: list[str]) -> int:
    return (await api.complete(user, ids[0])).status


async def delete(api: HttpApi, user: str, ids: list[str]) -> int:
    return (await api.request("DELETE", f"/images/{ids[0]}", json={"user_id": user})).status


async def edit(api: HttpApi, user: str, ids: list[str]) -> int:
    change = {"user_id": user, "tags": ["new"]}
    return (await api.request("PATCH", f"/images/{ids[0]}", json=change)).status


async def delete_both(api: HttpApi, user: str, ids: list[str]) -> int:
    body = {"user_id": user, "image_ids": ids}
    return (await api.request("POST", "/images/delete", json=body)).status


@dataclass(frozen=True)
class Operation:
    setting: Setting
    act: Act
    least_calls: int
    tags: list[str] | None
    """Of the image in the end; None where there is none."""


OPERATIONS = {
    "complete": Operation(staged, complete, 4, ["sea"]),
    "delete": Operation(completed, delete, 3, None),
    "edit": Operation(completed, edit, 1, ["new"]),
    "delete two": Operation(two_completed, delete_both, 6, None),
}


async def assert_whole(site: Site, user: str) -> list[dict[str, object]]:
    """Whatever the user is shown has its bytes; gives it."""
    page = await site.api.ok("GET", "/images", params={"user_id": user})
    for image in page["images"]:
        link = await site.api.ok("GET", f"/images/{image['image_id']}/download-url")
        assert (await site.api.fetch(link["presigned_url"])).body == IMAGE.body
    shown: list[dict[str, object]] = page["images"]
    return shown


SIDES, RESCUES = ("before", "after"), ("retry", "sweep")


@pytest.mark.parametrize(
    ("side", "rescue"),
    list(itertools.product(SIDES, RESCUES) if ALL else zip(SIDES, RESCUES, strict=True)),
)
# A batch makes the calls of a single delete, too, and more of them at once.
@pytest.mark.parametrize("name", [name for name in OPERATIONS if ALL or name != "delete"])
async def test_a_server_killed_at_any_store_call_leaves_nothing_lost_and_nothing_broken(
    site: Site, name: str, side: str, rescue: str
) -> None:
    operation = OPERATIONS[name]
    before = (await site.contents()).of_user(site.neighbour)
    for at in itertools.count():
        user = new_user()
        ids = await operation.setting(site.api, user)
        async with site.doomed() as (server, api):
            site.proxy.arm(server, at, after=side == "after")
            try:
                status = await operation.act(api, user, ids)
            except aiohttp.ClientError:
                assert site.proxy.fired
            else:
                assert status == 200
                assert not site.proxy.fired
        where = f"killed {side} call {at} of {site.proxy.calls}"
        seen = await site.contents()
        assert violations(seen, settled=False) == [], where
        await assert_whole(site, user)
        if rescue == "sweep":
            await site.sweep()
        if rescue == "retry" or name == "edit":
            await site.let_time_pass()
            status = await operation.act(site.api, user, ids)
            assert status == 200 or (name == "delete" and status == 404), where
        end = await site.contents()
        assert violations(end) == [], where
        assert end.of_user(site.neighbour) == before, where
        shown = await assert_whole(site, user)
        if rescue == "retry" or not site.proxy.fired:
            assert [image["tags"] for image in shown] == (
                [] if operation.tags is None else [operation.tags]
            ), where
        await forget(site, user)
        if not site.proxy.fired:
            assert at >= operation.least_calls
            return


async def forget(site: Site, user: str) -> None:
    """Delete what a user has, so that the stores stay small."""
    rest = await site.api.ids(user_id=user)
    if rest:
        assert await delete_both(site.api, user, rest) == 200
