"""The whole API behaves as a dictionary would, whatever several clients do to it in whatever order.

Through the aiohttp door and through the bridge, with bytes that really go to the store. When all is
done, the stores hold what is left and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import aiohttp
import pytest
from hypothesis.stateful import run_state_machine_as_test

from service.settings import Settings
from service.storage.clients import open_admin_clients
from tests.edges import conftest as edges
from tests.model.machine import Clients
from tests.support.api import Api, HttpApi
from tests.support.consistency import Contents, contents_of, violations
from tests.support.effort import searching
from tests.support.gateway import BridgeApi, Lambda
from tests.support.stores import environment_of, held_open, provision, random_settings

credentials, stores = edges.credentials, edges.stores
T = TypeVar("T")


@dataclass
class Street:
    """See `machine.Street`: one loop for all that a machine does."""

    api: Api
    runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


@contextmanager
def behind(name: str, settings: Settings, browser: aiohttp.ClientSession) -> Iterator[Api]:
    """The API of these stores behind a door."""
    if name == "aiohttp":
        with held_open(edges.open_door(settings)) as address:
            yield HttpApi(browser, address)
    else:
        functions = Lambda(environment_of(settings))
        yield BridgeApi(browser, functions)
        functions.close()


async def audited(settings: Settings) -> Contents:
    async with open_admin_clients(settings) as clients:
        return await contents_of(clients, settings)


async def a_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


@pytest.mark.parametrize("name", ["aiohttp", "bridge"])
def test_the_api_behaves_as_its_model(name: str, stores: Settings) -> None:
    settings = random_settings(stores.aws_endpoint_url or "")
    with asyncio.Runner() as runner:
        runner.run(provision(settings))
        browser = runner.run(a_session())
        with behind(name, settings, browser) as api:

            class Machine(Clients):
                street = Street(api, runner)

                def __init__(self) -> None:
                    super().__init__()
                    self.run_id = uuid4().hex

            run_state_machine_as_test(
                Machine, settings=searching(short=12, long=80, stateful_step_count=40)
            )
        runner.run(browser.close())

        contents = runner.run(audited(settings))
        assert violations(contents) == []
        assert not contents.records
        assert [key for key in contents.objects if not key.startswith("uploads/")] == []
