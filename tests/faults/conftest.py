"""The service on stores that fail when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import aiohttp
import pytest
from botocore.retries.standard import ExponentialBackoff

from service.serve import open_standalone
from service.settings import Settings
from service.web import listening, make_server
from tests.support.api import HttpApi
from tests.support.faultproxy import FaultProxy, fault_proxy
from tests.support.makers import FakeClock
from tests.support.stores import held_open, no_real_account, provisioned, random_settings


@dataclass(frozen=True)
class Service:
    """The service as its clients see it, and what is between it and its stores."""

    api: HttpApi
    proxy: FaultProxy
    clock: FakeClock
    patience: timedelta
    """How long it leaves what is under way to whoever began it."""

    def let_time_pass(self) -> None:
        """Whatever was under way is nobody's any more."""
        self.clock.seconds += self.patience.total_seconds() + 1


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    with no_real_account():
        yield


@pytest.fixture(scope="session")
def stores(credentials: None, embedded: str) -> Iterator[Settings]:
    """Settings that name a bucket and tables which are there."""
    settings = random_settings(embedded)
    with held_open(provisioned(settings)):
        yield settings


@asynccontextmanager
async def failing_service(stores: Settings, **changes: int) -> AsyncIterator[Service]:
    assert stores.aws_endpoint_url is not None
    async with fault_proxy(stores.aws_endpoint_url) as proxy:
        settings = replace(
            stores,
            aws_endpoint_url=proxy.address,
            s3_public_endpoint_url=stores.aws_endpoint_url,
            **changes,
        )
        clock = FakeClock()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("service.wiring._now", clock.now)
            async with (
                open_standalone(settings) as pipeline,
                listening(make_server(pipeline), "127.0.0.1", 0, grace=1) as (host, port),
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as browser,
            ):
                api = HttpApi(browser, f"http://{host}:{port}")
                yield Service(api, proxy, clock, settings.abandoned_after)
        # A black hole holds on to its calls until the proxy is gone.
        await asyncio.sleep(0)


@pytest.fixture
async def service(stores: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """With little time for each request and between two attempts, so that no test need wait."""
    delay = ExponentialBackoff.delay_amount
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *given: delay(*given) / 20)
    async with failing_service(stores, request_time_limit=3) as running:
        yield running
