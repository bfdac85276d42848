"""What the service answers, as values: frozen, and typed where the wire is only JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

from service.client.errors import FieldProblem, MontError, ProblemDocument, UnexpectedAnswer

Document = Mapping[str, object]
"""A JSON object."""

Order = Literal["desc", "asc"]


class Keep(Enum):
    """Stands for "leave it as it is" where None means "clear it"."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Image:
    """One image.

    `file_size` in bytes, `width` and `height` in pixels. `revision` is for `edit(if_match=)`: known
    from `get` and `edit`, None from lists. `document` is all of what the service said.
    """

    image_id: str
    user_id: str
    filename: str
    content_type: str
    file_size: int
    upload_timestamp: datetime
    tags: tuple[str, ...]
    description: str | None
    width: int
    height: int
    etag: str
    s3_key: str
    revision: str | None = None
    document: Document = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What an upload made. `md5` (hexadecimal) is of the bytes that were sent.

    `verified` tells whether the store confirmed that checksum: one that encrypts with KMS does not.
    """

    image_id: str
    filename: str
    content_type: str
    file_size: int
    s3_key: str
    md5: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Link:
    """A link to an image's bytes, good for `expires_in` seconds for whoever holds it."""

    image_id: str
    url: str
    expires_in: int
    filename: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """A form for one upload: POST `fields` in this order to `url`, then the bytes as `file`."""

    image_id: str
    url: str
    fields: Mapping[str, str]
    s3_key: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """The outcome for one image of a batch: `error` is None where it is gone."""

    image_id: str
    error: MontError | None = None


@dataclass(frozen=True, slots=True)
class Linked:
    """The outcome for one image of a batch: a link, or why there is none."""

    image_id: str
    link: Link | None = None
    error: MontError | None = None


def read_image(document: Document, revision: str | None = None) -> Image:
    """An image as the service describes it. Raises UnexpectedAnswer."""
    try:
        uploaded = datetime.fromisoformat(text(document, "upload_timestamp"))
    except ValueError as error:
        raise UnexpectedAnswer("upload_timestamp is no time") from error
    tags, description = document.get("tags"), document.get("description")
    return Image(
        image_id=text(document, "image_id"),
        user_id=text(document, "user_id"),
        filename=text(document, "filename"),
        content_type=text(document, "content_type"),
        file_size=number(document, "file_size"),
        upload_timestamp=uploaded,
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        description=description if isinstance(description, str) else None,
        width=number(document, "width"),
        height=number(document, "height"),
        etag=text(document, "etag"),
        s3_key=text(document, "s3_key"),
        revision=revision,
        document=document,
    )


def read_ticket(document: Document) -> Ticket:
    """An upload form. Raises UnexpectedAnswer."""
    fields = {name: str(value) for name, value in mapping(document, "fields").items()}
    return Ticket(
        text(document, "image_id"),
        text(document, "presigned_url"),
        fields,
        text(document, "s3_key"),
    )


def read_link(document: Document) -> Link:
    """A download link. Raises UnexpectedAnswer."""
    return Link(
        text(document, "image_id"),
        text(document, "presigned_url"),
        number(document, "expires_in"),
        text(document, "filename"),
        text(document, "content_type"),
    )


def read_problem(
    document: Document, status: int, *, request_id: str | None, retry_after: float | None
) -> ProblemDocument:
    """A problem, whatever of it is there: gateways in front of the service have their own words."""
    detail = document.get("detail", document.get("message", ""))
    listed = document.get("errors")
    errors = [
        FieldProblem(str(each.get("location", "")), str(each.get("detail", "")))
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict)
    ]
    return ProblemDocument(
        type=str(document.get("type", "about:blank")),
        title=str(document.get("title", f"The service answered {status}")),
        status=status,
        detail=str(detail),
        errors=tuple(errors),
        request_id=request_id or (str(document["instance"]) if "instance" in document else None),
        retry_after=retry_after,
    )


def text(document: Document, name: str) -> str:
    """A text of a document. Raises UnexpectedAnswer."""
    value = document.get(name)
    if not isinstance(value, str):
        raise UnexpectedAnswer(f"no text {name!r} in the answer; is the address right?")
    return value


def number(document: Document, name: str) -> int:
    """A whole number of a document. Raises UnexpectedAnswer."""
    value = document.get(name)
    if not isinstance(value, int):
        raise UnexpectedAnswer(f"no number {name!r} in the answer; is the address right?")
    return value


def mapping(document: Document, name: str) -> Document:
    """An object in a document. Raises UnexpectedAnswer."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise UnexpectedAnswer(f"no object {name!r} in the answer; is the address right?")
    return value


def objects(document: Document, name: str) -> list[Document]:
    """A list of objects in a document. Raises UnexpectedAnswer."""
    value = document.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UnexpectedAnswer(f"no list {name!r} in the answer; is the address right?")
    return value
