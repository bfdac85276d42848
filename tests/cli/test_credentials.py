"""The same commands where the service asks who is there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cli.conftest import Mont, Photos, environment_of
from tests.support.api import new_user
from tests.support.server import Server, running_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(server: Server) -> AsyncIterator[Server]:
    """A second server on the same stores, which wants API keys."""
    environment = {"AWS_ENDPOINT_URL": server.backend, "AUTH_MODE": "api_key"}
    async with running_server("--backend", "aws", environment=environment) as running:
        yield running


@pytest.fixture
def keyed(server: Server, guarded: Server, tmp_path_factory: pytest.TempPathFactory) -> Mont:
    """`mont` with an API key and no user."""
    environment = environment_of(guarded.url, tmp_path_factory.mktemp("journal"))
    owner = environment.pop("MONT_USER")
    key = Mont({}).ok("keys", "create", "--owner", owner, AWS_ENDPOINT_URL=server.backend).strip()
    return Mont({**environment, "MONT_API_KEY": key})


def test_a_key_is_all_it_takes(keyed: Mont, photos: Photos) -> None:
    printed = keyed.ok("upload", photos(3))
    ids = [line.split("\t")[0] for line in printed.splitlines()]
    assert {line.split("\t")[0] for line in keyed.ok("ls").splitlines()} == {*ids}
    assert keyed.ok("tag", ids[0], "+mine") == "mine\n"
    assert keyed.ok("rm", "--yes", *ids).split() == ids
    assert set(keyed.ok("upload", photos(3)).splitlines()) == set(printed.splitlines())


def test_a_key_on_the_command_line_counts_more_than_the_variable(keyed: Mont) -> None:
    result = keyed("ls", "--api-key", "mont_" + "x" * 43)
    assert result.exit_code == 1
    assert "MONT_API_KEY" in result.stderr


def test_a_folder_is_given_up_at_the_first_refusal(keyed: Mont, photos: Photos) -> None:
    result = keyed("upload", photos(20), "--jobs", "1", MONT_API_KEY="mont_" + "x" * 43)
    assert result.exit_code == 1
    assert result.stderr.count("Unauthorized") == 1
    assert "19 left" in result.stderr


def test_the_doctor_tells_whose_key_it_is_and_that_it_fits(keyed: Mont) -> None:
    result = keyed("doctor", "--no-stores")
    assert result.exit_code == 0, result.output
    refused = keyed("doctor", "--no-stores", "--user", new_user())
    assert refused.exit_code == 1
    assert "caller" in refused.stdout
    nobody = keyed("doctor", "--no-stores", MONT_API_KEY="")
    assert "mont keys create" in nobody.stdout
