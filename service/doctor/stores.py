"""The stores as the settings name them, with this machine's credentials."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aiohttp

from service.client import MontError
from service.client.sources import open_source
from service.client.storage import send_form
from service.client.values import Ticket
from service.doctor.findings import PIXEL, Finding, clock_finding
from service.doctor.http import check_cors, look, open_browser
from service.errors import StoreUnavailable
from service.model import UploadForm
from service.naming import staging_key
from service.provisioning import data_parameters
from service.settings import Settings
from service.storage.clients import Clients, open_clients, translated
from service.storage.definitions import TableDefinition
from service.storage.s3 import S3ImageObjects
from service.storage.template import load_template, template_path

_SECONDS = 300
_PROVISION = "`mont provision` makes it."
_REACH = (
    "Is AWS_ENDPOINT_URL right (empty for AWS), AWS_REGION the bucket's, and its network reachable?"
)


async def check_stores(settings: Settings) -> AsyncIterator[Finding]:
    """Credentials, bucket, tables, keys of tokens, CORS, a form and a link, the clock."""
    async with open_clients(settings) as clients, open_browser() as browser:
        objects = S3ImageObjects(clients, settings.s3_bucket_name)
        key = staging_key("mont-doctor", str(uuid4()))
        try:
            # Signing a form fails worse where there is nothing to sign with.
            link = await _link(objects, key)
            form = await objects.upload_form(
                key, content_type="image/png", size=len(PIXEL), metadata={}, expires_in=_SECONDS
            )
        except StoreUnavailable as error:
            yield Finding("credentials", "failed", error.cause, _credentials_fix(settings))
            return
        yield Finding("credentials", "ok", "there are some")
        bucket = await _bucket(objects, settings)
        yield bucket
        for table in load_template(template_path(), data_parameters(settings)).tables:
            yield await _table(clients, table)
        if settings.auth_mode == "jwt":
            yield await _token_keys(settings)
        if bucket.state != "ok":
            yield Finding("form and link", "skipped", "there is no bucket to try them on")
            return
        async for finding in _round_trip(objects, browser, key, form, link):
            yield finding
        for origin in settings.cors_allow_origins:
            page = "https://example.com" if origin == "*" else origin
            yield await check_cors(browser, form.url, page)


def _credentials_fix(settings: Settings) -> str:
    said = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if settings.aws_endpoint_url is None:
        said += " For a server's embedded stores, set the AWS_ENDPOINT_URL that it printed."
    return said


async def _bucket(objects: S3ImageObjects, settings: Settings) -> Finding:
    name = f"bucket {settings.s3_bucket_name}"
    try:
        await objects.check()
    except StoreUnavailable as error:
        if ": 404:" in error.cause or "NoSuchBucket" in error.cause:
            return Finding(name, "failed", "does not exist", _PROVISION)
        if ": 403:" in error.cause:
            fix = "It is another account's, or these credentials need s3:ListBucket on it."
            return Finding(name, "failed", error.cause, fix)
        return Finding(name, "failed", error.cause, _REACH)
    return Finding(name, "ok", "answers")


async def _table(clients: Clients, table: TableDefinition) -> Finding:
    name = f"table {table.name}"
    try:
        with translated("DynamoDB"):
            answer = await clients.dynamodb.describe_table(TableName=table.name)
    except StoreUnavailable as error:
        if "ResourceNotFound" in error.cause:
            return Finding(name, "failed", "does not exist", _PROVISION)
        if "AccessDenied" in error.cause:
            fix = "These credentials need dynamodb:DescribeTable on it."
            return Finding(name, "failed", error.cause, fix)
        return Finding(name, "failed", error.cause, _REACH)
    return _table_finding(name, answer["Table"], table)


def _table_finding(name: str, description: dict[str, Any], table: TableDefinition) -> Finding:
    keys = tuple(each["AttributeName"] for each in description["KeySchema"])
    if keys != table.key.attributes:
        fix = "Give this table another name, or keep images in another one: keys cannot be changed."
        return Finding(name, "failed", f"has the key {', '.join(keys)}", fix)
    indexes = {
        each["IndexName"]: each.get("IndexStatus", "ACTIVE")
        for each in description.get("GlobalSecondaryIndexes", [])
    }
    missing = [index.name for index in table.indexes if index.name not in indexes]
    if missing:
        return Finding(name, "failed", f"lacks the index {', '.join(missing)}", _PROVISION)
    waiting = [index.name for index in table.indexes if indexes[index.name] != "ACTIVE"]
    if waiting or description.get("TableStatus", "ACTIVE") == "CREATING":
        return Finding(name, "warning", "is still being made", "Wait a few minutes.")
    return Finding(name, "ok", "answers" + (", with all indexes" if table.indexes else ""))


async def _token_keys(settings: Settings) -> Finding:
    from service.auth.jwks import KeysUnreadable, SigningKeys, source_of

    try:
        await SigningKeys(source_of(settings.jwt_jwks), time.monotonic).load()
    except KeysUnreadable as error:
        return Finding("token keys", "failed", str(error), "Is JWT_JWKS the right URL or path?")
    return Finding("token keys", "ok", f"{settings.jwt_jwks} can be read")


async def _round_trip(
    objects: S3ImageObjects,
    browser: aiohttp.ClientSession,
    key: str,
    form: UploadForm,
    link: str,
) -> AsyncIterator[Finding]:
    """Send a picture with the form, fetch it by a link, remove it."""
    check = "form and link"
    try:
        async with open_source(PIXEL, "pixel.png", "image/png") as source:
            await send_form(browser, Ticket("", form.url, form.fields, key), source, None)
        served = await look(browser, link)
    except (MontError, StoreUnavailable) as error:
        fix = (
            "Forms and links carry AWS_ENDPOINT_URL, or S3_PUBLIC_ENDPOINT_URL where that is set: "
            "it has to be reachable from here, and s3:PutObject and s3:GetObject be allowed."
        )
        yield Finding(check, "failed", str(error), fix)
        return
    finally:
        left = await _remove(objects, key)
    if left is not None:
        yield left
    if served.body == PIXEL:
        yield Finding(check, "ok", "a picture went there and back")
    else:
        fix = "Is there a proxy on the way that changes answers?"
        yield Finding(check, "failed", f"another picture came back ({served.status})", fix)
    yield clock_finding("S3", served.date, datetime.now(UTC))


async def _link(objects: S3ImageObjects, key: str) -> str:
    return await objects.download_url(
        key,
        filename="pixel.png",
        content_type="image/png",
        disposition="inline",
        expires_in=_SECONDS,
    )


async def _remove(objects: S3ImageObjects, key: str) -> Finding | None:
    try:
        await objects.delete([key])
    except StoreUnavailable as error:
        fix = "These credentials need s3:DeleteObject. It expires by itself after a day."
        return Finding("clean-up", "failed", f"{key} stays: {error.cause}", fix)
    return None
