"""A served instance, and a proxy before it that does what networks do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.client import MontClient
from tests.client.proxy import Proxy, running_proxy
from tests.client.waits import no_waiting
from tests.support.api import new_user
from tests.support.server import Server, running_server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[Server]:
    async with running_server("--backend", "embedded") as running:
        yield running


@pytest.fixture
async def mont(server: Server) -> AsyncIterator[MontClient]:
    """A client of a user whom no other test knows."""
    async with MontClient(server.url, user_id=new_user()) as client:
        yield client


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with running_proxy(server.url, server.backend) as running:
        yield running


@pytest.fixture
async def shaky(proxy: Proxy) -> AsyncIterator[MontClient]:
    """A client that reaches everything through the proxy, and waits for nothing."""
    async with MontClient(proxy.url, user_id=new_user(), retries=no_waiting()) as client:
        yield client
