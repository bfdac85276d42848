"""A store that is not there is reported as that, and soon."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from service.errors import StoreUnavailable
from service.model import Edit, Selection
from service.ports import ImageObjects, ImageRecords
from service.settings import Settings
from service.storage import patience
from service.storage.clients import open_clients
from service.storage.s3 import S3ImageObjects
from tests.contract.conftest import Bucket
from tests.contract.test_record_store import an_image
from tests.support.stores import free_port, provisioned, random_settings, records_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

OBJECT_CALLS: dict[str, Callable[[ImageObjects], Awaitable[object]]] = {
    "read_head": lambda objects: objects.read_head("images/a/b", 16),
    "read_tail": lambda objects: objects.read_tail("images/a/b", 100, 16),
    "promote": lambda objects: objects.promote("a", "b", etag="x", content_type="image/png"),
    "delete": lambda objects: objects.delete(["images/a/b"]),
    "check": lambda objects: objects.check(),
}
SIGNING_CALLS: dict[str, Callable[[ImageObjects], Awaitable[object]]] = {
    "upload_form": lambda objects: objects.upload_form(
        "uploads/a/b", content_type="image/png", size=1, metadata={}, expires_in=60
    ),
    "download_url": lambda objects: objects.download_url(
        "images/a/b",
        filename="b.png",
        content_type="image/png",
        disposition="inline",
        expires_in=60,
    ),
}
RECORD_CALLS: dict[str, Callable[[ImageRecords], Awaitable[object]]] = {
    "create": lambda records: records.create(an_image()),
    "find": lambda records: records.find(str(uuid4())),
    "find_many": lambda records: records.find_many([str(uuid4())]),
    "edit": lambda records: records.edit(str(uuid4()), "a", Edit(tags=()), revisions=None),
    "mark_deleting": lambda records: records.mark_deleting(str(uuid4()), "a", "2026"),
    "take_over": lambda records: records.take_over(str(uuid4()), "2026", "2027"),
    "remove": lambda records: records.remove(str(uuid4())),
    "page of a user": lambda records: records.page(Selection(user_id="a"), None, 10),
    "page of all": lambda records: records.page(Selection(), None, 10),
    "check": lambda records: records.check(),
}


@asynccontextmanager
async def stores_at(endpoint: str) -> AsyncIterator[tuple[ImageObjects, ImageRecords]]:
    settings = random_settings(endpoint)
    async with open_clients(settings) as opened:
        yield S3ImageObjects(opened, settings.s3_bucket_name), records_of(opened, settings)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """One short try: how often and how long is not what is tested here."""
    monkeypatch.setattr(patience, "READ_SECONDS", 0.2)
    monkeypatch.setattr(patience, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(patience, "TRIES", 1)


async def everything_fails_at(endpoint: str) -> None:
    async with stores_at(endpoint) as (objects, records), asyncio.timeout(5):
        for ask_objects in OBJECT_CALLS.values():
            with pytest.raises(StoreUnavailable) as failure:
                await ask_objects(objects)
            assert failure.value.store == "S3"
            assert failure.value.cause
        for ask_records in RECORD_CALLS.values():
            with pytest.raises(StoreUnavailable) as failure:
                await ask_records(records)
            assert failure.value.store == "DynamoDB"


async def test_nobody_listens(hasty: None) -> None:
    await everything_fails_at(f"http://127.0.0.1:{free_port()}")


async def test_somebody_listens_and_never_answers(hasty: None) -> None:
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        try:
            await everything_fails_at(f"http://127.0.0.1:{port}")
        finally:
            over.set()


async def test_somebody_hangs_up(hasty: None) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await everything_fails_at(f"http://127.0.0.1:{port}")


async def test_somebody_else_answers(hasty: None) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 7\r\n")
        writer.write(b"Connection: close\r\n\r\n<html>\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await everything_fails_at(f"http://127.0.0.1:{port}")


async def test_a_bucket_or_table_that_was_never_made_is_no_empty_one(embedded: str) -> None:
    await everything_fails_at(embedded)


async def test_forms_and_links_need_no_store(hasty: None) -> None:
    async with stores_at(f"http://127.0.0.1:{free_port()}") as (objects, _):
        form = await objects.upload_form(
            "uploads/a/b", content_type="image/png", size=1, metadata={}, expires_in=60
        )
        assert form.fields["key"] == "uploads/a/b"
        assert await objects.download_url(
            "images/a/b",
            filename="b.png",
            content_type="image/png",
            disposition="inline",
            expires_in=60,
        )


async def test_a_service_without_keys_says_so_whatever_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for file in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(file, str(tmp_path / "none"))
    async with open_clients(Settings(s3_bucket_name="mont-images"), os.environ) as clients:
        objects = S3ImageObjects(clients, "mont-images")
        for ask in {**OBJECT_CALLS, **SIGNING_CALLS}.values():
            with pytest.raises(StoreUnavailable) as failure:
                await ask(objects)
            assert failure.value.store == "S3"
            assert failure.value.cause.startswith("NoCredentialsError")


async def test_links_are_signed_for_the_public_host(s3_bucket: Bucket, embedded: str) -> None:
    settings = replace(random_settings(embedded), s3_public_endpoint_url="https://s3.example:444")
    async with provisioned(settings) as opened:
        objects = S3ImageObjects(opened, settings.s3_bucket_name)
        form = await objects.upload_form(
            "uploads/a/b", content_type="image/png", size=1, metadata={}, expires_in=60
        )
        assert form.url.startswith("https://s3.example:444/")
        link = await objects.download_url(
            "images/a/b",
            filename="b.png",
            content_type="image/png",
            disposition="inline",
            expires_in=60,
        )
        assert link.startswith("https://s3.example:444/")
        await objects.check()
