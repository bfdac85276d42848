"""From a declared upload to a completed image.

    request_upload  signs a form for the staging key; no store is touched
    (the client sends its bytes to S3)
    complete_upload reads the staged object once, verifies it, promotes it, records it

The staging key stays writable until its form expires, so nothing is ever served from there: what
was verified is what was promoted, by entity tag. A crash between promotion and record leaves a
final object that the next attempt adopts.
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
from service.model import COMPLETED, Description, Image, StoredObject, UploadForm
from service.operations.desk import Desk
from service.together import both

# Each further attempt means that the client replaced the staged object in the few milliseconds
# between our read and our copy. Twice can be an accident.
_ATTEMPTS = 3
# What a first read does not settle, one of two megabytes does: print profiles, depth maps.
_LONGEST_HEAD = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RequestUpload:
    """What a client declares. `file_size` in bytes."""

    user_id: str
    filename: str
    content_type: str
    file_size: int
    tags: tuple[str, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
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
    """Sign a form for one upload. Raises DeclarationTooLong."""
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
    form = await desk.objects.upload_form(
        naming.staging_key(request.user_id, image_id),
        content_type=request.content_type,
        size=request.file_size,
        metadata=declaration.to_metadata(said, request.file_size),
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
    """Verify what arrived, promote it, record it. Completing again returns the same image.

    Raises NothingUploaded, IdTaken, ImageMissing (deleted meanwhile), UploadRejected,
    UploadUnsettled.
    """
    staging = naming.staging_key(request.user_id, request.image_id)
    for _ in range(_ATTEMPTS):
        recorded, staged = await both(
            desk.records.find(request.image_id),
            desk.objects.read_head(staging, imageformat.HEAD_BYTES),
        )
        if recorded is not None:
            return _recorded_already(recorded, request)
        if staged is None:
            raise NothingUploaded
        staged = await _with_header(desk, staging, staged)
        image = await _verified(desk, request, staged)
        promoted = await desk.objects.promote(
            staging, image.s3_key, etag=staged.etag, content_type=image.content_type
        )
        if not promoted:
            # Either an attempt before or beside this one got that far, and then its object is
            # the truth; or the staged object changed under our hands, and then we look again.
            final = await desk.objects.read_head(image.s3_key, imageformat.HEAD_BYTES)
            if final is None:
                continue
            final = await _with_header(desk, image.s3_key, final)
            image = _described(request, _declared(staged), final, image.s3_key, desk.now())
        in_place = await desk.records.create(image)
        return image if in_place is None else _recorded_already(in_place, request)
    raise UploadUnsettled


async def _with_header(desk: Desk, key: str, stored: StoredObject) -> StoredObject:
    """The object, read further where a colour profile or the like stands before its size."""
    try:
        imageformat.read_header(stored.head, stored.size)
    except imageformat.HeaderTooFar:
        longer = await desk.objects.read_head(key, _LONGEST_HEAD)
        # Replaced meanwhile: the promotion will find out, by entity tag.
        return stored if longer is None or longer.etag != stored.etag else longer
    except imageformat.NotAnImage:
        pass  # for the verification to say
    return stored


def _recorded_already(image: Image, request: CompleteUpload) -> Image:
    if image.user_id != request.user_id:
        raise IdTaken
    if image.status != COMPLETED:
        raise ImageMissing
    return image


async def _verified(desk: Desk, request: CompleteUpload, staged: StoredObject) -> Image:
    """The image that the staged bytes are.

    Bytes that contradict their own signed declaration can never become right, so they are
    removed. A request that contradicts good bytes is only refused: the right one may follow.
    """
    declared = _declared(staged)
    key = naming.final_key(
        request.user_id, request.image_id, declared[0].filename if declared else _name_of(request)
    )
    try:
        if declared is not None and declared[1] != staged.size:
            raise UploadRejected(
                f"{staged.size} bytes were uploaded where {declared[1]} were declared."
            )
        image = _described(request, declared, staged, key, desk.now())
    except UploadRejected:
        await desk.objects.delete([naming.staging_key(request.user_id, request.image_id)])
        raise
    if request.file_size is not None and request.file_size != staged.size:
        raise UploadRejected(
            f"file_size is {request.file_size}, but {staged.size} bytes were uploaded."
        )
    if request.content_type is not None and request.content_type != staged.content_type:
        raise UploadRejected(
            f"content_type is {request.content_type}, but the upload is {staged.content_type}."
        )
    return image


def _described(
    request: CompleteUpload,
    declared: tuple[Description, int] | None,
    stored: StoredObject,
    key: str,
    now: datetime,
) -> Image:
    """The record for verified bytes. Raises UploadRejected when they are not what they claim."""
    try:
        header = imageformat.read_header(stored.head, stored.size)
    except imageformat.NotAnImage as error:
        raise UploadRejected(f"The uploaded bytes are no image: {error}") from error
    if header.content_type != stored.content_type:
        raise UploadRejected(
            f"{stored.content_type} was declared, but the bytes are {header.content_type}."
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
    )


def _declared(stored: StoredObject) -> tuple[Description, int] | None:
    return declaration.from_metadata(stored.metadata)


def _name_of(request: CompleteUpload) -> str:
    return request.filename or request.image_id
