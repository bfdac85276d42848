"""MontClient: everything the service does, as methods."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from service.client.calls import (
    Change,
    delete_image,
    delete_images,
    edit_image,
    find_image,
    link_images,
    path_of,
    retag_image,
)
from service.client.concurrency import as_done
from service.client.content import ContentKey
from service.client.downloads import Reader
from service.client.errors import (
    ChecksumMismatch,
    ImageChanged,
    MontError,
)
from service.client.forms import Progress
from service.client.hosts import Hosts
from service.client.retries import Retries
from service.client.saving import save
from service.client.sources import Uploadable, open_source
from service.client.transport import Transport
from service.client.uploads import ItemProgress, Outcome, Said, Upload, Uploader
from service.client.values import (
    KEEP,
    Deleted,
    Image,
    Keep,
    Link,
    Linked,
    Order,
    Ticket,
    Uploaded,
    objects,
    read_image,
    read_link,
    read_ticket,
)

Token = str | Callable[[], Awaitable[str]]
"""A bearer token, or what fetches one that is still good."""


class MontClient:
    """A client of one service, for use with `async with`."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: Token | None = None,
        user_id: str | None = None,
        retries: Retries | None = None,
    ) -> None:
        """`url` is the API's base. Give `api_key` or `token` as the service asks for it.

        `user_id` is whose images calls are about where they do not say. Credentials of one user
        make it unnecessary.
        """
        parsed = URL(url)
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise ValueError(f"{url!r} is not an address such as http://127.0.0.1:8080")
        if api_key is not None and token is not None:
            raise ValueError("give api_key or token, not both")
        if parsed.user is not None and token is not None:
            raise ValueError("a password in the address and a token take the same place")
        self._url = url
        self._api_key = api_key
        self._token = token
        self._user_id = user_id
        self._retries = retries or Retries()
        self._hosts = Hosts(self._retries)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Connections are made when they are needed."""
        # Their locks belong to one loop, and this client may be opened again in another one.
        self._hosts = Hosts(self._retries)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            # One user's cookies of a gateway are no business of the next request.
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "mont-client"},
        )
        # aiohttp would repeat a DELETE by itself and not say so: its 404 would be a puzzle.
        self._session._retry_connection = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # --- Uploading --------------------------------------------------------------------------------

    async def upload(
        self,
        what: Uploadable,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        tags: Sequence[str] = (),
        description: str | None = None,
        user_id: str | None = None,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> Uploaded:
        """Upload a file by its path, bytes, or a stream, and complete it.

        Name and type are guessed where they are not given: the type from the first bytes. All
        attempts together make one image. With an `idempotency_key` of your own, or the
        `ContentKey` of the bytes, later calls for the same file do not make another one either.

        `progress` is called with the bytes that are through and the file's size, many times a
        second where that is large; after an attempt that failed it begins again at 0. Raises
        MontError, OSError.
        """
        async with open_source(what, filename, content_type) as source:
            uploader = Uploader(self._transport, self._open_session, self._hosts, self.get)
            return await uploader.upload(
                source,
                Said(user_id or self._user_id, tuple(tags), description),
                idempotency_key or secrets.token_hex(16),
                progress,
                own_key=not isinstance(idempotency_key, ContentKey | None),
            )

    async def request_upload(
        self,
        filename: str,
        content_type: str,
        file_size: int,
        *,
        tags: Sequence[str] = (),
        description: str | None = None,
        user_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Ticket:
        """The form for one upload, for whoever holds the bytes, such as a browser.

        `complete` finishes what was sent with it. Raises MontError.
        """
        said = Said(user_id or self._user_id, tuple(tags), description)
        file = {"filename": filename, "content_type": content_type, "file_size": file_size}
        answer = await self._transport.call(
            "POST",
            "/images/upload-url",
            {**file, **self._who(user_id), **said.document},
            headers={"Idempotency-Key": idempotency_key or secrets.token_hex(16)},
        )
        return read_ticket(answer.document)

    async def complete(self, image_id: str, *, user_id: str | None = None) -> None:
        """Complete an upload of `request_upload`, as it was declared. Raises MontError."""
        body = {"image_id": image_id, **self._who(user_id)}
        await self._transport.call("POST", "/images/complete", body)

    async def upload_many(
        self,
        items: Iterable[Uploadable | Upload] | AsyncIterable[Uploadable | Upload],
        *,
        jobs: int = 4,
        tags: Sequence[str] = (),
        description: str | None = None,
        user_id: str | None = None,
        progress: ItemProgress | None = None,
    ) -> AsyncGenerator[Outcome, None]:
        """Upload all of these, `jobs` at once; the outcome of each as it comes, none is skipped.

        What an `Upload` leaves open is taken from the arguments. `progress` is called with the
        item, as in its outcome, its bytes that are through, and its size.
        """

        async def upload(item: Uploadable | Upload) -> Outcome:
            one = item if isinstance(item, Upload) else Upload(item)
            try:
                uploaded = await self.upload(
                    one.what,
                    filename=one.filename,
                    content_type=one.content_type,
                    tags=tags if one.tags is None else one.tags,
                    description=description if one.description is None else one.description,
                    user_id=user_id,
                    idempotency_key=one.idempotency_key,
                    progress=one.told(progress),
                )
            except (MontError, OSError) as error:
                return Outcome(one, error=error)
            return Outcome(one, uploaded=uploaded)

        async with aclosing(as_done(items, upload, jobs)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    # --- Looking ----------------------------------------------------------------------------------

    async def images(
        self,
        *,
        user_id: str | None = None,
        everyone: bool = False,
        start: str | date | None = None,
        end: str | date | None = None,
        tag: str | None = None,
        order: Order = "desc",
        page_size: int | None = None,
    ) -> AsyncGenerator[Image, None]:
        """Every image that matches, newest first, page after page as they are needed.

        `start` and `end` are inclusive. `everyone` is all users that these credentials may see.
        Raises MontError.
        """
        who = None if everyone else user_id or self._user_id
        asked = {
            "user_id": who,
            "start_date": start.isoformat() if isinstance(start, date) else start,
            "end_date": end.isoformat() if isinstance(end, date) else end,
            "tag": tag,
            "order": order,
            "limit": None if page_size is None else str(page_size),
        }
        query = [(name, value) for name, value in asked.items() if value is not None]
        after: object = None
        while True:
            more = [*query, ("next_token", str(after))] if after else query
            page = (await self._transport.call("GET", "/images", query=more)).document
            for each in objects(page, "images"):
                yield read_image(each)
            after = page.get("next_token")
            if not after:
                return

    async def get(self, image_id: str) -> Image:
        """One image, with its `revision`. Raises ImageNotFound and other MontErrors."""
        return await find_image(self._transport, image_id)

    async def link(self, image_id: str, *, attachment: bool = False) -> Link:
        """A link to the bytes; `attachment` makes browsers save it. Raises MontError."""
        query = [("disposition", "attachment")] if attachment else []
        path = path_of(image_id) + "/download-url"
        return read_link((await self._transport.call("GET", path, query=query)).document)

    async def links(self, image_ids: Iterable[str], *, user_id: str | None = None) -> list[Linked]:
        """Links to all of these, in order, each with what is wrong with it. Raises MontError."""
        return await link_images(self._transport, list(image_ids), self._who(user_id))

    # --- Reading the bytes ------------------------------------------------------------------------

    async def download(
        self, image_id: str, target: str | Path, *, progress: Progress | None = None
    ) -> Path:
        """Download an image to a file, or into a folder under its own name; where it is now.

        A file that is there is replaced, at once and only by a whole image; a folder's are not. An
        attempt that was cut short, by a crash too, is taken up where it ended. Raises MontError,
        OSError.
        """
        reader = Reader(self._open_session, lambda: self.link(image_id), self._hosts)
        return await save(reader, Path(target), progress)

    async def read(self, image_id: str) -> AsyncGenerator[bytes, None]:
        """The bytes of an image, in order.

        Raises MontError: ImageChanged if they change, ChecksumMismatch at the end.
        """
        reader = Reader(self._open_session, lambda: self.link(image_id), self._hosts)
        place, digest, md5 = 0, hashlib.md5(usedforsecurity=False), None
        async with aclosing(reader.pieces()) as pieces:
            async for piece in pieces:
                if piece.place != place:
                    raise ImageChanged(f"image {image_id} changed while it was read")
                place, md5 = place + len(piece.data), piece.md5
                digest.update(piece.data)
                yield piece.data
        if md5 not in (None, digest.hexdigest()):
            raise ChecksumMismatch(f"{md5} was announced, and {digest.hexdigest()} arrived")

    # --- Changing ---------------------------------------------------------------------------------

    async def edit(
        self,
        image_id: str,
        *,
        tags: Sequence[str] | Keep | None = KEEP,
        description: str | Keep | None = KEEP,
        if_match: str | None = None,
        user_id: str | None = None,
    ) -> Image:
        """Replace tags, description or both; None clears. The image as it is now.

        `if_match` is the revision that must not have changed. Raises RevisionMismatch and other
        MontErrors.
        """
        change = Change(tags, description, if_match)
        return await edit_image(self._transport, image_id, change, self._who(user_id))

    async def retag(
        self,
        image_id: str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        user_id: str | None = None,
    ) -> Image:
        """Add and remove tags, and lose nobody else's edit. Raises MontError."""
        return await retag_image(
            self._transport, image_id, list(add), set(remove), self._who(user_id)
        )

    async def delete(self, image_id: str, *, user_id: str | None = None) -> None:
        """Delete an image. Raises ImageNotFound and other MontErrors."""
        await delete_image(self._transport, image_id, self._who(user_id))

    async def delete_many(
        self, image_ids: Iterable[str], *, user_id: str | None = None
    ) -> list[Deleted]:
        """Delete all of these; in order, what became of each. Raises MontError."""
        return await delete_images(self._transport, list(image_ids), self._who(user_id))

    # --- Inside -----------------------------------------------------------------------------------

    def _who(self, user_id: str | None) -> dict[str, object]:
        who = user_id or self._user_id
        return {} if who is None else {"user_id": who}

    async def _credentials(self) -> Mapping[str, str]:
        if self._api_key is not None:
            return {"X-API-Key": self._api_key}
        if self._token is None:
            return {}
        token = self._token if isinstance(self._token, str) else await self._token()
        return {"Authorization": f"Bearer {token}"}

    @property
    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use it as: async with MontClient(...) as mont")
        return self._session

    @property
    def _transport(self) -> Transport:
        host = self._hosts.of(URL(self._url))
        return Transport(self._open_session, self._url, self._credentials, host)
