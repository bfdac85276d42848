"""The service as a browser meets it: a server that can go away and come back, and full stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import aiohttp

from service import naming, timestamps
from service.model import Image
from service.serve import serving
from service.settings import Settings
from service.storage.clients import Clients
from tests.support.real_images import RealImage, real_image
from tests.support.stores import records_of

_AT_ONCE = 20


@dataclass
class Site:
    """One server. Started again, it has the same address."""

    settings: Settings
    port: int = 0
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Serve as `mont serve` does."""
        settings = replace(self.settings, host="127.0.0.1", port=self.port, shutdown_grace=0)
        _, self.port = await self._running.enter_async_context(serving(settings))

    async def stop(self) -> None:
        """Be gone for everybody who asks."""
        await self._running.aclose()


@asynccontextmanager
async def running_site(settings: Settings) -> AsyncIterator[Site]:
    """A site that is up; it is down when the block is left."""
    site = Site(settings)
    await site.start()
    try:
        yield site
    finally:
        await site.stop()


async def fill(
    clients: Clients, settings: Settings, user_id: str, count: int, *, first: datetime
) -> list[Image]:
    """Completed images of one user, an hour apart from `first` on, with bytes; oldest first.

    Every tenth is tagged "tenth".
    """
    records = records_of(clients, settings)
    bucket = f"{settings.aws_endpoint_url}/{settings.s3_bucket_name}"

    async def put(number: int) -> Image:
        image = _image(user_id, number, first + timedelta(hours=number))
        # The emulator takes it without a signature.
        headers = {"Content-Type": image.content_type}
        body = _file(number).body
        async with session.put(f"{bucket}/{image.s3_key}", data=body, headers=headers) as answer:
            assert answer.status == 200
        assert await records.create(image) is None
        return image

    connector = aiohttp.TCPConnector(limit=_AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:
        return list(await asyncio.gather(*(put(number) for number in range(count))))


def _file(number: int) -> RealImage:
    return real_image("image/jpeg", 120, 90, turned=number % 24 * 15)


def _image(user_id: str, number: int, when: datetime) -> Image:
    image_id, file = naming.new_image_id(), _file(number)
    filename = f"photo {number:03}.jpg"
    return Image(
        image_id=image_id,
        user_id=user_id,
        filename=filename,
        content_type=file.content_type,
        file_size=file.size,
        upload_timestamp=timestamps.to_text(when.astimezone(UTC)),
        s3_key=naming.final_key(user_id, image_id, filename),
        etag="0" * 32,
        width=file.width,
        height=file.height,
        tags=("tenth",) if number % 10 == 0 else (),
    )
