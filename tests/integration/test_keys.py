"""mont keys: a key made on the command line opens the service, until it is revoked there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from click.testing import CliRunner, Result

from service.__main__ import main
from service.auth import api_keys
from service.operations.keys import looks_like_key
from service.settings import Settings, load_settings
from tests.edges.conftest import open_door
from tests.support.api import HttpApi
from tests.support.stores import environment_of, free_port, held_open, provisioned, random_settings


@dataclass
class Site:
    """Stores of a service with API keys, and `mont` in its environment."""

    settings: Settings
    environment: dict[str, str]

    def mont(self, *arguments: str) -> Result:
        return CliRunner(env=self.environment).invoke(main, ["keys", *arguments])

    def key(self, *arguments: str) -> tuple[str, str]:
        """A new key and its id."""
        made = self.mont("create", *arguments)
        assert made.exit_code == 0, made.output
        (key_id,) = re.findall(r"Key ([0-9a-f]{16}) of ", made.stderr)
        return made.stdout.removesuffix("\n"), key_id

    @asynccontextmanager
    async def service(self) -> AsyncIterator[HttpApi]:
        async with open_door(self.settings) as address, aiohttp.ClientSession() as browser:
            yield HttpApi(browser, address)


@pytest.fixture(scope="module")
def site(embedded: str) -> Iterator[Site]:
    environment = {
        **environment_of(random_settings(embedded)),
        "AUTH_MODE": "api_key",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    settings = load_settings(environment)
    with held_open(provisioned(settings)):
        yield Site(settings, environment)


def test_the_key_alone_is_on_standard_output(site: Site) -> None:
    made = site.mont("create", "--owner", "ann", "--expires", "30", "--quota", "500")
    assert looks_like_key(made.stdout.removesuffix("\n"))
    assert "not shown again" in made.stderr
    assert made.stdout.strip() not in made.stderr


def test_keys_are_listed_by_id_and_never_shown(site: Site) -> None:
    bobs, bob_id = site.key("--owner", "bob", "--quota", "7")
    services, service_id = site.key("--owner", "*", "--expires", "1")
    listed = site.mont("list").stdout
    lines = {line.split()[0]: line.split()[1:] for line in listed.splitlines()}
    assert lines["ID"] == ["OWNER", "STATE", "CREATED", "EXPIRES", "QUOTA"]
    assert lines[bob_id][:2] == ["bob", "active"]
    assert lines[bob_id][3:] == ["-", "7"]
    assert lines[service_id][:2] == ["*", "active"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines[service_id][3])
    assert bobs not in listed
    assert services not in listed
    assert site.mont("revoke", bob_id).exit_code == 0
    assert re.search(rf"^{bob_id} +bob +revoked", site.mont("list").stdout, re.MULTILINE)


async def test_a_key_opens_the_service_until_it_is_revoked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the half minute that a server believes in a key were over.
    monkeypatch.setattr(api_keys, "BELIEVED_SECONDS", 0)
    # Its loop would be in the way of this one.
    key, key_id = await asyncio.to_thread(site.key, "--owner", "ann")
    async with site.service() as api:
        headers = {"X-API-Key": key}
        assert (await api.request("GET", "/images", headers=headers)).status == 200
        assert (await api.request("GET", "/readyz")).status == 200
        (await api.request("GET", "/images")).problem(401, "unauthorized")
        assert (await asyncio.to_thread(site.mont, "revoke", key_id)).exit_code == 0
        answer = await api.request("GET", "/images", headers=headers)
        answer.problem(401, "unauthorized")


async def test_without_its_table_a_service_with_keys_is_not_ready(site: Site) -> None:
    lacking = {**site.environment, "API_KEYS_TABLE_NAME": "Nowhere"}
    async with Site(load_settings(lacking), lacking).service() as api:
        (await api.request("GET", "/readyz")).problem(503, "store-unavailable")
        key = "mont_" + "a" * 43
        answer = await api.request("GET", "/images", headers={"X-API-Key": key})
        answer.problem(503, "store-unavailable")


@pytest.mark.parametrize("owner", ["", "a/b", "..", "a b", "**", "a" * 129, "ann\n"])
def test_an_owner_that_no_request_could_name_is_refused(site: Site, owner: str) -> None:
    made = site.mont("create", "--owner", owner)
    assert (made.exit_code, made.stdout) == (2, "")
    assert "--owner" in made.stderr


@pytest.mark.parametrize(
    "arguments", [["--expires", "0"], ["--expires", "x"], ["--quota", "0"], ["--quota", "-1"]]
)
def test_numbers_that_make_no_sense_are_refused(site: Site, arguments: list[str]) -> None:
    assert site.mont("create", "--owner", "ann", *arguments).exit_code == 2


def test_only_a_whole_id_revokes(site: Site) -> None:
    _, key_id = site.key("--owner", "ann")
    for text in ("", key_id[:15], key_id.upper() + "A", "*", key_id + "0"):
        assert site.mont("revoke", text).exit_code == 2
    missing = site.mont("revoke", "0" * 16)
    assert missing.exit_code == 1
    assert "There is no key 0000000000000000" in missing.stderr
    assert re.search(rf"^{key_id} +ann +active", site.mont("list").stdout, re.MULTILINE)


def test_a_store_that_is_gone_is_named(site: Site) -> None:
    gone = {**site.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    for arguments in (["create", "--owner", "ann"], ["list"], ["revoke", "0" * 16]):
        failed = Site(site.settings, gone).mont(*arguments)
        assert (failed.exit_code, failed.stdout) == (1, "")
        assert "DynamoDB" in failed.stderr
