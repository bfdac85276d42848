"""What can be wrong with the world, as the core sees it.

    MontError
    ├── BadRequest               the caller's words make no sense
    │   ├── InvalidFields        ... field by field
    │   ├── MalformedBody
    │   ├── CursorForged
    │   └── DeclarationTooLong
    ├── MalformedMessage         not even HTTP
    ├── RouteMissing, MethodRefused, UnsupportedBody, BodyTooLarge, BodyTooSlow
    ├── ImageMissing
    │   └── DeletionPending      ... any more: somebody began to delete it
    ├── NothingUploaded
    ├── NotOwner, IdTaken
    ├── Unauthenticated          nobody knows who asks
    ├── NotAllowed               it is known, and may not do this
    ├── RevisionMismatch
    ├── UploadRejected           the bytes are not what was declared
    ├── UploadUnsettled          the staged object changes while it is being completed
    ├── StorageQuotaExceeded     the user's images would take more room than they may
    ├── Throttled
    │   └── QuotaExceeded        ... until tomorrow
    ├── Overloaded               more arrives than can be answered
    └── StoreUnavailable         a store cannot be reached, refuses, or is too slow

The docstring is the message where the raiser gives none. No status code lives here: `problems`
holds the only table from error to answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from service.model import Image, StorageQuota, Usage

Rejection = Literal["wrong_size", "wrong_type", "not_an_image", "too_many_pixels"]
REJECTIONS: tuple[Rejection, ...] = get_args(Rejection)
"""What can be wrong with uploaded bytes."""


class MontError(Exception):
    """Something went wrong."""

    def __str__(self) -> str:
        return super().__str__() or " ".join((self.__doc__ or "").split())


@dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field: `location` such as `body.tags.3` or `query.limit`, and what is wrong there."""

    location: str
    detail: str


class BadRequest(MontError):
    """The request makes no sense."""


class InvalidFields(BadRequest):
    """One or more fields are missing or not as they must be."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__()
        self.errors = errors


class MalformedBody(BadRequest):
    """The body is not a JSON object."""


class CursorForged(BadRequest):
    """next_token is not one that this service gave out for this query."""


class DeclarationTooLong(BadRequest):
    """filename, tags and description together are too long to travel with the upload.

    Leave tags and description out here and send them to POST /images/complete instead.
    """


class MalformedMessage(MontError):
    """This is not a complete HTTP request, or its line or a header is too long."""


class RouteMissing(MontError):
    """There is nothing at this path."""


class MethodRefused(MontError):
    """This path does not answer this method."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__()
        self.allowed = allowed


class UnsupportedBody(MontError):
    """The body must be sent as application/json in UTF-8, and not compressed."""


class BodyTooLarge(MontError):
    """The body is larger than any request to this service can be."""


class BodyTooSlow(MontError):
    """The body did not arrive in time."""


class ImageMissing(MontError):
    """There is no image with this id."""


class DeletionPending(ImageMissing):
    """There is no image with this id."""

    def __init__(self, image: Image) -> None:
        super().__init__()
        self.image = image


class NothingUploaded(MontError):
    """Nothing has been uploaded for this image id yet, or it expired before it was completed."""


class NotOwner(MontError):
    """This image belongs to someone else."""


class Unauthenticated(MontError):
    """Credentials are missing or not valid."""

    def __init__(self, challenge: str, reason: str) -> None:
        """`challenge` names the scheme to use; `reason` is for the log and never for the caller."""
        super().__init__()
        self.challenge = challenge
        self.reason = reason


class NotAllowed(MontError):
    """These credentials are not for this user_id."""


class IdTaken(MontError):
    """This image id belongs to someone else."""


class RevisionMismatch(MontError):
    """The image has changed since the version named by If-Match."""


class UploadRejected(MontError):
    """The uploaded bytes are not what was declared."""

    def __init__(self, reason: Rejection, detail: str = "") -> None:
        """`detail` is for the caller, `reason` what such refusals are counted by."""
        super().__init__(detail)
        self.reason = reason


class UploadUnsettled(MontError):
    """The uploaded object keeps changing while it is being completed. Try again."""


class StorageQuotaExceeded(MontError):
    """This image does not fit into what the user may still store."""

    def __init__(self, size: int, usage: Usage, quota: StorageQuota) -> None:
        """`size` of the image in bytes; `usage` is that of the others."""
        used = []
        if quota.bytes:
            used.append(f"{usage.bytes} of {quota.bytes} bytes")
        if quota.images:
            used.append(f"{usage.images} of {quota.images} images")
        super().__init__(
            f"This image of {size} bytes does not fit: {' and '.join(used)} are used. "
            "Delete others and try again."
        )


class Throttled(MontError):
    """Too many requests at once. Slow down and try again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


class Overloaded(MontError):
    """More requests arrive than can be answered in time. Try again shortly."""


class QuotaExceeded(Throttled):
    """This API key has used up its requests for today. The day ends at midnight UTC."""


class StoreUnavailable(MontError):
    """A store behind this service cannot be reached right now. Try again shortly."""

    def __init__(self, store: str, cause: str) -> None:
        super().__init__()
        self.store = store
        self.cause = cause
