"""What goes out, as the OpenAPI document describes it."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from service.model import Image
from service.schemas.fields import ImageId


class EitherOf(fields.Raw):
    """A document of one of several kinds."""

    def __init__(self, *kinds: type[Schema], **keywords: Any) -> None:
        super().__init__(**keywords)
        self.kinds = kinds


class UploadTicketSchema(Schema):
    """Where and how to send the bytes."""

    image_id = ImageId(required=True)
    presigned_url = fields.Url(
        required=True, metadata={"description": "POST the form here, as multipart/form-data."}
    )
    fields_ = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        data_key="fields",
        metadata={
            "description": "Form fields, to be sent unchanged and first; then the bytes as `file`."
        },
    )
    method = fields.Constant("POST", required=True, metadata={"type": "string"})
    expires_in = fields.Integer(
        required=True, metadata={"description": "Seconds that the form is good for."}
    )
    expires_at = fields.String(
        required=True, metadata={"format": "date-time", "description": "The same as a time."}
    )
    s3_key = fields.String(
        required=True, metadata={"description": "Where the image will be served from."}
    )


class ImageSchema(Schema):
    """An image's metadata."""

    image_id = ImageId(required=True)
    user_id = fields.String(required=True)
    filename = fields.String(required=True, metadata={"description": "Exactly as it was sent."})
    content_type = fields.String(required=True)
    file_size = fields.Integer(required=True, metadata={"description": "In bytes."})
    upload_timestamp = fields.String(
        required=True,
        metadata={"format": "date-time", "description": "When the upload was completed."},
    )
    tags = fields.List(fields.String(), required=True)
    description = fields.String(required=True, allow_none=True)
    status = fields.String(required=True)
    s3_key = fields.String(required=True)
    etag = fields.String(required=True, metadata={"description": "Entity tag of the bytes in S3."})
    width = fields.Integer(required=True, metadata={"description": "In pixels."})
    height = fields.Integer(required=True, metadata={"description": "In pixels."})
    thumbnail_url = fields.Url(metadata={"description": "A smaller picture, where one is made."})


class ImageListSchema(Schema):
    """One page of images."""

    images = fields.List(fields.Nested(ImageSchema), required=True)
    count = fields.Integer(required=True, metadata={"description": "Images on this page."})
    next_token = fields.String(
        required=True, allow_none=True, metadata={"description": "null on the last page."}
    )
    has_more = fields.Boolean(
        required=True, metadata={"description": "Whether there is a `next_token`."}
    )


class OutcomeSchema(Schema):
    """What became of an image."""

    image_id = ImageId(required=True)
    status = fields.String(required=True)
    message = fields.String(required=True)


class DownloadLinkSchema(Schema):
    """Where to fetch an image's bytes."""

    image_id = ImageId(required=True)
    presigned_url = fields.Url(required=True, metadata={"description": "GET the bytes here."})
    expires_in = fields.Integer(
        required=True, metadata={"description": "Seconds that the link is good for."}
    )
    filename = fields.String(required=True)
    content_type = fields.String(required=True)


class FieldErrorSchema(Schema):
    """One bad field."""

    location = fields.String(
        required=True,
        metadata={"description": "Where it is: `body.tags.3`, `query.limit`, `header.If-Match`."},
    )
    detail = fields.String(required=True, metadata={"description": "What is wrong there."})


class ProblemSchema(Schema):
    """What went wrong (RFC 9457)."""

    type = fields.String(
        required=True,
        metadata={"format": "uri-reference", "description": "The kind: stable, to be compared."},
    )
    title = fields.String(required=True, metadata={"description": "The kind in words."})
    status = fields.Integer(required=True, metadata={"description": "The HTTP status."})
    detail = fields.String(
        required=True, metadata={"description": "What is wrong here, and what to do about it."}
    )
    instance = fields.String(required=True, metadata={"description": "The request's X-Request-Id."})
    errors = fields.List(
        fields.Nested(FieldErrorSchema), metadata={"description": "Each bad field, where any is."}
    )


class BatchProblemSchema(ProblemSchema):
    """What went wrong with one item of a batch."""

    image_id = ImageId(required=True)


class _BatchSchema(Schema):
    count = fields.Integer(required=True, metadata={"description": "Results, problems included."})


class DownloadLinksSchema(_BatchSchema):
    """One link or problem for each id asked for, in that order."""

    results = fields.List(EitherOf(DownloadLinkSchema, BatchProblemSchema), required=True)


class DeletionsSchema(_BatchSchema):
    """One outcome or problem for each id asked for, in that order."""

    results = fields.List(EitherOf(OutcomeSchema, BatchProblemSchema), required=True)


class HealthSchema(Schema):
    """How the service is."""

    status = fields.String(required=True, metadata={"example": "ok"})


def image_document(image: Image) -> dict[str, object]:
    """An image as ImageSchema describes it.

    Written out, and not dumped by the schema: all of an image's values are plain already, and a
    page of 100 would spend most of its time there. A test compares the two.
    """
    return {
        "image_id": image.image_id,
        "user_id": image.user_id,
        "filename": image.filename,
        "content_type": image.content_type,
        "file_size": image.file_size,
        "upload_timestamp": image.upload_timestamp,
        "tags": image.tags,
        "description": image.description,
        "status": image.status,
        "s3_key": image.s3_key,
        "etag": image.etag,
        "width": image.width,
        "height": image.height,
    }
