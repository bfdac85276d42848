"""The bytes of one image, in order, over as many connections and links as it takes.

A connection that is cut is taken up where it ended (Range), but only for the same bytes (If-Range
and the entity tag); a link that expired is asked for again.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from yarl import URL

from service.client.errors import (
    ConnectionFailed,
    ImageChanged,
    MontError,
    StorageRefused,
    UnexpectedAnswer,
)
from service.client.hosts import Hosts
from service.client.storage import checksum_of, opened_link
from service.client.transport import connection_errors
from service.client.values import Link

_CHUNK_BYTES = 256 * 1024
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes and their place. `md5` is of the whole image, where the store tells it."""

    place: int
    data: bytes
    total: int
    etag: str
    md5: str | None


class Reader:
    """Reads one image. A place that goes back to 0 says that what came before is void."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        link: Callable[[], Awaitable[Link]],
        hosts: Hosts,
    ) -> None:
        """`link` asks for a fresh link."""
        self._session = session
        self._ask = link
        self._hosts = hosts
        self._link: Link | None = None

    async def link(self) -> Link:
        """The link in use; another one once it has expired."""
        if self._link is None:
            self._link = await self._ask()
        return self._link

    async def pieces(self, place: int = 0, etag: str | None = None) -> AsyncGenerator[Piece, None]:
        """The bytes from `place` on, if their tag still is `etag`; else all of them.

        The last piece ends at its `total`; it may be empty where all was there already. Raises
        MontError.
        """
        failures, since = 0, 0.0
        while True:
            fresh = self._link is None
            url = (await self.link()).url
            host = self._hosts.of(URL(url, encoded=True))
            try:
                async for piece in self._once(url, place if etag else 0, etag):
                    place, etag = piece.place + len(piece.data), piece.etag
                    if piece.data:
                        failures = 0
                        host.answered()
                    yield piece
                    if place == piece.total:
                        return
                raise ConnectionFailed("the connection ended before the image did")
            except MontError as error:
                failures += 1
                since = since if failures > 1 else host.now()
                if isinstance(error, ImageChanged):
                    etag = None
                expired = isinstance(error, StorageRefused) and error.may_have_expired
                if expired and not fresh:
                    self._link = None
                    continue
                host.failed(error)
                wait = host.wait_after(error, failures, since)
                if wait is None:
                    raise
            await host.sleep(wait)

    async def _once(self, link: str, place: int, etag: str | None) -> AsyncGenerator[Piece, None]:
        headers = {"Range": f"bytes={place}-", "If-Range": f'"{etag}"'} if place and etag else {}
        try:
            async with opened_link(self._session, link, headers) as response:
                async for piece in _pieces_of(response, place, etag):
                    yield piece
                return
        except StorageRefused as refused:
            if refused.status != 416 or not place:
                raise
        # There is no byte at this place: all of them are here already, or they are others.
        async for piece in self._whole_or_again(link, place, etag):
            yield piece

    async def _whole_or_again(
        self, link: str, place: int, etag: str | None
    ) -> AsyncGenerator[Piece, None]:
        async with opened_link(self._session, link, {}) as response:
            facts = _Facts.of(response)
            if facts.etag == etag and facts.total == place:
                yield Piece(place, b"", facts.total, facts.etag, facts.md5)
                return
            async for piece in _pieces_of(response, 0, None):
                yield piece


async def _pieces_of(
    response: aiohttp.ClientResponse, place: int, etag: str | None
) -> AsyncGenerator[Piece, None]:
    facts = _Facts.of(response)
    if facts.start and (facts.start != place or facts.etag != etag):
        # A store that does not know If-Range sent the rest of something else.
        raise ImageChanged("it is not the image that was begun")
    place = facts.start
    if facts.total == 0:
        yield Piece(0, b"", 0, facts.etag, facts.md5)
    chunks = response.content.iter_chunked(_CHUNK_BYTES)
    while True:
        # Only the network's errors are translated, not those of whoever takes the pieces.
        with connection_errors(URL(response.url)):
            chunk = await anext(chunks, b"")
        if not chunk:
            return
        yield Piece(place, chunk, facts.total, facts.etag, facts.md5)
        place += len(chunk)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the head of an answer says: where its bytes start, and of what."""

    start: int
    total: int
    etag: str
    md5: str | None

    @classmethod
    def of(cls, response: aiohttp.ClientResponse) -> _Facts:
        etag = response.headers.get("ETag", "").strip('"')
        start, total = 0, response.content_length
        if response.status == 206:
            match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if match is None:
                raise UnexpectedAnswer("a partial answer without Content-Range")
            start, total = int(match[1] or 0), int(match[2])
        if total is None:
            raise UnexpectedAnswer("an image of unknown length")
        return cls(start, total, etag, checksum_of(response.headers))
