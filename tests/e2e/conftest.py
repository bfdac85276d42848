"""One LocalStack for all end-to-end tests."""

import asyncio
import os
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from aiohttp import ClientSession
from localstack.harness import Endpoint, LocalStackUnavailable, running_localstack
from localstack.sample.deployment import Deployed, client, deploy


@pytest.fixture(scope="session")
def localstack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A running LocalStack, shared: tests name what they create so that they do not meet."""
    with ExitStack() as stack:
        workdir = tmp_path_factory.mktemp("localstack")
        try:
            endpoint = stack.enter_context(running_localstack(workdir))
        except LocalStackUnavailable as reason:
            if os.environ.get("CI"):  # there a skip would hide that nothing was tested
                raise
            pytest.skip(f"LocalStack cannot be installed: {reason}")
        yield endpoint


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of LocalStack's log with a test that failed on it, and where the rest is."""
    report = yield
    endpoint = getattr(item, "funcargs", {}).get("localstack")
    if report.failed and isinstance(endpoint, Endpoint):
        report.sections.append((f"LocalStack: {endpoint.log}", endpoint.last_lines()))
    return report
