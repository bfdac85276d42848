"""The Python client: uploads in one call, lists as iterators, downloads that resume.

    import asyncio

    from service.client import MontClient, MontProblem

    async def main() -> None:
        async with MontClient("http://127.0.0.1:8080", user_id="ann") as mont:
            uploaded = await mont.upload("photo.jpg", tags=["beach"], description="Evening")

            async for image in mont.images(tag="beach", start="2026-01-01"):
                print(image.image_id, image.filename, image.width, image.height)

            await mont.download(uploaded.image_id, "back.jpg")
            await mont.retag(uploaded.image_id, add=["sunset"])

            try:
                await mont.delete(uploaded.image_id)
            except MontProblem as problem:
                print(problem.status, problem.detail, problem.request_id)

    asyncio.run(main())

Calls are repeated where a failure may pass: connections that break, 429 and 5xx. Nothing is done
twice by that. `service.client.sync` is the same without `async`. Nothing here knows the server's
code: both sides share the names on the wire alone.
"""

from service.client.content import ContentKey, sha256_of
from service.client.errors import (
    AlreadyDownloading,
    BadRequest,
    ChecksumMismatch,
    Conflict,
    ConnectionFailed,
    DeclarationTooLong,
    FieldProblem,
    ImageChanged,
    ImageIdTaken,
    ImageNotFound,
    InvalidFields,
    MontError,
    MontProblem,
    NotAllowed,
    NotFound,
    NothingUploaded,
    NotOwner,
    QuotaExceeded,
    RevisionMismatch,
    ServiceFailed,
    SourceChanged,
    SourceEmpty,
    SourceTooLarge,
    StorageQuotaExceeded,
    StorageRefused,
    Throttled,
    Unauthorized,
    UnexpectedAnswer,
    UploadRejected,
    UploadUnsettled,
)
from service.client.forms import Progress
from service.client.mont import MontClient, Token
from service.client.retries import Retries
from service.client.sources import Uploadable
from service.client.uploads import ItemProgress, Outcome, Upload
from service.client.values import KEEP, Deleted, Image, Keep, Link, Linked, Order, Ticket, Uploaded

__all__ = [
    "KEEP",
    "AlreadyDownloading",
    "BadRequest",
    "ChecksumMismatch",
    "Conflict",
    "ConnectionFailed",
    "ContentKey",
    "DeclarationTooLong",
    "Deleted",
    "FieldProblem",
    "Image",
    "ImageChanged",
    "ImageIdTaken",
    "ImageNotFound",
    "InvalidFields",
    "ItemProgress",
    "Keep",
    "Link",
    "Linked",
    "MontClient",
    "MontError",
    "MontProblem",
    "NotAllowed",
    "NotFound",
    "NotOwner",
    "NothingUploaded",
    "Order",
    "Outcome",
    "Progress",
    "QuotaExceeded",
    "Retries",
    "RevisionMismatch",
    "ServiceFailed",
    "SourceChanged",
    "SourceEmpty",
    "SourceTooLarge",
    "StorageQuotaExceeded",
    "StorageRefused",
    "Throttled",
    "Ticket",
    "Token",
    "Unauthorized",
    "UnexpectedAnswer",
    "Upload",
    "UploadRejected",
    "UploadUnsettled",
    "Uploadable",
    "Uploaded",
    "sha256_of",
]
