"""Forms and links signed here are the SDK's own, to the letter."""

from __future__ import annotations

import asyncio
import base64
import json
import string
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.disposition import content_disposition
from service.settings import Settings
from service.storage.clients import open_admin_clients, open_clients
from service.storage.places import FixedKeys, Keys, Place, plain_bucket, plain_keys
from service.storage.presigning import Presigner
from service.storage.signing import Clock

NOW = datetime(2026, 2, 13, 12, 0, 5, tzinfo=UTC)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "se/cr+et"}
BUCKET = "mont-images"
AWKWARD_KEYS = ["images/ann/a_b.jpg", "images/a@b.c:d+e/x y_~.jpg", "images/ann/ü%20&=?#.png"]
PLAIN: list[dict[str, Any]] = [
    {"aws_region": "us-east-1"},
    {"aws_region": "eu-central-1"},
    {"aws_region": "ap-southeast-2"},
    {"aws_endpoint_url": "http://127.0.0.1:4566"},
    {"aws_endpoint_url": "http://LocalHost:80"},
    {"aws_endpoint_url": "http://[::1]:4566"},
    {"aws_endpoint_url": "https://s3.example:9443/base", "aws_region": "eu-west-3"},
    {"aws_endpoint_url": "http://inside:1", "s3_public_endpoint_url": "http://localhost:4566"},
    {"aws_endpoint_url": "http://inside:1", "s3_bucket_name": "with.dots"},
]
ODD: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"aws_region": "cn-north-1"}, {}),
    ({"aws_region": "us-gov-west-1"}, {}),
    ({"aws_region": "eu-west-1", "s3_bucket_name": "with.dots"}, {}),
    ({"aws_region": "us-east-1"}, {"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional"}),
    ({"aws_region": "us-east-1"}, {"AWS_USE_FIPS_ENDPOINT": "true"}),
    ({"aws_region": "us-gov-east-1"}, {"AWS_USE_FIPS_ENDPOINT": "true"}),
    ({"aws_region": "eu-west-1"}, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}),
    ({"aws_region": "eu-west-1"}, {"AWS_ENDPOINT_URL_S3": "http://other:9000"}),
    ({"s3_public_endpoint_url": "https://public.example"}, {"AWS_ENDPOINT_URL_S3": "http://o"}),
]


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests has no say in what is signed."""
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@contextmanager
def stopped_clocks() -> Iterator[None]:
    """It is NOW for the SDK and for us."""
    naive = NOW.replace(tzinfo=None)
    with ExitStack() as stack:
        for place in ("botocore.auth", "botocore.signers", "aiobotocore.signers"):
            stack.enter_context(patch(f"{place}.get_current_datetime", lambda: naive))
        stack.enter_context(patch("service.storage.clients.Clock", a_clock))
        yield


def a_clock() -> Clock:
    return Clock(NOW.timestamp)


async def form_and_link(
    signer: Any, key: str, bucket: str = BUCKET, filename: str = 'a "b" ä.png'
) -> tuple[Any, str]:
    fields = {"Content-Type": "image/jpeg", "x-amz-meta-mont-declared": "jWyJhIl0="}
    conditions: list[object] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", 7, 7])
    form = await signer.generate_presigned_post(
        bucket, key, Fields=dict(fields), Conditions=list(conditions), ExpiresIn=3600
    )
    link = await signer.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": bucket,
            "Key": key,
            "ResponseContentType": "image/svg+xml",
            "ResponseContentDisposition": content_disposition("attachment", filename),
        },
        ExpiresIn=900,
    )
    return form, link


async def assert_the_same(place: Settings, environment: dict[str, str]) -> None:
    """The signer that reads the environment, the one that asks the SDK, and the SDK's agree."""
    bucket = place.s3_bucket_name
    with stopped_clocks():
        async with (
            open_admin_clients(place) as sdk,
            open_clients(place) as asking,
            open_clients(place, environment) as reading,
        ):
            theirs = [await form_and_link(sdk.signer, key, bucket) for key in AWKWARD_KEYS]
            for own in (asking, reading):
                assert isinstance(own.signer, Presigner)
                ours = [await form_and_link(own.signer, key, bucket) for key in AWKWARD_KEYS]
                assert ours == theirs
                assert list(ours[0][0]["fields"]) == list(theirs[0][0]["fields"])


@pytest.mark.parametrize(
    ("place", "token"), list(zip(PLAIN, cycle([None, "to/ken+=="]), strict=False)), ids=str
)
async def test_where_the_environment_says_all_it_signs_to_the_letter_as_the_sdk_does(
    place: dict[str, Any], token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(KEYS)
    if token is not None:
        environment["AWS_SESSION_TOKEN"] = token
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    whole = replace(Settings(s3_bucket_name=BUCKET), **place)
    assert plain_keys(environment)
    await assert_the_same(whole, environment)


@pytest.mark.parametrize(("place", "more"), ODD, ids=str)
async def test_where_something_else_has_a_say_it_still_does(
    place: dict[str, Any], more: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in more.items():
        monkeypatch.setenv(name, value)
    whole = replace(Settings(s3_bucket_name=BUCKET), **place)
    await assert_the_same(whole, {**KEYS, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"AWS_PROFILE": "other"},
        {"AWS_CA_BUNDLE": "/etc/own.pem"},
        {"AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"},
        {"HTTPS_PROXY": "http://proxy"},
        {"https_proxy": "http://proxy"},
        {"REQUESTS_CA_BUNDLE": "/etc/own.pem"},
        {"AWS_SECRET_ACCESS_KEY": ""},
    ],
    ids=str,
)
def test_a_variable_that_lambda_does_not_set_is_for_the_sdk_to_read(more: dict[str, str]) -> None:
    lambdas = {
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "PATH": "/bin",
    }
    assert plain_keys({**KEYS, **lambdas}) == FixedKeys("AKIDEXAMPLE", "se/cr+et")
    assert plain_keys({**KEYS, **lambdas, **more}) is None


_keys = st.text(
    st.one_of(st.sampled_from(string.printable), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=60,
).filter(lambda key: "\n" not in key and "\r" not in key and not key.startswith("/"))
_tokens = st.none() | st.text(string.ascii_letters + string.digits + "/+=", min_size=1)


@settings(max_examples=150)
@given(
    key=_keys,
    filename=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    secret=st.text(string.ascii_letters + "/+", min_size=1, max_size=40),
    token=_tokens,
    place=st.sampled_from(
        [
            Place("https://mont-images.s3.eu-west-3.amazonaws.com", "eu-west-3", "s3"),
            Place("http://localhost:4566/mont-images", "us-east-1", "s3"),
        ]
    ),
)
def test_awkward_keys_names_and_tokens_make_no_difference(
    key: str, filename: str, secret: str, token: str | None, place: Place
) -> None:
    keys = FixedKeys("AKIDEXAMPLE", secret, token)
    sdk = _sdk_signer(place)
    sdk._request_signer._credentials = _Frozen(keys)
    own = Presigner(keys, place, a_clock())
    with stopped_clocks():
        theirs = asyncio.run(form_and_link(sdk, key, filename=filename))
        ours = asyncio.run(form_and_link(own, key, filename=filename))
    assert ours == theirs


@dataclass(frozen=True)
class _Frozen:
    """Keys as a client of the SDK asks for them."""

    keys: FixedKeys

    async def get_frozen_credentials(self) -> Keys:
        return self.keys

    def __getattr__(self, name: str) -> Any:
        return getattr(self.keys, name)


_signers: dict[Place, Any] = {}


def _sdk_signer(place: Place) -> Any:
    """A client of the SDK for this place; one does for all examples."""

    async def make() -> Any:
        endpoint = "http://localhost:4566" if "localhost" in place.url else None
        made = Settings(aws_region=place.region, aws_endpoint_url=endpoint)
        async with open_admin_clients(made) as clients:
            return clients.signer  # signing needs no connection, so it may be closed

    if place not in _signers:
        _signers[place] = asyncio.run(make())
    return _signers[place]


async def test_keys_that_change_are_noticed_at_once() -> None:
    class Rotating:
        keys = FixedKeys("FIRST", "one")

        async def get_frozen_credentials(self) -> Keys:
            return self.keys

    source = Rotating()
    place = plain_bucket("eu-west-1", None, BUCKET)
    assert place is not None
    signer = Presigner(source, place, a_clock())
    first = await form_and_link(signer, "a")
    assert await form_and_link(signer, "a") == first
    source.keys = FixedKeys("SECOND", "two", "token")
    form, link = await form_and_link(signer, "a")
    expected = await form_and_link(Presigner(source.keys, place, a_clock()), "a")
    assert (form, link) == expected
    assert form["fields"]["x-amz-credential"].startswith("SECOND/")
    assert "X-Amz-Security-Token=token" in link


async def test_what_one_second_shares_is_made_anew_for_another_one_and_another_term() -> None:
    moment = [NOW.timestamp()]
    place = plain_bucket("eu-west-1", None, BUCKET)
    assert place is not None
    keys = FixedKeys("AKID", "secret")
    signer = Presigner(keys, place, Clock(lambda: moment[0]))

    async def signed(signer: Presigner, term: int) -> tuple[Any, str]:
        form = await signer.generate_presigned_post(
            BUCKET, "a", Fields={}, Conditions=[], ExpiresIn=term
        )
        params = {"Key": "a", "ResponseContentType": "b", "ResponseContentDisposition": "c"}
        return form, await signer.generate_presigned_url(
            "get_object", Params=params, ExpiresIn=term
        )

    seen = []
    for second, term in [(0, 60), (0, 61), (1, 61), (1, 60), (0, 60)]:
        moment[0] = NOW.timestamp() + second
        seen.append(await signed(signer, term))
        fresh = Presigner(keys, place, Clock(lambda: moment[0]))
        assert seen[-1] == await signed(fresh, term)
        policy = json.loads(base64.b64decode(seen[-1][0]["fields"]["policy"]))
        end = datetime.fromisoformat(policy["expiration"])
        assert end.timestamp() == moment[0] + term
    assert seen[0] == seen[4]
    assert len({link for _, link in seen}) == 4


async def test_a_new_day_has_a_key_of_its_own() -> None:
    moment = [datetime(2026, 2, 13, 23, 59, 59, tzinfo=UTC).timestamp()]
    place = plain_bucket("eu-west-1", None, BUCKET)
    assert place is not None
    keys = FixedKeys("AKID", "secret")
    signer = Presigner(keys, place, Clock(lambda: moment[0]))
    await form_and_link(signer, "a")
    moment[0] += 1
    ours = await form_and_link(signer, "a")
    assert "20260214/eu-west-1" in ours[0]["fields"]["x-amz-credential"]
    assert ours == await form_and_link(Presigner(keys, place, Clock(lambda: moment[0])), "a")


async def test_only_reading_is_signed_by_link() -> None:
    signer = Presigner(FixedKeys("a", "b"), Place("http://x/y", "r", "s3"), a_clock())
    with pytest.raises(ValueError, match="put_object"):
        await signer.generate_presigned_url("put_object", Params={}, ExpiresIn=1)
