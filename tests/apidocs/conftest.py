"""One served instance on the embedded backend."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.server import Server, running_server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[Server]:
    async with running_server("--backend", "embedded") as running:
        yield running
