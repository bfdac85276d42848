"""The only table from error to RFC 9457 answer.

A problem's `type` is stable: clients may compare it. Nothing of an unexpected exception is shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import orjson

from service import errors
from service.exchange import PROBLEM_JSON, ApiResponse

TYPE_PREFIX = "urn:mont:problem:"
# Long enough for a store to come back or a connection pool to drain, short enough to be tried.
_STORE_RETRY_SECONDS = 2
_OVERLOAD_RETRY_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, the last part of its type, and its title."""

    status: int
    slug: str
    title: str


UNEXPECTED = Kind(500, "internal-error", "Something went wrong on our side")

KINDS: dict[type[errors.MontError], Kind] = {
    errors.BadRequest: Kind(400, "bad-request", "Bad request"),
    errors.InvalidFields: Kind(400, "invalid-fields", "Invalid fields"),
    errors.MalformedBody: Kind(400, "malformed-body", "Malformed body"),
    errors.CursorForged: Kind(400, "invalid-next-token", "Invalid next_token"),
    errors.DeclarationTooLong: Kind(400, "declaration-too-long", "Declaration too long"),
    errors.MalformedMessage: Kind(400, "malformed-message", "Malformed message"),
    errors.NotOwner: Kind(401, "not-the-owner", "Not the owner"),
    errors.Unauthenticated: Kind(401, "unauthorized", "Unauthorized"),
    errors.NotAllowed: Kind(403, "not-allowed", "Not allowed"),
    errors.StorageQuotaExceeded: Kind(403, "storage-quota-exceeded", "Storage quota exceeded"),
    errors.RouteMissing: Kind(404, "no-such-path", "No such path"),
    errors.ImageMissing: Kind(404, "image-not-found", "Image not found"),
    errors.DeletionPending: Kind(404, "image-not-found", "Image not found"),
    errors.NothingUploaded: Kind(404, "nothing-uploaded", "Nothing uploaded"),
    errors.MethodRefused: Kind(405, "method-not-allowed", "Method not allowed"),
    errors.BodyTooSlow: Kind(408, "body-too-slow", "Body too slow"),
    errors.IdTaken: Kind(409, "image-id-taken", "Image id taken"),
    errors.UploadUnsettled: Kind(409, "upload-unsettled", "Upload unsettled"),
    errors.RevisionMismatch: Kind(412, "revision-mismatch", "Revision mismatch"),
    errors.BodyTooLarge: Kind(413, "body-too-large", "Body too large"),
    errors.UnsupportedBody: Kind(415, "unsupported-body", "Unsupported body"),
    errors.UploadRejected: Kind(422, "upload-rejected", "Upload rejected"),
    errors.Throttled: Kind(429, "throttled", "Too many requests"),
    errors.Overloaded: Kind(503, "overloaded", "Overloaded"),
    errors.QuotaExceeded: Kind(429, "quota-exceeded", "Quota exceeded"),
    errors.StoreUnavailable: Kind(503, "store-unavailable", "Store unavailable"),
}


def kind_of(error: Exception) -> Kind:
    """The kind of problem that an error is; UNEXPECTED for whatever the table does not know."""
    return KINDS.get(type(error), UNEXPECTED) if isinstance(error, errors.MontError) else UNEXPECTED


def document(error: Exception, request_id: str) -> dict[str, object]:
    """The problem document of an error."""
    kind = kind_of(error)
    described: dict[str, object] = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": str(error)
        if kind is not UNEXPECTED
        else "The failure is logged under this request id.",
        "instance": request_id,
    }
    if isinstance(error, errors.InvalidFields):
        described["errors"] = [
            {"location": each.location, "detail": each.detail} for each in error.errors
        ]
    return described


def answer(error: Exception, request_id: str) -> ApiResponse:
    """The whole answer to an error, with the headers that its kind calls for."""
    headers = {"Content-Type": PROBLEM_JSON, "Cache-Control": "no-store"}
    if isinstance(error, errors.Throttled):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    elif isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(_OVERLOAD_RETRY_SECONDS)
    elif isinstance(error, errors.StoreUnavailable):
        headers["Retry-After"] = str(_STORE_RETRY_SECONDS)
    elif isinstance(error, errors.NotOwner):
        # RFC 9110 wants a challenge with every 401: here, to claim another user_id.
        headers["WWW-Authenticate"] = 'Claimed realm="user_id"'
    elif isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = error.challenge
    elif isinstance(error, errors.MethodRefused):
        headers["Allow"] = ", ".join(error.allowed)
    return ApiResponse(kind_of(error).status, headers, orjson.dumps(document(error, request_id)))
