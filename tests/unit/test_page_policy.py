"""The pages may talk to the service and to the hosts of its links, and to nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from service.operations.desk import Desk
from service.pagepolicy import docs_policy, gallery_policy, source_of
from service.settings import Settings
from service.storage.clients import open_clients
from service.storage.s3 import S3ImageObjects
from service.thumbnails import Thumbnails
from tests.support.makers import World
from tests.support.stores import no_real_account

IMGPROXY = Thumbnails("https://img.example:8443/t", "photos", b"key", b"salt")


def sources(policy: str) -> dict[str, set[str]]:
    directives = (each.split() for each in policy.split(";"))
    return {name: set(values) for name, *values in directives}


async def links_of(settings: Settings) -> tuple[S3ImageObjects, set[str]]:
    """The bucket's objects, and the origins of a form and of a link."""
    async with open_clients(settings) as clients:
        objects = S3ImageObjects(clients, settings.s3_bucket_name)
        form = await objects.upload_form(
            "uploads/a", content_type="image/png", size=1, metadata={}, expires_in=9
        )
        link = await objects.download_url(
            "images/a", filename="a", content_type="image/png", disposition="inline", expires_in=9
        )
    parts = [urlsplit(each) for each in (form.url, link)]
    return objects, {f"{each.scheme}://{each.netloc}" for each in parts}


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({"aws_endpoint_url": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        (
            {
                "aws_endpoint_url": "http://localstack:4566",
                "s3_public_endpoint_url": "https://files.example/s3",
            },
            "https://files.example",
        ),
        ({"aws_region": "us-east-1"}, "https://photos.s3.amazonaws.com"),
        ({"aws_region": "eu-central-1"}, "https://photos.s3.eu-central-1.amazonaws.com"),
        ({"aws_region": "us-gov-west-1"}, "https://photos.s3.us-gov-west-1.amazonaws.com"),
        ({"aws_region": "cn-north-1"}, "https://photos.s3.cn-north-1.amazonaws.com.cn"),
        (
            {"aws_region": "eu-central-1", "s3_bucket_name": "my.photos"},
            "https://s3.eu-central-1.amazonaws.com",
        ),
    ],
)
async def test_the_gallery_may_reach_the_host_that_links_lead_to_and_no_other(
    settings: dict[str, Any], origin: str
) -> None:
    with no_real_account():
        objects, origins = await links_of(Settings(**{"s3_bucket_name": "photos", **settings}))
    assert origins == {origin}
    policy = sources(gallery_policy(desk(objects=objects)))
    assert policy["connect-src"] == {"'self'", origin}
    assert policy["img-src"] == {"'self'", "blob:", origin}
    policy = sources(gallery_policy(desk(objects=objects, thumbnails=IMGPROXY)))
    assert policy["connect-src"] == {"'self'", origin}
    assert policy["img-src"] == {"'self'", "blob:", origin, "https://img.example:8443"}


def test_the_documentation_calls_its_own_service_alone() -> None:
    policy = sources(docs_policy(desk(thumbnails=IMGPROXY)))
    assert policy["connect-src"] == {"'self'"}
    assert policy["img-src"] == {"'self'", "data:"}


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://Bucket.Example:443/a", "https://bucket.example:443"),
        ("http://user:secret@host/", "http://host"),
        ("http://[::1]:9000/photos", "http:"),
        ("https://bücher.example", "https:"),
        ("https://a;script-src.example", "https:"),
    ],
)
def test_what_a_policy_cannot_name_is_named_by_its_scheme(url: str, source: str) -> None:
    assert source_of(url) == source


def desk(**parts: Any) -> Desk:
    world = World()
    return replace(world.desk_on(world.objects, world.records), **parts)
