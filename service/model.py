"""The values the service works with: what an image is, what was declared, where a list stands.

Knows no store, no HTTP and no JSON: plain frozen values, safe to share between tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, TypeVar

from service.values import value

T = TypeVar("T")

PENDING: Literal["pending"] = "pending"
COMPLETED: Literal["completed"] = "completed"
DELETING: Literal["deleting"] = "deleting"
Status = Literal["pending", "completed", "deleting"]

Order = Literal["asc", "desc"]
Disposition = Literal["inline", "attachment"]

# Positions before the first and behind the last id of one instant. Neither is an id that the
# service makes, so a cursor can stand at the edge of an instant without naming an image.
LOWEST_ID = "00000000-0000-0000-0000-000000000000"
HIGHEST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@value(frozen=True, slots=True)
class Description:
    """What a client says about an image, as opposed to what the service verifies."""

    filename: str
    tags: tuple[str, ...] = ()
    description: str | None = None


@value(frozen=True, slots=True)
class Image:
    """One image: its record in the table, its object at `s3_key`.

    Only a completed one is an image to clients; before it is pending, after it is being deleted.

    `file_size` in bytes, `width` and `height` in pixels, `upload_timestamp` as
    `timestamps.to_text` writes it, `etag` the object's entity tag without quotes.
    `revision` counts the edits, from 1.
    """

    image_id: str
    user_id: str
    filename: str
    content_type: str
    file_size: int
    upload_timestamp: str
    s3_key: str
    etag: str
    width: int
    height: int
    tags: tuple[str, ...] = ()
    description: str | None = None
    status: Status = COMPLETED
    revision: int = 1

    @property
    def position(self) -> Position:
        """Where this image stands in every list."""
        return Position(self.upload_timestamp, self.image_id)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a list: all lists are ordered by this pair, whatever index serves them."""

    timestamp: str
    image_id: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which images a list shows and in which order.

    `earliest` and `latest` are inclusive timestamps in the fixed-width text form, or None.
    """

    user_id: str | None = None
    earliest: str | None = None
    latest: str | None = None
    tag: str | None = None
    order: Order = "desc"


@value(frozen=True, slots=True)
class Page:
    """A run of a list. `next` is where the following page starts, None after the last image."""

    images: tuple[Image, ...]
    next: Position | None


class Keep(Enum):
    """Stands for "leave it as it is" where None means "clear it"."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of what a client said about an image."""

    tags: tuple[str, ...] | Keep = KEEP
    description: str | Keep | None = KEEP


@dataclass(frozen=True, slots=True)
class Revision:
    """Names one state of one image: the instant it was completed and the count of its edits.

    The instant is part of it because an id that was deleted and uploaded again starts at 1 anew.
    """

    upload_timestamp: str
    number: int


ANYONE = "*"
"""The owner of an API key that may act for any user."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """All that is kept of an API key: its SHA-256 (hexadecimal), never the key.

    `owner` is a user id or ANYONE, times are timestamp texts, `daily_quota` counts requests (None:
    the default).
    """

    key_hash: str
    owner: str
    created_at: str
    expires_at: str | None = None
    daily_quota: int | None = None
    revoked_at: str | None = None

    @property
    def key_id(self) -> str:
        """Names the key in lists and logs: the first 64 bits of its hash."""
        return self.key_hash[:16]

    def state(self, now: str) -> Literal["active", "expired", "revoked"]:
        """What the key is good for at this time."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.expires_at is None or now < self.expires_at else "expired"


@dataclass(frozen=True, slots=True)
class StorageQuota:
    """How much the images of one user may take, in bytes and in number; 0 is no limit."""

    bytes: int = 0
    images: int = 0


NO_QUOTA = StorageQuota()


@dataclass(frozen=True, slots=True)
class Usage:
    """How much the images of one user do take: those that were counted."""

    bytes: int = 0
    images: int = 0

    def leaves_room(self, size: int, quota: StorageQuota) -> bool:
        """Whether one more image of so many bytes fits."""
        return (not quota.bytes or self.bytes + size <= quota.bytes) and (
            not quota.images or self.images < quota.images
        )


EventType = Literal["image.completed", "image.deleted"]
EventState = Literal["waiting", "delivered", "dead"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `occurred_at` is a timestamp text, `payload` the JSON as sent.

    `event_id` stays the same however often it is sent, so whoever receives it can tell.
    """

    event_id: str
    type: EventType
    occurred_at: str
    payload: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far an event got: `due_at` is when it is to be tried next, None when it never is."""

    event: Event
    attempts: int = 0
    due_at: str | None = None
    state: EventState = "waiting"
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is to be sent yet: how many events, and when the first of them is due."""

    waiting: int
    first_due_at: str | None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What one ranged read of an object tells: size in bytes, type, metadata, first bytes."""

    size: int
    content_type: str
    etag: str
    metadata: dict[str, str]
    head: bytes


@value(frozen=True, slots=True)
class UploadForm:
    """A presigned POST: send `fields` in this order as form fields, then the bytes as `file`."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class RecordEntry:
    """What an inventory tells of a record. `since` is when its status began, a timestamp text."""

    image_id: str
    user_id: str
    status: Status
    s3_key: str
    etag: str
    since: str


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """What an inventory tells of an object. `modified` is a timestamp text, `size` in bytes."""

    key: str
    etag: str
    size: int
    modified: str


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """A run of an inventory. The next one is behind `resume`; None at the end."""

    entries: tuple[T, ...]
    resume: str | None


@dataclass(frozen=True, slots=True)
class SweepNote:
    """How far the last full sweep came. `place` is its own word for where to go on; None: through.

    `started_at` is a timestamp text.
    """

    started_at: str
    place: str | None
