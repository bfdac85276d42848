"""The doors that the suite knocks on: here aiohttp's, on the embedded stores.

`api` is all that most tests use. To run them against another door, override `door`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from service.serve import open_standalone
from service.settings import Settings
from service.web import listening, make_server
from tests.support.api import Api, HttpApi
from tests.support.doors import difference
from tests.support.gateway import BridgeApi, Lambda
from tests.support.stores import (
    environment_of,
    held_open,
    no_real_account,
    provisioned,
    random_settings,
)


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    """Keys of no account, so that nothing here can ever reach a real one."""
    with no_real_account():
        yield


@asynccontextmanager
async def open_door(settings: Settings) -> AsyncIterator[str]:
    """Serve as `mont serve` does; gives the address."""
    async with (
        open_standalone(settings) as pipeline,
        listening(make_server(pipeline), "127.0.0.1", 0, grace=1) as (host, port),
    ):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="session")
def stores(credentials: None, embedded: str) -> Iterator[Settings]:
    """Settings that name a bucket and a table which are there."""
    settings = random_settings(embedded)
    with held_open(provisioned(settings)):
        yield settings


@pytest.fixture(scope="session")
def door(stores: Settings) -> Iterator[str]:
    """The address of one service for all tests: none of them may notice the others."""
    with held_open(open_door(stores)) as address:
        yield address


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="session")
def functions(stores: Settings) -> Iterator[Lambda]:
    """The Lambda functions, in one container."""
    container = Lambda(environment_of(stores))
    yield container
    container.close()


@pytest.fixture(params=["aiohttp", "bridge", "gateway"])
def api(request: pytest.FixtureRequest, browser: aiohttp.ClientSession) -> Api:
    """The same service behind each door in turn."""
    if (reason := difference(request.param, request.node.name)) is not None:
        pytest.skip(reason)
    if request.param == "bridge":
        return BridgeApi(browser, request.getfixturevalue("functions"))
    address = "door" if request.param == "aiohttp" else "gateway"
    return HttpApi(browser, request.getfixturevalue(address))
