"""Where the stores are, whose keys open them and over which connections: the SDK decides."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.httpsession import AIOHTTPSession
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import (
    EndpointConnectionError,
    ParamValidationError,
    ProxyConnectionError,
    SSLError,
    UnsupportedSignatureVersionError,
)
from botocore.loaders import create_loader
from botocore.session import get_session

from service.settings import Settings
from service.storage import patience
from service.storage.clients import Clients, open_clients
from service.storage.places import Place, plain_bucket, plain_tables
from service.storage.sdk import _SERVICES, Sdk
from service.storage.transport import StoreSession
from tests.support.scripted import ScriptedStore, says, scripted_store
from tests.support.stores import free_port
from tests.support.tls import certificate_of_this_machine, serving_with

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
ITEM = {"id": {"S": "a"}}
FOUND = says(200, json.dumps({"Item": ITEM}).encode())


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests has no say."""
    for name in (
        *("AWS_SESSION_TOKEN", "AWS_PROFILE", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"),
        *("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(patience, "TRIES", 1)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


async def places(settings: Settings) -> tuple[Place, Place]:
    """Of the bucket and of the tables, as the SDK knows them."""
    async with AsyncExitStack() as stack:
        sdk = Sdk(settings, stack)
        s3 = await sdk.reach("s3", settings.aws_endpoint_url)
        dynamodb = await sdk.reach("dynamodb", settings.aws_endpoint_url)
        return await s3.locate(settings.s3_bucket_name), await dynamodb.locate("")


@asynccontextmanager
async def all_ways(settings: Settings) -> AsyncIterator[list[Clients]]:
    """Clients that asked the SDK, and such that read the environment."""
    async with open_clients(settings) as asking, open_clients(settings, KEYS) as reading:
        yield [asking, reading]


def get_item(clients: Clients) -> Any:
    return clients.dynamodb.get_item(TableName="t", Key=ITEM)


# --- places ---------------------------------------------------------------------------------------


def regions() -> list[str]:
    session = get_session()
    known = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("s3", partition)
    }
    return sorted(known)


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "ap-southeast-2"])
async def test_a_plain_place_is_where_the_sdk_would_look(region: str) -> None:
    settings = Settings(aws_region=region, s3_bucket_name="mont")
    found = plain_bucket(region, None, "mont"), plain_tables(region, None)
    assert await places(settings) == found


def test_every_plain_place_is_at_the_address_that_the_rules_of_botocore_say() -> None:
    loader = create_loader()
    partitions = loader.load_data("partitions")

    def address(service: str, region: str, **more: object) -> str:
        rules = loader.load_service_model(service, "endpoint-rule-set-1")
        options = {"UseFIPS": False, "UseDualStack": False, **more}
        found = EndpointProvider(rules, partitions).resolve_endpoint(Region=region, **options)
        url: str = found.url
        return url

    plain = 0
    for region in regions():
        bucket, tables = plain_bucket(region, None, "mont"), plain_tables(region, None)
        assert (bucket is None) == (tables is None)
        if bucket is not None and tables is not None:
            plain += 1
            glob = region == "us-east-1"  # whose bucket names have no region in them
            s3 = address("s3", region, Bucket="mont", Accelerate=False, UseGlobalEndpoint=glob)
            assert (bucket.url, tables.url) == (s3, address("dynamodb", region))
    assert 20 < plain < len(regions())


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "https://aws.example:8443/base"])
async def test_an_endpoint_of_ones_own_is_the_place(endpoint: str) -> None:
    settings = Settings(aws_region="eu-west-3", aws_endpoint_url=endpoint, s3_bucket_name="mont")
    assert await places(settings) == (
        plain_bucket("eu-west-3", endpoint, "mont"),
        plain_tables("eu-west-3", endpoint),
    )


@pytest.mark.parametrize(
    ("environment", "bucket", "tables"),
    [
        (
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "https://mont.s3-fips.us-west-2.amazonaws.com",
            "https://dynamodb-fips.us-west-2.amazonaws.com",
        ),
        (
            {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://mont.s3.dualstack.us-west-2.amazonaws.com",
            "https://dynamodb.us-west-2.api.aws",
        ),
        (
            {"AWS_ENDPOINT_URL_DYNAMODB": "http://localhost:8000"},
            "https://mont.s3.us-west-2.amazonaws.com",
            "http://localhost:8000",
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "http://storage:9000"},
            "http://mont.storage:9000",
            "https://dynamodb.us-west-2.amazonaws.com",
        ),
        (
            {"AWS_ACCOUNT_ID": "123456789012"},
            "https://mont.s3.us-west-2.amazonaws.com",
            "https://123456789012.ddb.us-west-2.amazonaws.com",
        ),
    ],
    ids=str,
)
async def test_variables_of_the_sdk_have_their_say(
    environment: Mapping[str, str], bucket: str, tables: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = await places(Settings(aws_region="us-west-2", s3_bucket_name="mont"))
    assert found == (Place(bucket, "us-west-2", "s3"), Place(tables, "us-west-2", "dynamodb"))


@pytest.mark.parametrize("service", _SERVICES)
def test_the_short_descriptions_say_what_botocores_own_do(service: str) -> None:
    model = get_session().get_service_model(service)
    metadata = model.metadata
    ours = _SERVICES[service]
    assert {name: metadata.get(name) for name in ours} == ours
    # What is left out are names for people and what checksums are called.
    assert set(metadata) - set(ours) <= {"serviceAbbreviation", "serviceFullName", "checksumFormat"}


# --- keys -----------------------------------------------------------------------------------------


@pytest.fixture
async def store() -> AsyncIterator[ScriptedStore]:
    async with scripted_store() as store:
        store.script = [FOUND]
        yield store


async def test_a_session_token_is_sent_and_signed(
    store: ScriptedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "to/ken+==")
    settings = Settings(aws_endpoint_url=store.url)
    environment = {**KEYS, "AWS_SESSION_TOKEN": "to/ken+=="}
    async with open_clients(settings) as asking, open_clients(settings, environment) as reading:
        for clients in (asking, reading):
            store.script = [FOUND, says(200)]
            await get_item(clients)
            await clients.s3.head_bucket(Bucket="mont")
    assert len(store.asked) == 4
    for asked in store.asked:
        assert asked.headers["x-amz-security-token"] == "to/ken+=="
        assert "x-amz-security-token" in asked.headers["authorization"]


ROTATING = """
import datetime, json, pathlib
count = pathlib.Path({path!r})
number = int(count.read_text() or 0) + 1 if count.exists() else 1
count.write_text(str(number))
soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=12)
print(json.dumps({{"Version": 1, "AccessKeyId": f"KEY{{number}}", "SecretAccessKey": f"s{{number}}",
    "SessionToken": f"token{{number}}", "Expiration": soon.isoformat()}}))
"""


async def test_keys_that_end_are_refreshed_by_the_sdk_and_the_next_call_has_the_new_ones(
    store: ScriptedStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    script = tmp_path / "rotate.py"
    script.write_text(ROTATING.format(path=str(tmp_path / "count")))
    (tmp_path / "config").write_text(
        f"[profile rotating]\ncredential_process = {sys.executable} -S {script}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "rotating")
    async with open_clients(Settings(aws_endpoint_url=store.url)) as clients:
        for _ in range(2):  # within a quarter of an hour of their end, the SDK gets new ones
            await get_item(clients)
        form = await clients.signer.generate_presigned_post(
            "mont", "a", Fields={}, Conditions=[], ExpiresIn=60
        )
    used = [asked.headers["authorization"].split("=")[1].split("/")[0] for asked in store.asked]
    tokens = [asked.headers["x-amz-security-token"] for asked in store.asked]
    last = form["fields"]["x-amz-credential"].split("/")[0]
    numbers = [int(key.removeprefix("KEY")) for key in (*used, last)]
    assert numbers == sorted(set(numbers))
    assert tokens == [f"token{number}" for number in numbers[:2]]


async def test_an_emulator_is_asked_with_some_keys_where_there_are_none(
    store: ScriptedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    async with open_clients(Settings(aws_endpoint_url=store.url)) as clients:
        await get_item(clients)
    assert "Credential=test/" in store.asked[0].headers["authorization"]


# --- connections ----------------------------------------------------------------------------------


async def test_connections_are_aiohttps_although_httpx_is_installed() -> None:
    import httpx  # so that this says something

    assert httpx
    async with AsyncExitStack() as stack:
        reach = await Sdk(Settings(), stack).reach("s3", None)
        assert type(await reach.connect()) is StoreSession
    assert issubclass(StoreSession, AIOHTTPSession)


async def test_what_is_used_of_aiobotocore_beside_its_interface_is_where_it_was() -> None:
    async with AIOHTTPSession(verify=False, proxies={"http": "proxy:1"}) as session:
        assert session._proxy_config.proxy_url_for("http://") == "http://proxy:1"
        assert session._proxy_config.proxy_url_for("https://") is None
        assert await session._get_session(None) is await session._get_session(None)
    async with AsyncExitStack() as stack:
        sdk = Sdk(Settings(), stack)
        client = await stack.enter_async_context(
            sdk._session.create_client("s3", region_name="eu-west-1")
        )
        assert isinstance(client._endpoint.http_session, AIOHTTPSession)
        assert callable(client._ruleset_resolver.construct_endpoint)


async def test_connections_go_through_the_proxy_that_the_environment_names(
    store: ScriptedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", store.url)
    async with open_clients(Settings(aws_endpoint_url="http://dynamodb.test:99")) as clients:
        assert (await get_item(clients))["Item"] == ITEM
    assert store.asked[0].target == "http://dynamodb.test:99/"


async def test_a_proxy_that_is_not_there_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:hidden@127.0.0.1:{free_port()}")
    async with open_clients(Settings(aws_endpoint_url="http://dynamodb.test")) as clients:
        with pytest.raises((ProxyConnectionError, EndpointConnectionError)) as caught:
            await get_item(clients)
    assert "hidden" not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_of_this_machine(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def tls_store(certificate: Path) -> AsyncIterator[ScriptedStore]:
    async with scripted_store(serving_with(certificate)) as store:
        store.script = [FOUND]
        yield store


async def test_a_store_whose_certificate_nobody_trusts_is_told_nothing(
    tls_store: ScriptedStore,
) -> None:
    async with all_ways(Settings(aws_endpoint_url=tls_store.url)) as ways:
        for clients in ways:
            with pytest.raises(SSLError):
                await get_item(clients)
    assert tls_store.asked == []


async def test_authorities_of_ones_own_are_trusted(
    tls_store: ScriptedStore, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    settings = Settings(aws_endpoint_url=tls_store.url)
    environment = {**KEYS, "AWS_CA_BUNDLE": str(certificate)}
    async with open_clients(settings) as asking, open_clients(settings, environment) as reading:
        for clients in (asking, reading):
            assert (await get_item(clients))["Item"] == ITEM


async def test_there_are_no_more_connections_than_the_settings_allow(store: ScriptedStore) -> None:
    settings = replace(Settings(), aws_endpoint_url=store.url, max_connections=2)
    async with all_ways(settings) as ways:
        for clients in ways:
            store.connections = 0
            await asyncio.gather(*(get_item(clients) for _ in range(8)))
            assert 1 <= store.connections <= 2


@pytest.mark.parametrize("bucket", ["mont--euw1-az1--x-s3", "mont-abc--ol-s3", "mont-abc-s3alias"])
async def test_a_bucket_of_another_kind_is_for_the_sdk_to_find(bucket: str) -> None:
    assert plain_bucket("eu-west-1", None, bucket) is None
    assert plain_bucket("eu-west-1", None, bucket.replace("-", "")) is not None


async def test_a_bucket_that_takes_other_signatures_is_refused_at_the_start() -> None:
    settings = Settings(aws_region="eu-west-1", s3_bucket_name="mont--euw1-az1--x-s3")
    with pytest.raises(UnsupportedSignatureVersionError, match="s3express"):
        async with open_clients(settings):
            pass


async def test_each_bucket_has_a_place_of_its_own(store: ScriptedStore) -> None:
    store.script = [says(200)]
    async with all_ways(Settings(aws_endpoint_url=store.url, s3_bucket_name="mont")) as ways:
        for clients in ways:
            for bucket in ("mont", "other"):
                await clients.s3.head_bucket(Bucket=bucket)
    assert [asked.target for asked in store.asked] == ["/mont", "/other"] * 2


async def test_a_bucket_whose_place_is_not_plain_is_not_guessed() -> None:
    async with open_clients(Settings(aws_region="eu-west-1"), KEYS) as clients:
        with pytest.raises(ParamValidationError, match=r"with\.dots"):
            await clients.s3.head_bucket(Bucket="with.dots")
