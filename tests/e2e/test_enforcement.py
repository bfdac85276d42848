"""What S3 itself refuses, with signatures checked; and that the service is right about it after.

A form without any policy is a matter of permissions, which LocalStack does not enforce.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from service import naming
from service.settings import Settings
from service.storage.clients import open_clients
from service.storage.s3 import S3ImageObjects
from tests.e2e.localstack.harness import Endpoint
from tests.support.api import HttpApi, new_user
from tests.support.real_images import RealImage, real_image

IMAGE = real_image("image/png")
Change = Callable[[dict[str, str]], dict[str, str]]


@pytest.fixture
async def api(gateway: str) -> AsyncIterator[HttpApi]:
    async with aiohttp.ClientSession() as browser:
        yield HttpApi(browser, gateway)


async def assert_refused_then_right(
    api: HttpApi, user: str, ticket: dict[str, Any], status: int
) -> None:
    """S3 refused it, so nothing is there; the form as it was given works all the same."""
    assert 400 <= status < 500
    (await api.complete(user, ticket["image_id"])).problem(404, "nothing-uploaded")
    assert await api.ids(user_id=user) == []
    assert await api.post_form(ticket, IMAGE.body) == 204
    assert (await api.complete(user, ticket["image_id"])).status == 200
    link = await api.ok("GET", f"/images/{ticket['image_id']}/download-url")
    assert (await api.fetch(link["presigned_url"])).body == IMAGE.body


@pytest.mark.parametrize("body", [IMAGE.body + b"\0", IMAGE.body[:-1], b""])
async def test_a_body_that_is_not_as_long_as_declared_is_refused(api: HttpApi, body: bytes) -> None:
    user = new_user()
    ticket = await api.declare(user, IMAGE)
    await assert_refused_then_right(api, user, ticket, await api.post_form(ticket, body))


def with_field(name: str, value: str) -> Change:
    return lambda fields: {**fields, name: value}


def without_field(name: str) -> Change:
    return lambda fields: {key: value for key, value in fields.items() if key != name}


def with_policy(change: Callable[[dict[str, Any]], None]) -> Change:
    def changed(fields: dict[str, str]) -> dict[str, str]:
        policy = json.loads(base64.b64decode(fields["policy"]))
        change(policy)
        return {**fields, "policy": base64.b64encode(json.dumps(policy).encode()).decode()}

    return changed


@pytest.mark.parametrize(
    "change",
    [
        with_field("Content-Type", "image/gif"),
        with_field("Content-Type", "text/html"),
        with_field("key", "images/somebody/else.png"),
        with_field("key", "uploads/somebody/else"),
        with_field("x-amz-meta-mont-declared", "jW10="),
        with_field("x-amz-meta-more", "x"),
        with_field("x-amz-signature", "0" * 64),
        without_field("x-amz-signature"),
        with_policy(lambda policy: policy.update(expiration="2099-01-01T00:00:00Z")),
        with_policy(lambda policy: policy.update(conditions=[])),
    ],
    ids=[
        "another type",
        "no image type",
        "a final key",
        "another's key",
        "another declaration",
        "more metadata",
        "another signature",
        "no signature",
        "a longer policy",
        "no conditions",
    ],
)
async def test_a_form_that_was_changed_is_refused(api: HttpApi, change: Change) -> None:
    user = new_user()
    ticket = await api.declare(user, IMAGE)
    changed = {**ticket, "fields": change(ticket["fields"])}
    await assert_refused_then_right(api, user, ticket, await api.post_form(changed, IMAGE.body))


async def test_a_form_that_has_expired_is_refused(api: HttpApi, localstack: Endpoint) -> None:
    user = new_user()
    ticket = await api.declare(user, IMAGE)
    expired = {**ticket, **await expired_form(localstack, user, ticket["image_id"], IMAGE)}
    await assert_refused_then_right(api, user, ticket, await api.post_form(expired, IMAGE.body))


async def expired_form(
    localstack: Endpoint, user: str, image_id: str, image: RealImage
) -> dict[str, Any]:
    """A form for this upload, rightly signed, good until a minute ago."""
    settings = replace(Settings(), aws_endpoint_url=localstack.url)
    async with open_clients(settings) as clients:
        form = await S3ImageObjects(clients, settings.s3_bucket_name).upload_form(
            naming.staging_key(user, image_id),
            content_type=image.content_type,
            size=image.size,
            metadata={},
            expires_in=-60,
        )
    return {"presigned_url": form.url, "fields": form.fields}


async def test_a_link_that_was_changed_serves_nothing(api: HttpApi) -> None:
    user = new_user()
    image_id = await api.upload(user, IMAGE)
    link = await api.ok("GET", f"/images/{image_id}/download-url")
    url = link["presigned_url"]
    assert (await api.fetch(url)).status == 200
    assert (await api.fetch(url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000"))).status == 403
    assert (await api.fetch(url.replace(image_id, naming.new_image_id()))).status == 403
    assert (await api.fetch(url.replace("inline", "attachment"))).status == 403


async def test_what_is_uploaded_again_after_completion_is_not_what_is_served(api: HttpApi) -> None:
    user = new_user()
    ticket = await api.stage(user, IMAGE)
    assert (await api.complete(user, ticket["image_id"])).status == 200
    # Another picture in as many bytes: what follows the end of a PNG is no part of it.
    other = real_image("image/png", width=8, height=8).body
    other += b"\0" * (IMAGE.size - len(other))
    assert await api.post_form(ticket, other) == 204
    assert (await api.complete(user, ticket["image_id"])).status == 200
    link = await api.ok("GET", f"/images/{ticket['image_id']}/download-url")
    assert (await api.fetch(link["presigned_url"])).body == IMAGE.body
