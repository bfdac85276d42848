"""One LocalStack for all end-to-end tests."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.e2e.localstack.harness import Endpoint
from tests.e2e.localstack.sample.deployment import Deployed, client, deploy


@pytest.fixture(scope="session")
def sample(localstack: Endpoint) -> Deployed:
    """The sample stack, deployed once: no test changes what another one reads."""
    return asyncio.run(deploy(localstack))


@pytest.fixture
async def s3(localstack: Endpoint) -> AsyncIterator[Any]:
    """A client for S3 whose presigned requests carry signatures of version 4."""
    async with client(localstack, "s3") as s3:
        yield s3


@pytest.fixture
async def functions(localstack: Endpoint) -> AsyncIterator[Any]:
    """A client for Lambda."""
    async with client(localstack, "lambda") as functions:
        yield functions


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    """A plain HTTP client, as a browser or a front end would use."""
    async with ClientSession() as session:
        yield session
