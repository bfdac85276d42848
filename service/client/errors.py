"""What can be wrong when this client is used, as exceptions.

    MontError
    ├── MontProblem              the service refused, and says why (RFC 9457)
    │   ├── BadRequest           400: these words make no sense
    │   │   ├── InvalidFields    ... field by field, in `errors`
    │   │   │   └── SourceTooLarge
    │   │   └── DeclarationTooLong
    │   ├── Unauthorized         401: credentials are missing or not valid
    │   ├── NotOwner             401: the image is somebody else's
    │   ├── NotAllowed           403: good credentials, but not for this user_id
    │   ├── NotFound             404
    │   │   ├── ImageNotFound
    │   │   └── NothingUploaded
    │   ├── Conflict             409
    │   │   ├── ImageIdTaken
    │   │   └── UploadUnsettled
    │   ├── RevisionMismatch     412: the image changed since the revision asked for
    │   ├── UploadRejected       422: the bytes are not what was declared
    │   ├── StorageQuotaExceeded 403: no room for this image
    │   ├── Throttled            429: too many requests at once
    │   │   └── QuotaExceeded    ... or today
    │   └── ServiceFailed        5xx: try again later
    ├── StorageRefused           S3 refused a form or a link
    ├── ConnectionFailed         nobody answered, or not to the end
    ├── ChecksumMismatch         bytes changed on their way
    ├── SourceEmpty              there is nothing to upload in the file
    ├── SourceChanged            the file changed while it was sent
    ├── ImageChanged             the image changed while it was read
    ├── AlreadyDownloading       another process writes the same download
    └── UnexpectedAnswer         the service's answer is not of this API

A problem of a type that is not drawn here is the class of its status, or MontProblem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

# Worth trying again as it is: nothing about the request was wrong.
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODES = frozenset({"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable"})


class MontError(Exception):
    """Something went wrong.

    `passing` tells whether the same call may succeed later, `retry_after` the seconds to wait
    before, where the service named them.
    """

    passing: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One bad field: `location` such as `body.file_size`, and what is wrong there."""

    location: str
    detail: str


@dataclass(frozen=True, slots=True)
class ProblemDocument:
    """What the service said. `type` is stable and meant to be compared."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    request_id: str | None = None
    retry_after: float | None = None


class MontProblem(MontError):
    """The service refused, and says why."""

    slug: ClassVar[str] = ""
    """The last part of the problem's type; "" is any type of this class's status."""

    def __init__(self, document: ProblemDocument) -> None:
        super().__init__(document)
        self.document = document
        self.type = document.type
        self.title = document.title
        self.status = document.status
        self.detail = document.detail
        self.errors = document.errors
        self.request_id = document.request_id
        self.retry_after = document.retry_after
        self.passing = document.status in _PASSING_STATUSES
        self.repeated = False
        """Whether an attempt before this one was lost, and may have done its work."""

    def __str__(self) -> str:
        said = f"{self.title}: {self.detail}" if self.detail else self.title
        for each in self.errors:
            said += f"\n  {each.location}: {each.detail}"
        return said


class BadRequest(MontProblem):
    """The request makes no sense to the service."""


class InvalidFields(BadRequest):
    """One or more fields are not as they must be; `errors` tells which."""

    slug = "invalid-fields"


class DeclarationTooLong(BadRequest):
    """Name, tags and description do not fit the upload form together."""

    slug = "declaration-too-long"


class Unauthorized(MontProblem):
    """Credentials are missing or not valid."""


class NotOwner(MontProblem):
    """The image belongs to someone else."""

    slug = "not-the-owner"


class NotAllowed(MontProblem):
    """These credentials are not for this user_id."""


class StorageQuotaExceeded(MontProblem):
    """The image does not fit into what its user may store."""

    slug = "storage-quota-exceeded"


class NotFound(MontProblem):
    """There is nothing there."""


class ImageNotFound(NotFound):
    """There is no image with this id."""

    slug = "image-not-found"


class NothingUploaded(NotFound):
    """Nothing has been uploaded for this image id."""

    slug = "nothing-uploaded"


class Conflict(MontProblem):
    """It is in the way of something else."""


class ImageIdTaken(Conflict):
    """This image id belongs to someone else."""

    slug = "image-id-taken"


class UploadUnsettled(Conflict):
    """The uploaded object keeps changing while it is completed."""

    slug = "upload-unsettled"

    def __init__(self, document: ProblemDocument) -> None:
        super().__init__(document)
        self.passing = True


class RevisionMismatch(MontProblem):
    """The image changed since the revision that was asked for."""


class UploadRejected(MontProblem):
    """The uploaded bytes are not what was declared."""


class Throttled(MontProblem):
    """Too many requests; `retry_after` tells when to come back."""


class QuotaExceeded(Throttled):
    """These credentials have used up their requests for today."""

    slug = "quota-exceeded"


class ServiceFailed(MontProblem):
    """The service, or a store behind it, is not well."""


class StorageRefused(MontError):
    """S3 refused a form or a link; `code` is its own word for why."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"S3 answered {status} {code}: {message}".rstrip(": "))
        self.status = status
        self.code = code
        self.passing = status in _PASSING_STATUSES or code in _PASSING_CODES
        # Whether it expired, S3 tells only in prose. A fresh one is cheap, so any 403 gets one.
        self.may_have_expired = status == 403 or code == "ExpiredToken"


class ConnectionFailed(MontError):
    """Nobody answered, or not to the end."""

    passing = True


class ChecksumMismatch(MontError):
    """The bytes that arrived are not those that were sent."""

    passing = True


class SourceTooLarge(InvalidFields):
    """The file is larger than the service takes; `limit` in bytes."""

    slug = ""

    def __init__(self, document: ProblemDocument, size: int, limit: int) -> None:
        super().__init__(document)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"too large: {self.size:,} bytes, and the service takes {self.limit:,} at most"


class SourceEmpty(MontError):
    """The file is empty: there is nothing to upload."""


class SourceChanged(MontError):
    """The file is shorter than when its upload began."""


class ImageChanged(MontError):
    """The image became another one while it was read."""

    passing = True


class AlreadyDownloading(MontError):
    """Another process is downloading this image into the same folder."""


class UnexpectedAnswer(MontError):
    """The service's answer is not of this API; is the address right?"""


_BY_STATUS: dict[int, type[MontProblem]] = {
    400: BadRequest,
    401: Unauthorized,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: RevisionMismatch,
    422: UploadRejected,
    429: Throttled,
}
_BY_SLUG: dict[str, type[MontProblem]] = {
    each.slug: each
    for each in (
        InvalidFields,
        DeclarationTooLong,
        NotOwner,
        ImageNotFound,
        NothingUploaded,
        ImageIdTaken,
        UploadUnsettled,
        StorageQuotaExceeded,
        QuotaExceeded,
    )
}


def problem_of(document: ProblemDocument) -> MontProblem:
    """The exception of a problem document."""
    kind = _BY_SLUG.get(document.type.rpartition(":")[2])
    if kind is None:
        kind = ServiceFailed if document.status >= 500 else _BY_STATUS.get(document.status)
    return (kind or MontProblem)(document)
