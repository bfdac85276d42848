"""What goes out, as the OpenAPI document describes it."""

from __future__ import annotations

from operator import attrgetter

from marshmallow import INCLUDE, Schema, fields

from service.model import Image
from service.schemas.fields import ImageId


class UploadTicketSchema(Schema):
    """Where and how to send the bytes."""

    image_id = ImageId(required=True)
    presigned_url = fields.Url(required=True, metadata={"description": "POST the form here."})
    fields_ = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        data_key="fields",
        metadata={"description": "Form fields to send first; then the bytes as `file`."},
    )
    method = fields.Constant("POST", required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    expires_at = fields.String(required=True, metadata={"format": "date-time"})
    s3_key = fields.String(
        required=True, metadata={"description": "Where the image will be served from."}
    )


class ImageSchema(Schema):
    """An image."""

    image_id = ImageId(required=True)
    user_id = fields.String(required=True)
    filename = fields.String(required=True)
    content_type = fields.String(required=True)
    file_size = fields.Integer(required=True, metadata={"description": "In bytes."})
    upload_timestamp = fields.String(required=True, metadata={"format": "date-time"})
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
    has_more = fields.Boolean(required=True)


class OutcomeSchema(Schema):
    """What became of an image."""

    image_id = ImageId(required=True)
    status = fields.String(required=True)
    message = fields.String(required=True)


class DownloadLinkSchema(Schema):
    """Where to fetch an image's bytes."""

    image_id = ImageId(required=True)
    presigned_url = fields.Url(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    filename = fields.String(required=True)
    content_type = fields.String(required=True)


class FieldErrorSchema(Schema):
    """One bad field."""

    location = fields.String(required=True, metadata={"example": "body.file_size"})
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """What went wrong (RFC 9457)."""

    type = fields.String(required=True, metadata={"format": "uri-reference"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True, metadata={"description": "The request's X-Request-Id."})
    errors = fields.List(fields.Nested(FieldErrorSchema))


class BatchItemSchema(Schema):
    """One item of a batch: the single call's answer, or a problem with the item's `image_id`."""

    class Meta:
        unknown = INCLUDE

    image_id = ImageId(required=True)


class BatchSchema(Schema):
    """One result for each id asked for, in that order."""

    results = fields.List(fields.Nested(BatchItemSchema), required=True)
    count = fields.Integer(required=True)


class HealthSchema(Schema):
    """How the service is."""

    status = fields.String(required=True, metadata={"example": "ok"})


# What is not required is not the image's own.
_IMAGE_FIELDS = tuple(name for name, each in ImageSchema().fields.items() if each.required)
_image_values = attrgetter(*_IMAGE_FIELDS)


def image_document(image: Image) -> dict[str, object]:
    """An image as ImageSchema describes it.

    The schema names the fields, but does not dump them one by one: all of an image's values are
    plain already, and a page of 100 would spend most of its time there.
    """
    return dict(zip(_IMAGE_FIELDS, _image_values(image), strict=True))
