"""Webhooks of a real server: signed, sent again until taken, and not lost with the process."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from click.testing import CliRunner

from service.__main__ import main
from service.client import MontClient
from service.embedded import embedded_backend
from service.events.signing import secrets_of, sign
from service.settings import Settings
from tests.support.real_images import real_images
from tests.support.server import running_server
from tests.support.stores import environment_of, no_real_account, provision, random_settings

SECRET = "whsec_" + base64.b64encode(b"m" * 32).decode()
_SECONDS = 60


@dataclass
class Receiver:
    """Takes webhooks, or answers something else; wakes whoever waits for one."""

    status: int = 204
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.received.append((dict(request.headers), await request.read()))
        self.news.set()
        return web.Response(status=self.status)

    async def types(self, number: int) -> list[str]:
        """What has come, once it is so many."""
        async with asyncio.timeout(_SECONDS):
            while len(self.received) < number:
                await self.news.wait()
                self.news.clear()
        return [json.loads(body)["type"] for _, body in self.received]


@asynccontextmanager
async def listening_receiver(receiver: Receiver, port: int = 0) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(receiver.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Site:
    settings: Settings

    def environment(self, **more: str) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return {**environment_of(self.settings), **keys, "PORT": "0", **more}

    async def mont(self, *arguments: str) -> tuple[int, str, str]:
        """`mont events` in the environment of the server."""
        runner = CliRunner(env=self.environment())
        done = await asyncio.to_thread(runner.invoke, main, ["events", *arguments])
        return done.exit_code, done.stdout, done.stderr


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    with no_real_account():
        async with embedded_backend() as endpoint:
            settings = replace(random_settings(endpoint), events="webhook")
            await provision(settings)
            yield Site(settings)


async def upload_and_delete(url: str) -> str:
    async with MontClient(url, user_id="ann") as mont:
        image = await mont.upload(real_images()[0].body, filename="a.jpg")
        await mont.delete(image.image_id)
        return image.image_id


async def says(url: str, line: str) -> None:
    """Return once the server's metrics say so: what became of an attempt is counted after it."""
    async with asyncio.timeout(_SECONDS), aiohttp.ClientSession() as browser:
        while True:
            async with browser.get(f"{url}/metrics") as answer:
                if line in (await answer.text()).splitlines():
                    return


async def test_an_image_is_told_of_and_each_webhook_can_be_verified(site: Site) -> None:
    receiver = Receiver()
    async with listening_receiver(receiver) as url:
        environment = site.environment(WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET)
        async with running_server("--backend", "aws", environment=environment) as server:
            image_id = await upload_and_delete(server.url)
            assert sorted(await receiver.types(2)) == ["image.completed", "image.deleted"]
            await says(server.url, 'mont_webhooks_total{outcome="delivered"} 2.0')
    ids = set()
    for headers, body in receiver.received:
        event_id, at = headers["webhook-id"], int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == sign(secrets_of(SECRET), event_id, at, body)
        assert json.loads(body)["data"]["image_id"] == image_id
        ids.add(event_id)
    assert len(ids) == 2


@dataclass
class Hesitant(Receiver):
    """Takes no first event before so many others have come."""

    others: int = 2

    async def answer(self, request: web.BaseRequest) -> web.Response:
        is_first = not self.received
        answer = await super().answer(request)
        if is_first:
            await self.types(1 + self.others)
        return answer


async def test_a_receiver_that_is_slow_over_one_event_gets_the_next_ones_meanwhile(
    site: Site,
) -> None:
    receiver = Hesitant()
    async with listening_receiver(receiver) as url:
        environment = site.environment(WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET)
        async with running_server("--backend", "aws", environment=environment) as server:
            async with MontClient(server.url, user_id="ann") as mont:
                image = await mont.upload(real_images()[0].body, filename="a.jpg")
                await receiver.types(1)
                await mont.delete(image.image_id)
                await mont.upload(real_images()[0].body, filename="b.jpg")
            await says(server.url, 'mont_webhooks_total{outcome="delivered"} 3.0')
            await says(server.url, 'mont_webhooks_total{outcome="retried"} 0.0')
    assert len(receiver.received) == 3  # so that none was sent again


async def test_a_killed_server_loses_no_event_and_the_next_one_sends_it(site: Site) -> None:
    receiver = Receiver()
    async with running_server("--backend", "aws", environment=site.environment()) as server:
        await upload_and_delete(server.url)
        await server.stop(signal.SIGKILL)
    async with listening_receiver(receiver) as url:
        environment = site.environment(WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET)
        async with running_server("--backend", "aws", environment=environment):
            assert sorted(await receiver.types(2)) == ["image.completed", "image.deleted"]


async def test_what_was_given_up_is_listed_and_sent_again_when_asked_for(site: Site) -> None:
    receiver = Receiver(status=410)
    async with listening_receiver(receiver) as url:
        environment = site.environment(WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET)
        async with running_server("--backend", "aws", environment=environment) as server:
            await upload_and_delete(server.url)
            await receiver.types(2)
            dead = await listed(site, "--state", "dead", number=2)
            assert {each["last_error"] for each in dead} == {"answered 410"}
            receiver.status = 204
            assert await site.mont("replay", "--dead") == (0, "", "2 events are due again.\n")
            await receiver.types(4)
            delivered = await listed(site, "--state", "delivered", number=2)
            first, second = (each["event_id"] for each in delivered)
            assert (await site.mont("replay", first))[0] == 0
            await receiver.types(5)
            assert {h["webhook-id"] for h, _ in receiver.received} == {first, second}
    status, _, message = await site.mont("replay", "evt_none")
    assert status == 1
    assert "evt_none" in message
    assert (await site.mont("replay"))[0] == 2
    assert (await site.mont("replay", "--since", "yesterday"))[0] == 2


async def listed(site: Site, *arguments: str, number: int) -> list[dict[str, Any]]:
    """So many events, once the server has noted what became of them."""
    async with asyncio.timeout(_SECONDS):
        while True:
            status, output, message = await site.mont("list", *arguments)
            assert status == 0, message
            lines = [json.loads(line) for line in output.splitlines()]
            if len(lines) == number:
                return lines
