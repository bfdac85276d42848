"""What goes over the wire: marshmallow schemas, with the contract's own field names."""

from service.schemas.answers import (
    BatchSchema,
    DownloadLinkSchema,
    HealthSchema,
    ImageListSchema,
    ImageSchema,
    OutcomeSchema,
    ProblemSchema,
    UploadTicketSchema,
    image_document,
)
from service.schemas.fields import UUID_PATTERN, UserId
from service.schemas.requests import (
    Batch,
    BatchRequest,
    CompleteRequest,
    DeleteRequest,
    DownloadQuery,
    EditImage,
    EditRequest,
    ListQuery,
    Owner,
    RequestSchema,
    Rules,
    UploadRequest,
)

__all__ = [
    "UUID_PATTERN",
    "Batch",
    "BatchRequest",
    "BatchSchema",
    "CompleteRequest",
    "DeleteRequest",
    "DownloadLinkSchema",
    "DownloadQuery",
    "EditImage",
    "EditRequest",
    "HealthSchema",
    "ImageListSchema",
    "ImageSchema",
    "ListQuery",
    "OutcomeSchema",
    "Owner",
    "ProblemSchema",
    "RequestSchema",
    "Rules",
    "UploadRequest",
    "UploadTicketSchema",
    "UserId",
    "image_document",
]
