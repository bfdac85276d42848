"""What goes over the wire: marshmallow schemas, in and out, with the contract's own field names.

The limits that can be configured reach the fields through `Rules`, so that validation and the
OpenAPI document say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from marshmallow import (
    EXCLUDE,
    INCLUDE,
    RAISE,
    Schema,
    ValidationError,
    fields,
    post_load,
    validate,
)

from service import timestamps
from service.model import Edit, Image, Selection
from service.operations.listing import ListImages
from service.operations.uploading import CompleteUpload, RequestUpload

UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
USER_ID_PATTERN = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._@+:-]{1,128}\Z", re.ASCII)
MOST_TAGS, LONGEST_TAG, LONGEST_DESCRIPTION, LONGEST_FILENAME, LARGEST_BATCH = 20, 50, 500, 255, 100


@dataclass(frozen=True, slots=True)
class Rules:
    """The configurable limits. `max_file_size` in bytes."""

    content_types: tuple[str, ...]
    max_file_size: int
    default_page_size: int
    max_page_size: int


class ImageId(fields.String):
    """A UUID in its usual spelling; upper case is accepted and made lower."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**{"metadata": {"format": "uuid"}, **keywords})

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **keywords: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **keywords)
        if text is None or not UUID_PATTERN.fullmatch(text):
            raise ValidationError("Not a UUID.")
        return text.lower()


class UserId(fields.String):
    """Who an image belongs to."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(
            validate=validate.Regexp(
                USER_ID_PATTERN,
                error="Must be 1 to 128 of A-Z a-z 0-9 . _ @ + : - and not . or ..",
            ),
            **keywords,
        )


class Count(fields.Integer):
    """A whole number of the JSON type number: neither text nor true nor 1.5."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(strict=True, **keywords)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class QueryCount(fields.Integer):
    """A whole number in a query string: digits and nothing else."""

    def _validated(self, value: Any) -> int:
        if not re.fullmatch(r"\d{1,9}", str(value), re.ASCII):
            raise self.make_error("invalid", input=value)
        return int(value)


def _tags(**keywords: Any) -> fields.List[str]:
    tag = fields.String(validate=validate.Length(1, LONGEST_TAG))
    return fields.List(tag, validate=validate.Length(max=MOST_TAGS), **keywords)


def _description(**keywords: Any) -> fields.String:
    return fields.String(
        validate=validate.Length(max=LONGEST_DESCRIPTION), allow_none=True, **keywords
    )


class RequestSchema(Schema):
    """A request's body or query. Unknown fields are not read: clients send more than they must."""

    class Meta:
        unknown = EXCLUDE

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        super().__init__()


class _File(RequestSchema):
    user_id = UserId(required=True, metadata={"example": "user123"})
    tags = _tags(metadata={"example": ["vacation", "beach"]})
    description = _description(metadata={"example": "Evening at the beach"})

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Fill in the limits that are configured."""
        if field_name == "content_type":
            field_obj.validators = [validate.OneOf(self.rules.content_types)]
        elif field_name == "file_size":
            field_obj.validators = [validate.Range(1, self.rules.max_file_size)]


class UploadRequest(_File):
    """POST /images/upload-url."""

    filename = fields.String(
        required=True,
        validate=validate.Length(1, LONGEST_FILENAME),
        metadata={"example": "vacation-photo.jpg"},
    )
    content_type = fields.String(required=True, metadata={"example": "image/jpeg"})
    file_size = Count(
        required=True, metadata={"description": "In bytes, exactly.", "example": 2048000}
    )
    tags = _tags(allow_none=True, metadata={"example": ["vacation", "beach"]})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> RequestUpload:
        """The operation's own request."""
        return RequestUpload(**{**data, "tags": tuple(data.get("tags") or ())})


class CompleteRequest(_File):
    """POST /images/complete. What is left out is taken from what was declared for the upload."""

    image_id = ImageId(required=True)
    filename = fields.String(
        validate=validate.Length(1, LONGEST_FILENAME), metadata={"example": "vacation-photo.jpg"}
    )
    content_type = fields.String(metadata={"example": "image/jpeg"})
    file_size = Count(metadata={"description": "In bytes.", "example": 2048000})
    tags = _tags(allow_none=True, metadata={"example": ["vacation", "beach"]})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> CompleteUpload:
        """The operation's own request."""
        if data.get("tags") is not None:
            data["tags"] = tuple(data["tags"])
        return CompleteUpload(**data)


class ListQuery(RequestSchema):
    """The query of GET /images."""

    user_id = UserId(metadata={"description": "Only this user's images."})
    start_date = fields.String(
        metadata={
            "description": "The earliest, as ISO 8601 date or time; UTC unless it has an offset.",
            "example": "2026-01-01",
        }
    )
    end_date = fields.String(
        metadata={
            "description": "The latest, inclusive: a date includes its whole day, "
            "a time to the second that whole second.",
            "example": "2026-02-13",
        }
    )
    limit = QueryCount(metadata={"description": "Images on the page."})
    next_token = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "`next_token` of the page before, with the same query."},
    )
    tag = fields.String(
        validate=validate.Length(1, LONGEST_TAG),
        metadata={"description": "Only images that carry this tag."},
    )
    order = fields.String(
        validate=validate.OneOf(["desc", "asc"]),
        load_default="desc",
        metadata={"description": "Newest first (desc) or oldest first."},
    )

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Fill in the page sizes that are configured."""
        if field_name == "limit":
            field_obj.validators = [validate.Range(1, self.rules.max_page_size)]
            field_obj.load_default = self.rules.default_page_size

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> ListImages:
        """The operation's own request."""
        problems: dict[str, list[str]] = {}
        bounds: dict[str, str | None] = {"start_date": None, "end_date": None}
        for name, bound in (("start_date", timestamps.earliest), ("end_date", timestamps.latest)):
            if name in data:
                try:
                    bounds[name] = bound(data[name])
                except ValueError as error:
                    problems[name] = [str(error)]
        start, end = bounds["start_date"], bounds["end_date"]
        if start is not None and end is not None and start > end:
            problems["end_date"] = ["Must not be before start_date."]
        if problems:
            raise ValidationError(problems)
        selection = Selection(data.get("user_id"), start, end, data.get("tag"), data["order"])
        return ListImages(selection, data["limit"], data.get("next_token"))


@dataclass(frozen=True, slots=True)
class EditImage:
    """Whose image, and what to change about it."""

    user_id: str
    edit: Edit


class EditRequest(RequestSchema):
    """PATCH /images/{image_id}. Only what is named here can be changed: the rest is refused."""

    class Meta:
        unknown = RAISE

    user_id = UserId(required=True, metadata={"example": "user123"})
    tags = _tags(allow_none=True, metadata={"description": "Replaces all tags; null clears them."})
    description = _description(
        metadata={"description": "Replaces the description; null clears it."}
    )

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> EditImage:
        """The operation's own request."""
        user_id = data.pop("user_id")
        if not data:
            raise ValidationError("Nothing to change: give tags or description.", "tags")
        if "tags" in data:
            data["tags"] = tuple(data["tags"] or ())
        return EditImage(user_id, Edit(**data))


@dataclass(frozen=True, slots=True)
class Owner:
    """Who asks."""

    user_id: str | None = None


class DeleteRequest(RequestSchema):
    """DELETE /images/{image_id}: the owner, in the body or in the query."""

    user_id = UserId(metadata={"example": "user123"})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Owner:
        """Who asks."""
        return Owner(**data)


class DownloadQuery(RequestSchema):
    """The query of GET /images/{image_id}/download-url."""

    disposition = fields.String(
        validate=validate.OneOf(["inline", "attachment"]),
        load_default="inline",
        metadata={"description": "Show it in the browser, or save it under its file name."},
    )

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> str:
        """The disposition itself."""
        return str(data["disposition"])


@dataclass(frozen=True, slots=True)
class Batch:
    """Several images of one user."""

    user_id: str
    image_ids: tuple[str, ...]


class BatchRequest(RequestSchema):
    """The two batch calls."""

    image_ids = fields.List(ImageId(), required=True, validate=validate.Length(1, LARGEST_BATCH))
    user_id = UserId(required=True, metadata={"example": "user123"})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Batch:
        """The batch."""
        return Batch(data["user_id"], tuple(data["image_ids"]))


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


_IMAGE_FIELDS = tuple(ImageSchema().fields)
_image_values = attrgetter(*_IMAGE_FIELDS)


def image_document(image: Image) -> dict[str, object]:
    """An image as ImageSchema describes it.

    The schema names the fields, but does not dump them one by one: all of an image's values are
    plain already, and a page of 100 would spend most of its time there.
    """
    return dict(zip(_IMAGE_FIELDS, _image_values(image), strict=True))
