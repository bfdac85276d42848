"""From a declared upload to a completed image.

    request_upload   signs a form for the staging key; no store is touched, but where users have
                     a quota of room: one look whether there is any
    (the client sends its bytes to S3)
    complete_upload  reads and verifies the staged object
                     claims its id with a pending record, which no one sees, and its room
                     promotes exactly the verified bytes, by entity tag
                     publishes the record

The staging key stays writable until its form expires, so nothing is ever served from there. The
claim is what holds attempts together: whoever finds one goes on from there, with the same bytes,
and once an image is deleted there is nothing left to go on from. Recording only after promotion
would let a late attempt record an image that was deleted meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from service import declaration, imageformat, naming, timestamps
from service.errors import (
    IdTaken,
    ImageMissing,
    NothingUploaded,
    UploadRejected,
    UploadUnsettled,
)
from service.model import COMPLETED, PENDING, Description, Image, StoredObject, UploadForm
from service.operations.desk import Desk
from service.values import value

# Each further attempt means that the client replaced the staged object, or another attempt its
# claim, in the few milliseconds between our read and our publication.
_ATTEMPTS = 5
# What a first read does not settle, one of two megabytes does: print profiles, depth maps.
_LONGEST_HEAD = 2 * 1024 * 1024


@value(frozen=True, slots=True)
class RequestUpload:
    """What a client declares. `file_size` in bytes."""

    user_id: str
    filename: str
    content_type: str
    file_size: int
    tags: tuple[str, ...] = ()
    description: str | None = None


@value(frozen=True, slots=True)
class UploadTicket:
    """Where and how to send the bytes, and until when (`expires_in` seconds from now)."""

    image_id: str
    s3_key: str
    form: UploadForm
    expires_in: int
    expires_at: str


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """Which upload to complete. What is None here is taken from what was declared."""

    image_id: str
    user_id: str
    filename: str | None = None
    content_type: str | None = None
    file_size: int | None = None
    tags: tuple[str, ...] | None = None
    description: str | None = None


async def request_upload(
    desk: Desk, request: RequestUpload, idempotency_key: str | None
) -> UploadTicket:
    """Sign a form for one upload. Raises DeclarationTooLong, StorageQuotaExceeded.

    That there is room now promises none later: completing the upload takes it, or is refused.
    """
    if idempotency_key is None:
        image_id = desk.new_id()
    else:
        image_id = naming.repeatable_image_id(
            idempotency_key,
            request.user_id,
            request.filename,
            request.content_type,
            request.file_size,
        )
    said = Description(request.filename, request.tags, request.description)
    metadata = declaration.to_metadata(said, request.file_size)
    await desk.records.demand_room(request.user_id, request.file_size)
    form = await desk.objects.upload_form(
        naming.staging_key(request.user_id, image_id),
        content_type=request.content_type,
        size=request.file_size,
        metadata=metadata,
        expires_in=desk.upload_expiry,
    )
    return UploadTicket(
        image_id=image_id,
        s3_key=naming.final_key(request.user_id, image_id, request.filename),
        form=form,
        expires_in=desk.upload_expiry,
        expires_at=timestamps.to_text(desk.now() + timedelta(seconds=desk.upload_expiry)),
    )


async def complete_upload(desk: Desk, request: CompleteUpload) -> Image:
    """Verify what arrived, claim its id, promote it, publish it. Again: the same image.

    Raises NothingUploaded, IdTaken, ImageMissing (deleted meanwhile), UploadRejected,
    UploadUnsettled, StorageQuotaExceeded (what is staged stays, for another attempt).
    """
    for _ in range(_ATTEMPTS):
        try:
            image = await _verified(desk, request)
        except (NothingUploaded, UploadRejected) as nothing_new:
            return await _finished_before(desk, request, nothing_new)
        in_place = await desk.records.create(image)
        if in_place is not None:
            if in_place.status != PENDING or in_place.user_id != request.user_id:
                return _recorded_already(in_place, request)
            # Another attempt got this far, before us or beside us. What it claimed is either
            # these very bytes, or bytes that are there no more.
            if in_place.etag == image.etag:
                image = in_place
            elif not await desk.records.replace_pending(in_place, image):
                continue
        if await _promoted(desk, image):
            done = await _published(desk, image, request)
            if done is not None:
                return done
    raise UploadUnsettled


async def _finished_before(
    desk: Desk, request: CompleteUpload, nothing_new: NothingUploaded | UploadRejected
) -> Image:
    """The image of an earlier attempt, where nothing (good) is staged. Else raises `nothing_new`.

    A form can be sent again after all is done, and staged objects expire: neither changes what
    was completed, or what had only its publication left to do.
    """
    recorded = await desk.records.find(request.image_id)
    if recorded is None:
        raise nothing_new
    if recorded.status != PENDING or recorded.user_id != request.user_id:
        return _recorded_already(recorded, request)
    final = await desk.objects.read_head(recorded.s3_key, 1)
    if final is not None and final.etag == recorded.etag:
        done = await _published(desk, recorded, request)
        if done is not None:
            return done
    elif isinstance(nothing_new, NothingUploaded):
        # Its bytes are nowhere any more.
        await desk.records.abandon(recorded)
    raise nothing_new


async def _promoted(desk: Desk, pending: Image) -> bool:
    """Copy the staged bytes, if they are still the verified ones; whether they were."""
    return await desk.objects.promote(
        naming.staging_key(pending.user_id, pending.image_id),
        pending.s3_key,
        etag=pending.etag,
        content_type=pending.content_type,
    )


async def _published(desk: Desk, pending: Image, request: CompleteUpload) -> Image | None:
    """The completed image; None where other bytes have been claimed for it meanwhile."""
    published = await desk.records.publish(pending, timestamps.to_text(desk.now()))
    if published is not None:
        return published
    recorded = await desk.records.find(pending.image_id)
    if recorded is None:
        raise ImageMissing
    return None if recorded.status == PENDING else _recorded_already(recorded, request)


def _recorded_already(image: Image, request: CompleteUpload) -> Image:
    if image.user_id != request.user_id:
        raise IdTaken
    if image.status != COMPLETED:
        raise ImageMissing
    return image


_Header = imageformat.ImageHeader | imageformat.NotAnImage


async def _with_header(desk: Desk, key: str, stored: StoredObject) -> tuple[StoredObject, _Header]:
    """The object, read further where a colour profile or the like stands before its size."""
    header = _header_of(stored)
    if isinstance(header, imageformat.HeaderTooFar):
        longer = await desk.objects.read_head(key, _LONGEST_HEAD)
        # Replaced meanwhile, the first bytes do: the promotion will find out, by entity tag.
        if longer is not None and longer.etag == stored.etag:
            return longer, _header_of(longer)
    return stored, header


async def _with_end(desk: Desk, key: str, stored: StoredObject, header: _Header) -> _Header:
    """What the bytes are, now that their end was looked at, too."""
    if (
        isinstance(header, imageformat.NotAnImage)
        or len(stored.head) == stored.size
        or not imageformat.has_end(header.content_type)
    ):
        return header
    end = await desk.objects.read_tail(key, stored.size, imageformat.TAIL_BYTES)
    # Replaced meanwhile, it says nothing about these bytes, and they will not be promoted.
    if end is None or end.etag != stored.etag:
        return header
    try:
        imageformat.check_end(header.content_type, end.head)
    except imageformat.NotAnImage as error:
        return error
    return header


def _header_of(stored: StoredObject) -> _Header:
    """What the bytes are, or why they are no image: looked at once, and it takes its time."""
    try:
        return imageformat.read_header(stored.head, stored.size)
    except imageformat.NotAnImage as error:
        return error


async def _verified(desk: Desk, request: CompleteUpload) -> Image:
    """The pending image that the staged bytes are. Raises NothingUploaded, UploadRejected.

    Bytes that contradict their own signed declaration can never become right, so they are
    removed. A request that contradicts good bytes is only refused: the right one may follow.
    """
    staging = naming.staging_key(request.user_id, request.image_id)
    staged = await desk.objects.read_head(staging, imageformat.HEAD_BYTES)
    if staged is None:
        raise NothingUploaded
    staged, header = await _with_header(desk, staging, staged)
    header = await _with_end(desk, staging, staged, header)
    declared = _declared(staged)
    key = naming.final_key(
        request.user_id, request.image_id, declared[0].filename if declared else _name_of(request)
    )
    try:
        if declared is not None and declared[1] != staged.size:
            raise UploadRejected(
                "wrong_size",
                f"{staged.size} bytes were uploaded where {declared[1]} were declared.",
            )
        image = _described(request, declared, staged, header, key, desk.now())
        if image.width * image.height > desk.max_pixels:
            raise UploadRejected(
                "too_many_pixels",
                f"{image.width} x {image.height} is more than {desk.max_pixels} pixels.",
            )
    except UploadRejected:
        await desk.objects.delete([staging])
        raise
    if request.file_size is not None and request.file_size != staged.size:
        raise UploadRejected(
            "wrong_size",
            f"file_size is {request.file_size}, but {staged.size} bytes were uploaded.",
        )
    if request.content_type is not None and request.content_type != staged.content_type:
        raise UploadRejected(
            "wrong_type",
            f"content_type is {request.content_type}, but the upload is {staged.content_type}.",
        )
    return image


def _described(
    request: CompleteUpload,
    declared: tuple[Description, int] | None,
    stored: StoredObject,
    header: _Header,
    key: str,
    now: datetime,
) -> Image:
    """The record for verified bytes. Raises UploadRejected when they are not what they claim."""
    if isinstance(header, imageformat.NotAnImage):
        detail = f"The uploaded bytes are no image: {header}"
        raise UploadRejected("not_an_image", detail) from header
    if header.content_type != stored.content_type:
        raise UploadRejected(
            "wrong_type",
            f"{stored.content_type} was declared, but the bytes are {header.content_type}.",
        )
    said = declared[0] if declared else Description(_name_of(request))
    return Image(
        image_id=request.image_id,
        user_id=request.user_id,
        filename=said.filename if request.filename is None else request.filename,
        content_type=header.content_type,
        file_size=stored.size,
        upload_timestamp=timestamps.to_text(now),
        s3_key=key,
        etag=stored.etag,
        width=header.width,
        height=header.height,
        tags=said.tags if request.tags is None else request.tags,
        description=said.description if request.description is None else request.description,
        status=PENDING,
    )


def _declared(stored: StoredObject) -> tuple[Description, int] | None:
    return declaration.from_metadata(stored.metadata)


def _name_of(request: CompleteUpload) -> str:
    return request.filename or request.image_id
