"""Both doors, on stores that work: whatever comes in, no answer may be a failure of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.settings import Settings
from tests.edges import conftest as edges
from tests.fuzz.knocking import BridgeDoor, Door, HttpDoor
from tests.support.identities import with_api_keys
from tests.support.stores import held_open

credentials, stores, door, functions = edges.credentials, edges.stores, edges.door, edges.functions


@pytest.fixture(scope="session", params=["aiohttp", "bridge"])
def knock(request: pytest.FixtureRequest) -> Iterator[Door]:
    """One door after the other."""
    if request.param == "bridge":
        yield BridgeDoor(request.getfixturevalue("functions"))
        return
    http = HttpDoor(request.getfixturevalue("door"))
    yield http
    http.close()


@pytest.fixture(scope="session")
def guarded(stores: Settings) -> Iterator[tuple[HttpDoor, str]]:
    """A door that asks for keys, and a good key."""
    with (
        held_open(with_api_keys(stores)) as kept,
        held_open(edges.open_door(kept.settings)) as address,
    ):
        http = HttpDoor(address)
        yield http, kept.good["owner"]["X-API-Key"]
        http.close()
