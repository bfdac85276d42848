"""What happened, in words that metrics can be counted by: few, stable, the same on both doors."""

from __future__ import annotations

from service import errors
from service.telemetry import Answered

COMPLETE = "complete"
"""The endpoint at which uploads are verified."""

COMPLETED = "completed"
_REFUSED: dict[type[Exception], str] = {
    errors.NothingUploaded: "nothing_uploaded",
    errors.ImageMissing: "deleted_meanwhile",
    errors.DeletionPending: "deleted_meanwhile",
    errors.IdTaken: "id_taken",
    errors.UploadUnsettled: "unsettled",
    errors.StorageQuotaExceeded: "over_quota",
}
OUTCOMES = (COMPLETED, *errors.REJECTIONS, *dict.fromkeys(_REFUSED.values()))
"""Every outcome of an upload that was looked at."""

# How S3 and DynamoDB say that something is not there or not as it was: the service asks them so
# that they do, and a client's mistake must not look like a store's fault.
_ANSWERS = frozenset(
    {
        *("ConditionalCheckFailedException", "TransactionCanceledException"),
        *("NoSuchKey", "404", "PreconditionFailed", "412", "InvalidRange", "416"),
        # Given up here, for another call's failure or at the end of the process.
        "CancelledError",
    }
)
_MOST_CODES = 50


def upload_outcome(request: Answered) -> str | None:
    """What became of an upload; None where the request is about none, or got to see none."""
    if request.route != COMPLETE:
        return None
    error = request.trail.error if request.trail is not None else None
    if error is None:
        return COMPLETED if request.status == 200 else None
    if isinstance(error, errors.UploadRejected):
        return error.reason
    return _REFUSED.get(type(error))


def fault_of(code: str | None) -> str | None:
    """The code of a failed call of a store; None where the store did what it was asked to."""
    return None if code is None or code in _ANSWERS else code


class FewCodes:
    """Keeps the codes of faults few, whatever a store or a proxy before it may call them."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def of(self, code: str) -> str:
        """The code itself, or `other` when there are too many, or it is no word."""
        if code not in self._known:
            if len(self._known) >= _MOST_CODES or not code.isalnum() or len(code) > 64:
                return "other"
            self._known.add(code)
        return code
