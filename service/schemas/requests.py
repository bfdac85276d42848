"""What comes in: bodies and queries, each loaded into the value that its operation takes.

The limits that can be configured reach the fields through `Rules`, so that validation and the
OpenAPI document say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, validate

from service import timestamps
from service.model import Edit, Selection
from service.operations.listing import ListImages
from service.operations.uploading import CompleteUpload, RequestUpload
from service.schemas.fields import (
    LARGEST_BATCH,
    LONGEST_FILENAME,
    LONGEST_TAG,
    Count,
    ImageId,
    Instant,
    QueryCount,
    UserId,
    description_field,
    tags_field,
)
from service.schemas.shortcuts import Shortcut, Unsure


@dataclass(frozen=True, slots=True)
class Rules:
    """The configurable limits. `max_file_size` in bytes."""

    content_types: tuple[str, ...]
    max_file_size: int
    default_page_size: int
    max_page_size: int


class RequestSchema(Schema):
    """A request's body or query. Unknown fields are not read: clients send more than they must.

    What `names_images` needs no user_id from a caller that may act for any: the images tell whose
    they are.
    """

    names_images: ClassVar[bool] = False

    class Meta:
        unknown = EXCLUDE

    def __init__(self, rules: Rules, partial: Sequence[str] | None = None) -> None:
        """`partial` names required fields that may be left out all the same."""
        self.rules = rules
        super().__init__(partial=partial)
        self._shortcut = Shortcut(self)

    def build(self, data: dict[str, Any], **_: Any) -> Any:
        """What the endpoint takes; every schema says it, and marshmallow calls it (`post_load`)."""
        raise NotImplementedError

    def take(self, data: Mapping[str, Any], spared: Sequence[str] | None = None) -> Any:
        """As `load`, but fast where all is right; `spared` names fields that may be left out."""
        if spared is None:
            try:
                return self.build(self._shortcut.take(data))
            except (Unsure, ValidationError):
                pass  # nearly always wrong, and marshmallow says what is
        return self.load(data, partial=spared)


class _File(RequestSchema):
    user_id = UserId(
        required=True, metadata={"description": "Whose image it is.", "example": "user123"}
    )
    tags = tags_field(metadata={"example": ["vacation", "beach"]})
    description = description_field(metadata={"example": "Evening at the beach"})

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Fill in the limits that are configured."""
        if field_name == "content_type":
            field_obj.validators = [validate.OneOf(self.rules.content_types)]
        elif field_name == "file_size":
            field_obj.validators = [validate.Range(1, self.rules.max_file_size)]


class UploadRequest(_File):
    """An upload, declared before it happens (POST /images/upload-url)."""

    filename = fields.String(
        required=True,
        validate=validate.Length(1, LONGEST_FILENAME),
        metadata={
            "description": "As its owner knows it, in any characters: shown back exactly so.",
            "example": "vacation-photo.jpg",
        },
    )
    content_type = fields.String(
        required=True, metadata={"description": "What the bytes are: they are looked at."}
    )
    file_size = Count(required=True, metadata={"description": "In bytes, exactly."})
    tags = tags_field(allow_none=True, metadata={"example": ["vacation", "beach"]})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> RequestUpload:
        """The operation's own request."""
        data["tags"] = tuple(data.get("tags") or ())
        return RequestUpload(**data)


class CompleteRequest(_File):
    """An upload that was sent (POST /images/complete).

    What is left out is taken from what was declared for it.
    """

    image_id = ImageId(required=True)
    filename = fields.String(
        validate=validate.Length(1, LONGEST_FILENAME), metadata={"example": "vacation-photo.jpg"}
    )
    content_type = fields.String()
    file_size = Count(metadata={"description": "In bytes."})
    tags = tags_field(allow_none=True, metadata={"example": ["vacation", "beach"]})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> CompleteUpload:
        """The operation's own request."""
        if data.get("tags") is not None:
            data["tags"] = tuple(data["tags"])
        return CompleteUpload(**data)


class ListQuery(RequestSchema):
    """The query of GET /images."""

    user_id = UserId(metadata={"description": "Only this user's images."})
    start_date = Instant(
        timestamps.earliest,
        metadata={
            "description": "The earliest, as ISO 8601 date or time; UTC unless it has an offset. "
            "Such as `2026-01-01` or `2026-01-01T08:00:00+01:00`.",
        },
    )
    end_date = Instant(
        timestamps.latest,
        metadata={
            "description": "The latest, inclusive: a date includes its whole day, "
            "a time to the second that whole second.",
        },
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
        start, end = data.get("start_date"), data.get("end_date")
        if start is not None and end is not None and start > end:
            raise ValidationError("Must not be before start_date.", "end_date")
        selection = Selection(data.get("user_id"), start, end, data.get("tag"), data["order"])
        return ListImages(selection, data["limit"], data.get("next_token"))


@dataclass(frozen=True, slots=True)
class EditImage:
    """Whose image (None: whoever's), and what to change about it."""

    user_id: str | None
    edit: Edit


class EditRequest(RequestSchema):
    """What to change (PATCH /images/{image_id}), beside whose image it is.

    Only what is named here can be changed: anything else is refused.
    """

    class Meta:
        unknown = RAISE

    names_images = True
    user_id = UserId(required=True, metadata={"example": "user123"})
    tags = tags_field(
        allow_none=True, metadata={"description": "Replaces all tags; null clears them."}
    )
    description = description_field(
        metadata={"description": "Replaces the description; null clears it."}
    )

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> EditImage:
        """The operation's own request."""
        user_id = data.pop("user_id", None)
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
    """Who deletes (DELETE /images/{image_id}), in the body or in the query."""

    names_images = True
    user_id = UserId(metadata={"description": "Whose image it is."})

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
    """Several images of one user (None: whoever's)."""

    user_id: str | None
    image_ids: tuple[str, ...]


class BatchRequest(RequestSchema):
    """Several images of one user (the two batch calls)."""

    names_images = True
    image_ids = fields.List(ImageId(), required=True, validate=validate.Length(1, LARGEST_BATCH))
    user_id = UserId(required=True, metadata={"example": "user123"})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Batch:
        """The batch."""
        return Batch(data.get("user_id"), tuple(data["image_ids"]))
