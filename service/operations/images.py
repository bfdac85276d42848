"""One image, or a batch of them: look it up, edit it, hand out a link, delete it.

Deleting marks the record first, which hides the image at once and decides which of many callers
deletes it; then the object goes, then the record. A mark is a lease: while it is young, whoever
made it is at work, and nobody else touches the object, for once the record is gone its id may be
uploaded anew. Whoever finds an old one takes it over and finishes the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service import naming, timestamps
from service.errors import DeletionPending, ImageMissing, MontError, NotOwner, RevisionMismatch
from service.model import COMPLETED, Disposition, Edit, Image, Revision
from service.operations.desk import Desk
from service.ports import ImageObjects, ImageRecords
from service.together import together

T = TypeVar("T")

# How many images of one batch are worked on at once: enough to hide the stores' latency, few
# enough that one batch cannot take every connection of the pool.
_BATCH_WIDTH = 10


@dataclass(frozen=True, slots=True)
class DownloadLink:
    """A link to an image's bytes, valid for `expires_in` seconds."""

    image_id: str
    presigned_url: str
    expires_in: int
    filename: str
    content_type: str


async def find_image(desk: Desk, image_id: str) -> Image:
    """The completed image with this id. Raises ImageMissing."""
    image = await desk.records.find(image_id)
    if image is None or image.status != COMPLETED:
        raise ImageMissing
    return image


async def edit_image(
    desk: Desk,
    image_id: str,
    user_id: str | None,
    edit: Edit,
    revisions: tuple[Revision, ...] | None,
) -> Image:
    """Change tags or description; None is whoever owns it.

    Raises ImageMissing, NotOwner, RevisionMismatch.
    """
    if revisions == ():
        # Whether there is anything to edit matters more than the condition (RFC 9110, 13.2.1).
        image = await find_image(desk, image_id)
        raise RevisionMismatch if user_id in (None, image.user_id) else NotOwner
    owner = user_id or await _owner_of(desk, image_id)
    return await desk.records.edit(image_id, owner, edit, revisions=revisions)


async def link_download(desk: Desk, image_id: str, disposition: Disposition) -> DownloadLink:
    """A link to one image. Raises ImageMissing."""
    return await _link(desk, await find_image(desk, image_id), disposition)


async def link_downloads(
    desk: Desk, image_ids: Sequence[str], user_id: str | None
) -> list[DownloadLink | MontError]:
    """A link for each id, in order, or what is wrong with that one; None is whoever owns it."""
    images = await desk.records.find_many(image_ids)

    async def link(image_id: str) -> DownloadLink:
        image = images.get(image_id)
        if image is None or image.status != COMPLETED:
            raise ImageMissing
        if user_id not in (None, image.user_id):
            raise NotOwner
        return await _link(desk, image, "inline")

    return await _each(image_ids, link)


async def delete_image(desk: Desk, image_id: str, user_id: str | None) -> None:
    """Delete an image of this user: record hidden, object gone, record gone.

    None is whoever owns it. Raises ImageMissing, NotOwner.
    """
    now = desk.now()
    since, before = timestamps.to_text(now), timestamps.to_text(now - desk.abandoned_after)
    owner = user_id or await _owner_of(desk, image_id)
    try:
        image = await desk.records.mark_deleting(image_id, owner, since)
    except DeletionPending:
        left = await desk.records.take_over(image_id, before, since)
        if left is not None:
            await finish_deletion(desk.objects, desk.records, left)
        raise
    await finish_deletion(desk.objects, desk.records, image)


async def delete_images(
    desk: Desk, image_ids: Sequence[str], user_id: str | None
) -> list[MontError | None]:
    """Delete each of these, in order; None for each that is deleted, or what is wrong with it.

    No `user_id` is whoever owns it.
    """

    async def delete(image_id: str) -> None:
        await delete_image(desk, image_id, user_id)

    return await _each(image_ids, delete)


async def _owner_of(desk: Desk, image_id: str) -> str:
    # Whatever its status, so that a deletion that was cut short is finished by trying again.
    image = await desk.records.find(image_id)
    if image is None:
        raise ImageMissing
    return image.user_id


async def finish_deletion(objects: ImageObjects, records: ImageRecords, image: Image) -> None:
    """Do what is left to do for an image, by who holds its mark."""
    # The staged leftover goes too: otherwise a late retry of complete would bring the image back.
    await objects.delete([image.s3_key, naming.staging_key(image.user_id, image.image_id)])
    await records.remove(image.image_id)


async def _link(desk: Desk, image: Image, disposition: Disposition) -> DownloadLink:
    url = await desk.objects.download_url(
        image.s3_key,
        filename=image.filename,
        content_type=image.content_type,
        disposition=disposition,
        expires_in=desk.download_expiry,
    )
    return DownloadLink(
        image.image_id, url, desk.download_expiry, image.filename, image.content_type
    )


async def _each(
    image_ids: Sequence[str], work: Callable[[str], Awaitable[T]]
) -> list[T | MontError]:
    """The outcome of `work` for each id, in order, a few at once; one failure stops no other."""
    turns = asyncio.Semaphore(_BATCH_WIDTH)

    async def outcome(image_id: str) -> T | MontError:
        async with turns:
            try:
                return await work(image_id)
            except MontError as error:
                return error

    return await together(outcome(image_id) for image_id in image_ids)
