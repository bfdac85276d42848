"""THE table of endpoints. Both doors, the OpenAPI document and the tests follow from it.

An endpoint function takes a checked call and returns a reply. It translates; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from marshmallow import Schema

from service import errors, problems, schemas
from service.auth.callers import Caller
from service.auth.scope import as_seen_by
from service.errors import FieldError, InvalidFields, MontError
from service.etags import etag_of, is_fresh, required_revisions
from service.model import Disposition, Image
from service.operations import images, listing, uploading
from service.operations.desk import Desk
from service.schemas import image_document
from service.values import value

BodyT = TypeVar("BodyT")
QueryT = TypeVar("QueryT")

NO_STORE = {"Cache-Control": "no-store"}


@value(frozen=True, slots=True)
class Call(Generic[BodyT, QueryT]):
    """One call, checked. `image_id` is the path's, "" where the path has none.

    The desk shows what the caller may see and nothing else.
    """

    caller: Caller
    desk: Desk
    body: BodyT
    query: QueryT
    image_id: str
    headers: Mapping[str, str]
    request_id: str


@value(frozen=True, slots=True)
class Reply:
    """What to answer: a JSON document, or a body with a Content-Type of its own."""

    document: Mapping[str, object] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: NO_STORE)
    body: bytes = b""


EndpointFunction = Callable[[Call[Any, Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the API.

    `name` is the operation's id in OpenAPI, logs and metrics. `problems` are those of its own;
    what every endpoint can answer is not repeated. `answer` is None where the body is no JSON
    document of ours. Only what is `limited` counts against the throttle. What is `public` asks
    nobody who they are.
    """

    name: str
    method: str
    path: str
    summary: str
    function: EndpointFunction
    answer: type[Schema] | None = None
    body: type[schemas.RequestSchema] | None = None
    query: type[schemas.RequestSchema] | None = None
    body_optional: bool = False
    problems: tuple[type[MontError], ...] = ()
    limited: bool = True
    public: bool = False


async def upload_url(call: Call[uploading.RequestUpload, None]) -> Reply:
    """Declare an upload."""
    key = call.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 255:
        raise InvalidFields([FieldError("header.Idempotency-Key", "Must be 1 to 255 characters.")])
    ticket = await uploading.request_upload(call.desk, call.body, key)
    return Reply(
        {
            "image_id": ticket.image_id,
            "presigned_url": ticket.form.url,
            "fields": ticket.form.fields,
            "method": "POST",
            "expires_in": ticket.expires_in,
            "expires_at": ticket.expires_at,
            "s3_key": ticket.s3_key,
        }
    )


async def complete(call: Call[uploading.CompleteUpload, None]) -> Reply:
    """Complete an upload."""
    image = await uploading.complete_upload(call.desk, call.body)
    return Reply(
        {
            "image_id": image.image_id,
            "status": image.status,
            "message": "Image upload completed successfully",
        }
    )


async def list_images(call: Call[None, listing.ListImages]) -> Reply:
    """List images."""
    page = await listing.list_images(call.desk, call.query)
    return Reply(
        {
            "images": _all_shown(call.desk, page.images),
            "count": len(page.images),
            "next_token": page.next_token,
            "has_more": page.next_token is not None,
        }
    )


async def get_image(call: Call[None, None]) -> Reply:
    """Show one image."""
    image = await images.find_image(call.desk, call.image_id)
    etag = etag_of(image)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if is_fresh(call.headers.get("if-none-match"), etag):
        return Reply(status=304, headers=headers)
    return Reply(_shown(call.desk, image), headers=headers)


async def edit_image(call: Call[schemas.EditImage, None]) -> Reply:
    """Edit one image."""
    revisions = required_revisions(call.headers.get("if-match"))
    change = call.body
    image = await images.edit_image(
        call.desk, call.image_id, change.user_id, change.edit, revisions
    )
    return Reply(
        _shown(call.desk, image),
        headers={"ETag": etag_of(image), "Cache-Control": "private, no-cache"},
    )


async def download_url(call: Call[None, Disposition]) -> Reply:
    """Hand out a link to one image."""
    link = await images.link_download(call.desk, call.image_id, call.query)
    return Reply(_link_document(link))


async def download_urls(call: Call[schemas.Batch, None]) -> Reply:
    """Hand out links to several images."""
    batch = call.body
    links = await images.link_downloads(call.desk, batch.image_ids, batch.user_id)
    return _batch_reply(
        call,
        [link if isinstance(link, MontError) else _link_document(link) for link in links],
    )


async def delete_image(call: Call[schemas.Owner | None, schemas.Owner]) -> Reply:
    """Delete one image."""
    given = {owner.user_id for owner in (call.body, call.query) if owner and owner.user_id}
    if len(given) > 1 or not (given or call.caller.verified):
        detail = (
            "Differs from the one in the query." if given else "Missing data for required field."
        )
        raise InvalidFields([FieldError("body.user_id", detail)])
    await images.delete_image(call.desk, call.image_id, given.pop() if given else None)
    return Reply(_deleted_document(call.image_id))


async def delete_images(call: Call[schemas.Batch, None]) -> Reply:
    """Delete several images."""
    batch = call.body
    outcomes = await images.delete_images(call.desk, batch.image_ids, batch.user_id)
    return _batch_reply(
        call,
        [
            error or _deleted_document(image_id)
            for image_id, error in zip(batch.image_ids, outcomes, strict=True)
        ],
    )


async def livez(call: Call[None, None]) -> Reply:
    """Answer that the process is alive."""
    return Reply({"status": "ok"})


async def readyz(call: Call[None, None]) -> Reply:
    """Answer that all that requests need is reachable, or fail as it does."""
    await call.desk.readiness.check()
    return Reply({"status": "ok"})


def _shown(desk: Desk, image: Image) -> dict[str, object]:
    document = image_document(image)
    if desk.thumbnails is not None:
        document["thumbnail_url"] = desk.thumbnails.link(image.s3_key)
    return document


def _all_shown(desk: Desk, images: Sequence[Image]) -> list[dict[str, object]]:
    if desk.thumbnails is None:
        return [image_document(image) for image in images]
    return [_shown(desk, image) for image in images]


def _link_document(link: images.DownloadLink) -> dict[str, object]:
    return {
        "image_id": link.image_id,
        "presigned_url": link.presigned_url,
        "expires_in": link.expires_in,
        "filename": link.filename,
        "content_type": link.content_type,
    }


def _deleted_document(image_id: str) -> dict[str, object]:
    return {"image_id": image_id, "status": "deleted", "message": "Image deleted successfully"}


def _batch_reply(
    call: Call[schemas.Batch, None], outcomes: list[dict[str, object] | MontError]
) -> Reply:
    """Each item as the single call would have answered it, in the order asked for."""
    results = [
        {
            "image_id": image_id,
            **problems.document(as_seen_by(call.caller, outcome), call.request_id),
        }
        if isinstance(outcome, MontError)
        else outcome
        for image_id, outcome in zip(call.body.image_ids, outcomes, strict=True)
    ]
    return Reply({"results": results, "count": len(results)})


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "upload_url",
        "POST",
        "/images/upload-url",
        "Ask where to upload an image",
        upload_url,
        answer=schemas.UploadTicketSchema,
        body=schemas.UploadRequest,
        problems=(errors.DeclarationTooLong, errors.StorageQuotaExceeded),
    ),
    Endpoint(
        "complete",
        "POST",
        "/images/complete",
        "Complete an upload: verify what arrived and record it",
        complete,
        answer=schemas.OutcomeSchema,
        body=schemas.CompleteRequest,
        problems=(
            errors.NothingUploaded,
            errors.ImageMissing,
            errors.IdTaken,
            errors.UploadUnsettled,
            errors.UploadRejected,
            errors.StorageQuotaExceeded,
        ),
    ),
    Endpoint(
        "list_images",
        "GET",
        "/images",
        "List images, newest first",
        list_images,
        answer=schemas.ImageListSchema,
        query=schemas.ListQuery,
        problems=(errors.CursorForged,),
    ),
    Endpoint(
        "download_urls",
        "POST",
        "/images/download-urls",
        "Ask for links to up to 100 images",
        download_urls,
        answer=schemas.DownloadLinksSchema,
        body=schemas.BatchRequest,
    ),
    Endpoint(
        "delete_images",
        "POST",
        "/images/delete",
        "Delete up to 100 images",
        delete_images,
        answer=schemas.DeletionsSchema,
        body=schemas.BatchRequest,
    ),
    Endpoint(
        "get_image",
        "GET",
        "/images/{image_id}",
        "Show an image's metadata",
        get_image,
        answer=schemas.ImageSchema,
        problems=(errors.ImageMissing,),
    ),
    Endpoint(
        "edit_image",
        "PATCH",
        "/images/{image_id}",
        "Change an image's tags or description",
        edit_image,
        answer=schemas.ImageSchema,
        body=schemas.EditRequest,
        problems=(errors.ImageMissing, errors.NotOwner, errors.RevisionMismatch),
    ),
    Endpoint(
        "delete_image",
        "DELETE",
        "/images/{image_id}",
        "Delete an image",
        delete_image,
        answer=schemas.OutcomeSchema,
        body=schemas.DeleteRequest,
        query=schemas.DeleteRequest,
        body_optional=True,
        problems=(errors.ImageMissing, errors.NotOwner),
    ),
    Endpoint(
        "download_url",
        "GET",
        "/images/{image_id}/download-url",
        "Ask for a link to an image",
        download_url,
        answer=schemas.DownloadLinkSchema,
        query=schemas.DownloadQuery,
        problems=(errors.ImageMissing,),
    ),
    Endpoint(
        "livez",
        "GET",
        "/livez",
        "Is the process alive",
        livez,
        answer=schemas.HealthSchema,
        limited=False,
        public=True,
    ),
    Endpoint(
        "readyz",
        "GET",
        "/readyz",
        "Are both stores reachable",
        readyz,
        answer=schemas.HealthSchema,
        problems=(errors.StoreUnavailable,),
        limited=False,
        public=True,
    ),
)
