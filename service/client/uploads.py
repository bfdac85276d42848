"""The three steps of an upload: ask for a form, send it to S3, complete.

Every step may be repeated: the form by its Idempotency-Key, the sending by nature, completing by
the image's id. So whatever fails on the way is tried again, and never makes a second image.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import aiohttp
from yarl import URL

from service.client.errors import (
    ChecksumMismatch,
    DeclarationTooLong,
    InvalidFields,
    MontError,
    SourceEmpty,
    SourceTooLarge,
    StorageRefused,
)
from service.client.forms import Progress
from service.client.hosts import Hosts
from service.client.sources import Source, Uploadable
from service.client.storage import Sent, send_form
from service.client.transport import Transport
from service.client.values import Image, Ticket, Uploaded, read_ticket

_LARGEST = re.compile(r"less than or equal to (\d+)\b")


@dataclass(frozen=True, slots=True)
class Upload:
    """One item of `upload_many` with more to say than where its bytes are."""

    what: Uploadable
    filename: str | None = None
    content_type: str | None = None
    tags: Sequence[str] | None = None
    description: str | None = None
    idempotency_key: str | None = None
    progress: Progress | None = None

    def told(self, progress: ItemProgress | None) -> Progress | None:
        """Its own progress, else this one of all items with this item."""
        return self.progress if progress is None else self.progress or partial(progress, self)


ItemProgress = Callable[[Upload, int, int], None]
"""Called with an item of `upload_many`, its bytes that are through, and their total."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item of `upload_many`: `uploaded`, or else the `error`."""

    item: Upload
    uploaded: Uploaded | None = None
    error: MontError | OSError | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What is said about an image."""

    user_id: str | None
    tags: tuple[str, ...]
    description: str | None

    @property
    def document(self) -> dict[str, object]:
        """Only what there is."""
        said: dict[str, object] = {"tags": list(self.tags)} if self.tags else {}
        return said if self.description is None else {**said, "description": self.description}


@dataclass(frozen=True, slots=True)
class Uploader:
    """Uploads; `find` asks for an image by its id."""

    transport: Transport
    session: aiohttp.ClientSession
    hosts: Hosts
    find: Callable[[str], Awaitable[Image]]

    async def upload(
        self, source: Source, said: Said, key: str, progress: Progress | None, *, own_key: bool
    ) -> Uploaded:
        """All three steps. Raises MontError, OSError.

        `own_key`: the key is not made from these bytes, nor for this call alone.
        """
        if not source.size:
            raise SourceEmpty("empty: there is nothing to upload")
        who = {} if said.user_id is None else {"user_id": said.user_id}
        file = {
            "filename": source.filename,
            "content_type": source.content_type,
            "file_size": source.size,
            **who,
        }
        late: dict[str, object] = {}
        try:
            ticket, sent = await self._staged({**file, **said.document}, key, source, progress)
        except InvalidFields as invalid:
            raise _too_large(invalid, source) or invalid from None
        except DeclarationTooLong:
            late = said.document
            ticket, sent = await self._staged(file, key, source, progress)
        completed = {"image_id": ticket.image_id, **file, **late}
        await self.transport.call("POST", "/images/complete", completed)
        verified = sent.verified
        if own_key:
            # A key of the caller's may have completed an image of other bytes long ago.
            verified = _same_bytes(await self.find(ticket.image_id), source, sent)
        return Uploaded(
            image_id=ticket.image_id,
            filename=source.filename,
            content_type=source.content_type,
            file_size=source.size,
            s3_key=ticket.s3_key,
            md5=sent.md5,
            verified=verified,
        )

    async def _staged(
        self, declared: dict[str, object], key: str, source: Source, progress: Progress | None
    ) -> tuple[Ticket, Sent]:
        ticket = await self._ticket(declared, key)
        try:
            return ticket, await self._sent(ticket, source, progress)
        except StorageRefused as refused:
            if not refused.may_have_expired:
                raise
        ticket = await self._ticket(declared, key)
        return ticket, await self._sent(ticket, source, progress)

    async def _ticket(self, declared: dict[str, object], key: str) -> Ticket:
        answer = await self.transport.call(
            "POST", "/images/upload-url", declared, headers={"Idempotency-Key": key}
        )
        return read_ticket(answer.document)

    async def _sent(self, ticket: Ticket, source: Source, progress: Progress | None) -> Sent:
        host = self.hosts.of(URL(ticket.url, encoded=True))

        def moved(sent: int, total: int) -> None:
            # Those who wait for the host need not wait for all of these bytes, too.
            host.reached()
            if progress is not None:
                progress(sent, total)

        async def attempt() -> Sent:
            return await send_form(self.session, ticket, source, moved)

        return await host.run(attempt, transfer=True)


def _too_large(invalid: InvalidFields, source: Source) -> SourceTooLarge | None:
    """The same in plain words, where the size is all that the service minds."""
    if [each.location for each in invalid.errors] != ["body.file_size"]:
        return None
    found = _LARGEST.search(invalid.errors[0].detail)
    return SourceTooLarge(invalid.document, source.size, int(found[1])) if found else None


def _same_bytes(image: Image, source: Source, sent: Sent) -> bool:
    """Whether the image has them; False where the store's tags are no checksums."""
    if sent.verified and (image.etag, image.file_size) != (sent.md5, source.size):
        # Waiting does not help: this image is finished, and it is another one.
        mismatch = ChecksumMismatch(
            f"image {image.image_id} was completed with other bytes under this idempotency key"
        )
        mismatch.passing = False
        raise mismatch
    return sent.verified
