"""Key sets as an issuer publishes them, over HTTP: read whole, read safely, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.auth import jwks
from service.auth.jwks import KeysUnreadable, SigningKeys, UrlKeys
from service.settings import Settings, SettingsInvalid
from service.wiring import open_services
from tests.support.issuer import AUDIENCE, ISSUER, key_set, signer
from tests.support.makers import FakeClock
from tests.support.stores import free_port

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def issuer(answer: Answer) -> AsyncIterator[str]:
    """An issuer whose `/keys` answers so; its address."""
    app = web.Application()
    app.router.add_get("/keys", answer)
    app.router.add_get("/elsewhere", published)
    async with TestServer(app) as server:
        yield str(server.make_url("/keys"))


async def published(_: web.Request) -> web.StreamResponse:
    return web.Response(body=key_set(signer("ours")))


async def failing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, body=key_set(signer("ours")))


async def moved(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/elsewhere")


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(b" " * 65_536)
    return response


async def test_published_keys_are_read() -> None:
    async with issuer(published) as url:
        assert await SigningKeys(UrlKeys(url), FakeClock()).find("ours") is not None


@pytest.mark.parametrize("answer", [failing, moved, endless])
async def test_an_answer_that_is_no_key_set_is_none(answer: Answer) -> None:
    async with issuer(answer) as url:
        with pytest.raises(KeysUnreadable):
            await SigningKeys(UrlKeys(url), FakeClock()).load()


async def test_an_issuer_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "_FETCH_SECONDS", 0.1)
    over = asyncio.Event()

    async def silent(_: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    async with issuer(silent) as url:
        with pytest.raises(KeysUnreadable, match="TimeoutError"):
            await UrlKeys(url).read()
        over.set()


async def test_an_issuer_that_nobody_listens_for_is_unreadable() -> None:
    with pytest.raises(KeysUnreadable, match="Connect"):
        await UrlKeys(f"http://127.0.0.1:{free_port()}/keys").read()


async def test_those_who_know_their_key_do_not_wait_for_a_new_one() -> None:
    go_on, asked = asyncio.Event(), 0

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked > 1:
            await go_on.wait()
        return web.Response(body=key_set(signer("ours")))

    async with issuer(slow) as url:
        clock = FakeClock()
        keys = SigningKeys(UrlKeys(url), clock)
        await keys.load()
        clock.seconds += UrlKeys.lifetime
        waiting = [asyncio.create_task(keys.find("unknown")) for _ in range(20)]
        while asked < 2:
            await asyncio.sleep(0)
        assert await keys.find("ours") is not None
        go_on.set()
        assert await asyncio.gather(*waiting) == [None] * 20
        assert asked == 2


async def test_a_start_without_the_file_of_keys_says_so(stores: Settings) -> None:
    with pytest.raises(SettingsInvalid, match=r"JWT_JWKS cannot be used: /nowhere/keys\.json"):
        async with open_services(with_keys(stores, "/nowhere/keys.json")):
            pass


async def test_a_start_while_the_issuer_is_down_goes_on(stores: Settings) -> None:
    async with open_services(with_keys(stores, f"http://127.0.0.1:{free_port()}/keys")) as pipeline:
        assert pipeline


def with_keys(stores: Settings, place: str) -> Settings:
    return replace(
        stores, auth_mode="jwt", jwt_jwks=place, jwt_issuer=ISSUER, jwt_audience=AUDIENCE
    )
