"""Examples of every request, answer and problem, for the OpenAPI document.

Made by the code that makes the real ones wherever there is such code, so that they cannot differ.
They keep to the limits that are configured: what the page at /docs sends as it is has to work.
"""

from __future__ import annotations

from typing import Any

from service import errors, naming, problems
from service.model import Image, StorageQuota, Usage
from service.schemas import Rules, image_document

# By name: `summary` and `value` (https://spec.openapis.org/oas/v3.1.1.html#example-object).
Examples = dict[str, dict[str, Any]]

_IMAGE_ID = "550e8400-e29b-41d4-a716-446655440000"
_OTHER_ID = "7d9f5c1e-0f6b-4a43-9f0a-3b1d5e8c2a64"
_REQUEST_ID = "9f2c41d07b6e4c5f8a3d1e0b5c7a9d24"
_STORE = "https://mont-images.s3.us-east-1.amazonaws.com/"
_SIGNED = (
    "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260213%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20260213T103000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=6b1c4f7d0a"
)
_SIGNED_FIELDS = {
    "x-amz-meta-mont-declared": "jWyJ2YWNhdGlvbi1waG90by5qcGci",
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20260213/us-east-1/s3/aws4_request",
    "x-amz-date": "20260213T103000Z",
    "policy": "eyJleHBpcmF0aW9uIjogIjIwMjYtMDItMTNUMTE6MzA6MDBaIn0=",
    "x-amz-signature": "8f14e45fce",
}

_RAISED: dict[type[errors.MontError], errors.MontError] = {
    each.__class__: each
    for each in (
        errors.UploadRejected("wrong_size", "file_size is 2048000, but 2047 bytes were uploaded."),
        errors.StorageQuotaExceeded(
            2_048_000, Usage(104_000_000, 37), StorageQuota(bytes=104_857_600)
        ),
        errors.Unauthenticated("Bearer", "no credentials"),
        errors.Throttled(1),
        errors.QuotaExceeded(3600),
        errors.StoreUnavailable("s3", "timeout"),
    )
}
_BAD_FIELDS: dict[str, tuple[str, str]] = {
    "upload_url": ("body.file_size", "Must be greater than or equal to 1."),
    "complete": ("body.image_id", "Not a UUID."),
    "list_images": ("query.start_date", "Not a date that exists."),
    "download_urls": ("body.image_ids.0", "Not a UUID."),
    "delete_images": ("body.image_ids.0", "Not a UUID."),
    "edit_image": ("body.tags.0", "Length must be between 1 and 50."),
    "delete_image": ("body.user_id", "Differs from the one in the query."),
    "download_url": ("query.disposition", "Must be one of: inline, attachment."),
}


def requests(rules: Rules, *, verified: bool) -> dict[str, Examples]:
    """Bodies by endpoint, the plainest first. `verified` callers leave their `user_id` out."""
    image = _image(rules)
    owner = {} if verified else {"user_id": image.user_id}
    one = owner | {"image_id": image.image_id}
    file = {
        "filename": image.filename,
        "content_type": image.content_type,
        "file_size": image.file_size,
    }
    words = {"tags": list(image.tags), "description": image.description}
    batch = {"image_ids_of_one_user": _named("Two images", owner | {"image_ids": _ids(image)})}
    return {
        "upload_url": {
            "described": _named("With tags and description", owner | file | words),
            "plain": _named("Only what has to be said", owner | file),
        },
        "complete": {
            "as_declared": _named("As it was declared", one),
            "in_full": _named("Everything said again", one | file | words),
        },
        "edit_image": {
            "replace_tags": _named("Other tags", owner | {"tags": ["vacation", "sunset"]}),
            "clear_description": _named("No description", owner | {"description": None}),
        },
        "delete_image": {"owner": _named("By its owner", owner)},
        "download_urls": batch,
        "delete_images": batch,
    }


def answers(rules: Rules) -> dict[str, Examples]:
    """What endpoints answer with 200, by endpoint."""
    image = _image(rules)
    shown = _only("The image", _shown(image))
    link = {
        "image_id": image.image_id,
        "presigned_url": f"{_STORE}{image.s3_key}{_SIGNED}",
        "expires_in": 900,
        "filename": image.filename,
        "content_type": image.content_type,
    }
    missing = {
        "image_id": _OTHER_ID,
        **problems.document(errors.ImageMissing(), _REQUEST_ID),
    }
    alive = _only("All is well", {"status": "ok"})
    return {
        "upload_url": _only("A form for one file", _ticket(image)),
        "complete": _only("Recorded", _outcome("completed", "Image upload completed successfully")),
        "list_images": {
            "more_to_come": _named("A page with others after it", _page(image, "bFJ2c3l5aGc")),
            "last": _named("The last page", _page(image, None)),
        },
        "get_image": shown,
        "edit_image": shown,
        "delete_image": _only("Deleted", _deleted()),
        "download_url": _only("A link", link),
        "download_urls": _batch("A link, and a problem", [link, missing]),
        "delete_images": _batch("A deletion, and a problem", [_deleted(), missing]),
        "livez": alive,
        "readyz": alive,
    }


def problem_examples() -> Examples:
    """One example of each kind of problem, by the last part of its type."""
    found = {
        kind.slug: _named(kind.title, problems.document(_example_of(error), _REQUEST_ID))
        for error, kind in problems.KINDS.items()
        if error is not errors.InvalidFields
    }
    unexpected = problems.UNEXPECTED
    found[unexpected.slug] = _named(
        unexpected.title, problems.document(RuntimeError(), _REQUEST_ID)
    )
    return found


def invalid_fields(endpoint_name: str) -> dict[str, Any]:
    """An example of bad fields, which are others for each endpoint."""
    location, detail = _BAD_FIELDS[endpoint_name]
    error = errors.InvalidFields([errors.FieldError(location, detail)])
    return _named(problems.kind_of(error).title, problems.document(error, _REQUEST_ID))


def _example_of(kind: type[errors.MontError]) -> Exception:
    if kind is errors.DeletionPending:  # looks like any other image that is not there
        return errors.ImageMissing()
    if kind is errors.MethodRefused:
        return errors.MethodRefused(("GET",))
    return _RAISED[kind] if kind in _RAISED else kind()


def _image(rules: Rules) -> Image:
    content_types = rules.content_types
    content_type = "image/jpeg" if "image/jpeg" in content_types else content_types[0]
    suffix = content_type.rpartition("/")[2].replace("jpeg", "jpg")
    user_id, filename = "user123", f"vacation-photo.{suffix}"
    return Image(
        image_id=_IMAGE_ID,
        user_id=user_id,
        filename=filename,
        content_type=content_type,
        file_size=min(2_048_000, rules.max_file_size),
        upload_timestamp="2026-02-13T10:30:00.000000Z",
        s3_key=naming.final_key(user_id, _IMAGE_ID, filename),
        etag="9b2cf535f27731c974343645a3985328",
        width=1920,
        height=1080,
        tags=("vacation", "beach"),
        description="Evening at the beach",
    )


def _shown(image: Image) -> dict[str, object]:
    return {**image_document(image), "tags": list(image.tags)}


def _ids(image: Image) -> list[str]:
    return [image.image_id, _OTHER_ID]


def _ticket(image: Image) -> dict[str, object]:
    staging_key = naming.staging_key(image.user_id, image.image_id)
    return {
        "image_id": image.image_id,
        "presigned_url": _STORE,
        "fields": {"key": staging_key, "Content-Type": image.content_type, **_SIGNED_FIELDS},
        "method": "POST",
        "expires_in": 3600,
        "expires_at": "2026-02-13T11:30:00.000000Z",
        "s3_key": image.s3_key,
    }


def _page(image: Image, next_token: str | None) -> dict[str, object]:
    return {
        "images": [_shown(image)],
        "count": 1,
        "next_token": next_token,
        "has_more": next_token is not None,
    }


def _outcome(status: str, message: str) -> dict[str, object]:
    return {"image_id": _IMAGE_ID, "status": status, "message": message}


def _deleted() -> dict[str, object]:
    return _outcome("deleted", "Image deleted successfully")


def _batch(summary: str, results: list[dict[str, object]]) -> Examples:
    return _only(summary, {"results": results, "count": len(results)})


def _only(summary: str, value: dict[str, object]) -> Examples:
    return {"answer": _named(summary, value)}


def _named(summary: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "value": value}
