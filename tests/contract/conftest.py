"""The implementations that every port's suite runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio

from service.model import UploadForm
from service.ports import ImageObjects, ImageRecords
from service.storage.memory import MemoryImageObjects, MemoryImageRecords
from service.storage.s3 import S3ImageObjects
from tests.support.stores import (
    StoreAbsent,
    dynamodb_local,
    no_real_account,
    provisioned,
    provisioned_table,
    random_settings,
)


@dataclass(frozen=True)
class Bucket:
    """A store of bytes, and the client's side of it: sending a form."""

    objects: ImageObjects
    upload: Callable[[UploadForm, bytes], Awaitable[None]]

    async def put(self, key: str, body: bytes, content_type: str = "image/png") -> str:
        """Store bytes as a client does; gives their entity tag."""
        form = await self.objects.upload_form(
            key, content_type=content_type, size=len(body), metadata={}, expires_in=60
        )
        await self.upload(form, body)
        stored = await self.objects.read_head(key, 16)
        assert stored is not None
        return stored.etag


@pytest.fixture(scope="session", autouse=True)
def credentials() -> Iterator[None]:
    """Keys of no account, so that nothing here can ever reach a real one."""
    with no_real_account():
        yield


@pytest.fixture(scope="session")
def local_dynamodb() -> Iterator[str]:
    try:
        with dynamodb_local() as endpoint:
            yield endpoint
    except StoreAbsent as reason:
        pytest.skip(str(reason))


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=["memory", "embedded", "dynamodb-local"]
)
async def records(request: pytest.FixtureRequest) -> AsyncIterator[ImageRecords]:
    """A table. Shared by many tests: each uses ids, users and times of its own."""
    if request.param == "memory":
        yield MemoryImageRecords()
    else:
        name = {"embedded": "embedded", "dynamodb-local": "local_dynamodb"}[request.param]
        async with provisioned_table(random_settings(request.getfixturevalue(name))) as table:
            yield table


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def s3_bucket(embedded: str) -> AsyncIterator[Bucket]:
    """A bucket that is reached over HTTP."""
    settings = random_settings(embedded)
    async with provisioned(settings) as clients, aiohttp.ClientSession() as browser:

        async def upload(form: UploadForm, body: bytes) -> None:
            data = aiohttp.FormData(dict(form.fields))
            data.add_field("file", body, filename="file")
            async with browser.post(form.url, data=data) as answer:
                assert answer.status == 204, await answer.text()

        yield Bucket(S3ImageObjects(clients, settings.s3_bucket_name), upload)


@pytest.fixture(scope="session", params=["memory", "embedded"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A bucket. Shared by many tests: each uses keys of its own."""
    if request.param == "embedded":
        found: Bucket = request.getfixturevalue("s3_bucket")
        return found
    objects = MemoryImageObjects()

    async def upload(form: UploadForm, body: bytes) -> None:
        objects.put(form, body)

    return Bucket(objects, upload)
