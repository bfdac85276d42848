"""One service on stores of its own: whoever races here leaves them for the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from service.settings import Settings
from tests.edges import conftest as edges
from tests.support.api import Api, HttpApi
from tests.support.stores import held_open, provisioned, random_settings

credentials, stores, browser = edges.credentials, edges.stores, edges.browser


@pytest.fixture(scope="session")
def arena(stores: Settings) -> Iterator[Settings]:
    """Settings of the stores that are raced on."""
    settings = random_settings(stores.aws_endpoint_url or "")
    with held_open(provisioned(settings)):
        yield settings


@pytest.fixture(scope="session")
def address(arena: Settings) -> Iterator[str]:
    """The service: throttled by nothing here."""
    with held_open(edges.open_door(arena)) as served:
        yield served


@pytest.fixture
async def api(browser: aiohttp.ClientSession, address: str) -> AsyncIterator[Api]:
    yield HttpApi(browser, address)
