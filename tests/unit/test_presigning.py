"""Forms and links signed without the SDK are the SDK's own, to the letter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from service.settings import Settings
from service.storage.clients import open_clients, open_clients_on_first_use
from service.storage.presigning import Presigner, presigner

NOW = datetime(2026, 2, 13, 12, 0, 5, tzinfo=UTC)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "se/cr+et"}
BUCKET = "mont-images"
PLACES: list[dict[str, Any]] = [
    {"aws_region": "us-east-1"},
    {"aws_region": "eu-central-1"},
    {"aws_region": "ap-southeast-2"},
    {"aws_endpoint_url": "http://127.0.0.1:4566"},
    {"aws_endpoint_url": "https://s3.example:9443/base", "aws_region": "eu-west-3"},
    {"aws_endpoint_url": "http://inside:1", "s3_public_endpoint_url": "http://localhost:4566"},
]
AWKWARD_KEYS = ["images/ann/a_b.jpg", "images/a@b.c:d+e/x y_~.jpg", "images/ann/ü%20&=?#.png"]


@pytest.fixture(params=[None, "to/ken+=="])
def environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, str]:
    """Lambda's, for the SDK to read as well."""
    values = dict(KEYS) if request.param is None else {**KEYS, "AWS_SESSION_TOKEN": request.param}
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return values


async def form_and_link(signer: Any, key: str) -> tuple[Any, str]:
    fields = {"Content-Type": "image/jpeg", "x-amz-meta-mont-declared": "jWyJhIl0="}
    conditions: list[object] = [{name: value} for name, value in fields.items()]
    conditions.append(["content-length-range", 7, 7])
    form = await signer.generate_presigned_post(
        BUCKET, key, Fields=fields, Conditions=conditions, ExpiresIn=3600
    )
    link = await signer.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": BUCKET,
            "Key": key,
            "ResponseContentType": "image/svg+xml",
            "ResponseContentDisposition": "attachment; filename=\"a b\"; filename*=UTF-8''%C3%A4",
        },
        ExpiresIn=900,
    )
    return form, link


@pytest.mark.parametrize("place", PLACES)
async def test_it_signs_to_the_letter_as_the_sdk_does(
    environment: dict[str, str], place: dict[str, Any]
) -> None:
    settings = Settings(s3_bucket_name=BUCKET, **place)
    moments = [
        patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)),
        patch("botocore.signers.get_current_datetime", lambda: NOW.replace(tzinfo=None)),
        patch("aiobotocore.signers.get_current_datetime", lambda: NOW.replace(tzinfo=None)),
        patch("service.storage.presigning._utc_now", lambda: NOW),
    ]
    for each in moments:
        each.start()
    try:
        async with (
            open_clients(settings) as sdk,
            open_clients_on_first_use(settings, environment) as own,
        ):
            assert isinstance(own.signer, Presigner)
            theirs = [await form_and_link(sdk.signer, key) for key in AWKWARD_KEYS]
            ours = [await form_and_link(own.signer, key) for key in AWKWARD_KEYS]
    finally:
        for each in moments:
            each.stop()
    assert ours == theirs
    assert list(ours[0][0]["fields"]) == list(theirs[0][0]["fields"])


@pytest.mark.parametrize(
    "more",
    [
        {"AWS_PROFILE": "other"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional"},
        {"AWS_ENDPOINT_URL_S3": "http://other"},
        {"AWS_SECRET_ACCESS_KEY": ""},
    ],
)
def test_where_something_else_has_a_say_the_sdk_decides(more: dict[str, str]) -> None:
    assert presigner(KEYS, "eu-west-1", None, BUCKET) is not None
    assert presigner({**KEYS, **more}, "eu-west-1", None, BUCKET) is None


@pytest.mark.parametrize(
    ("region", "bucket"),
    [("cn-north-1", BUCKET), ("us-gov-west-1", BUCKET), ("eu-west-1", "with.dots")],
)
def test_where_an_address_is_not_plain_the_sdk_decides(region: str, bucket: str) -> None:
    assert presigner(KEYS, region, None, bucket) is None
    assert presigner(KEYS, region, "http://127.0.0.1:1", bucket) is not None
