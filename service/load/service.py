"""The service and S3 as the tester meets them: one exchange a method, none tried again."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from service.client import Link, Retries, Ticket, UnexpectedAnswer
from service.client.calls import Change, delete_image, edit_image, find_image, path_of
from service.client.sources import Source
from service.client.storage import opened_link, send_form
from service.client.transport import Transport
from service.client.values import objects, read_link, read_ticket
from service.load.pictures import Picture
from service.load.places import Places

TAG = "mont-load"
"""On every image of a run, so that what a killed one leaves behind can be found."""
_FREE_CONNECTIONS_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Target:
    """The base of an API, and the headers that say who asks."""

    url: str
    headers: Mapping[str, str]


class Service:
    """Raises MontError, and NotAllowedThere for links that lead off this machine."""

    def __init__(
        self, session: aiohttp.ClientSession, transport: Transport, places: Places
    ) -> None:
        self._session = session
        self._transport = transport
        self._places = places

    async def ticket(self, user_id: str | None, name: str, picture: Picture) -> Ticket:
        """A form for an upload."""
        declared = {
            **_who(user_id),
            "filename": name + picture.suffix,
            "content_type": picture.content_type,
            "file_size": len(picture.body),
            "tags": [TAG],
        }
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        answer = await self._transport.call("POST", "/images/upload-url", declared, headers=headers)
        return read_ticket(answer.document)

    async def send(self, ticket: Ticket, picture: Picture) -> None:
        """The bytes, to S3."""
        await self._places.check(ticket.url, "S3, where uploads go,")

        async def chunks() -> AsyncIterator[bytes]:
            yield picture.body

        source = Source("image", picture.content_type, len(picture.body), chunks)
        await send_form(self._session, ticket, source, None)

    async def complete(self, ticket: Ticket, user_id: str | None) -> None:
        """Finish an upload."""
        body = {"image_id": ticket.image_id, **_who(user_id)}
        await self._transport.call("POST", "/images/complete", body)

    async def page(
        self, user_id: str | None, *, tagged: bool, after: object = None
    ) -> object | None:
        """A page of the list, and what the next one begins after."""
        asked = {**_who(user_id), **({"tag": TAG} if tagged else {})}
        query = [(name, str(value)) for name, value in asked.items()]
        if after:
            query.append(("next_token", str(after)))
        document = (await self._transport.call("GET", "/images", query=query)).document
        objects(document, "images")
        return document.get("next_token")

    async def get(self, image_id: str) -> None:
        """What is known of an image."""
        await find_image(self._transport, image_id)

    async def link(self, image_id: str) -> Link:
        """A link to its bytes."""
        answer = await self._transport.call("GET", path_of(image_id) + "/download-url")
        return read_link(answer.document)

    async def fetch(self, link: Link, size: int) -> None:
        """The bytes, from S3."""
        await self._places.check(link.url, "S3, where downloads come from,")
        got = 0
        async with opened_link(self._session, link.url, {}) as response:
            async for chunk in response.content.iter_any():
                got += len(chunk)
        if got != size:
            raise UnexpectedAnswer(f"{got} bytes came back of {size}")

    async def edit(self, image_id: str, user_id: str | None, description: str) -> None:
        """Another description."""
        change = Change((TAG, "edited"), description)
        await edit_image(self._transport, image_id, change, _who(user_id))

    async def delete(self, image_id: str, user_id: str | None) -> None:
        """Delete it."""
        await delete_image(self._transport, image_id, _who(user_id))


@asynccontextmanager
async def open_service(target: Target, places: Places) -> AsyncIterator[Service]:
    """Connections are made as they are needed, and kept open."""

    async def credentials() -> Mapping[str, str]:
        return target.headers

    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_FREE_CONNECTIONS_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "mont-load"},
    ) as session:
        # A request that aiohttp repeats by itself would be two for the service and one here.
        session._retry_connection = False
        once = Retries(attempts=1)
        yield Service(session, Transport(session, target.url, credentials, once), places)


def _who(user_id: str | None) -> dict[str, object]:
    return {} if user_id is None else {"user_id": user_id}
