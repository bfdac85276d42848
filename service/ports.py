"""What the core needs from the world outside, as contracts.

Every implementation passes `tests/contract`. All calls may raise StoreUnavailable, and nothing
else but what is named here. Every call is safe to repeat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from service.model import (
    ApiKey,
    Backlog,
    Batch,
    Delivery,
    Disposition,
    Edit,
    EventState,
    Image,
    ObjectEntry,
    Page,
    Position,
    RecordEntry,
    Revision,
    Selection,
    StoredObject,
    SweepNote,
    UploadForm,
)

Clock = Callable[[], datetime]
"""The time now, with its zone."""

Check = Callable[[], Coroutine[Any, Any, None]]
"""Returns when something answers. Raises StoreUnavailable."""

NewId = Callable[[], str]
"""A fresh image id."""


class ImageObjects(Protocol):
    """The bytes, by key."""

    @property
    def address(self) -> str:
        """The URL that all forms and links begin with. Never changes."""
        ...

    async def upload_form(
        self,
        key: str,
        *,
        content_type: str,
        size: int,
        metadata: Mapping[str, str],
        expires_in: int,
    ) -> UploadForm:
        """A form that uploads exactly `size` bytes of this type and metadata to `key`, once signed.

        Touches no store. `expires_in` in seconds.
        """
        ...

    async def download_url(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        disposition: Disposition,
        expires_in: int,
    ) -> str:
        """A link that serves `key` with this type and name, whoever holds it. Touches no store."""
        ...

    async def read_head(self, key: str, length: int) -> StoredObject | None:
        """The object's facts and its first `length` bytes, in one call. None when there is none."""
        ...

    async def read_tail(self, key: str, size: int, length: int) -> StoredObject | None:
        """The same with the last `length` bytes, of an object known to have `size`."""
        ...

    async def promote(self, source: str, target: str, *, etag: str, content_type: str) -> bool:
        """Copy `source` to `target` if its entity tag is still `etag`.

        False, with nothing changed, when it is another or `source` is gone.
        """
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Make all of these absent, those included that already are."""
        ...

    async def check(self) -> None:
        """Return when the store answers and the bucket is there."""
        ...


class ImageRecords(Protocol):
    """The records, by image id, and the lists over them.

    Only completed ones are in lists; `find` returns any, with its status. Reads by id see every
    earlier write.

    Where users have a quota, a record holds room from its creation until it is abandoned or
    removed, to the byte and whatever happens at once. What was created without a quota holds none.
    """

    async def demand_room(self, user_id: str, size: int) -> None:
        """Return if one more image of so many bytes would fit now. Raises StorageQuotaExceeded."""
        ...

    async def create(self, image: Image) -> Image | None:
        """Write a record whose id is new. Otherwise change nothing and return the one in place.

        Raises StorageQuotaExceeded, with nothing changed.
        """
        ...

    async def replace_pending(self, pending: Image, image: Image) -> bool:
        """Put one pending record in another's place; False if that is no longer what is there.

        A pending record is told by its id and `etag`; both are the same user's. Raises
        StorageQuotaExceeded, with nothing changed.
        """
        ...

    async def publish(self, pending: Image, upload_timestamp: str) -> Image | None:
        """Make a pending record a completed one, as of now; None if it is no longer there.

        Of many callers at once exactly one succeeds.
        """
        ...

    async def abandon(self, pending: Image) -> None:
        """Drop a pending record, if that is still what is there."""
        ...

    async def find(self, image_id: str) -> Image | None:
        """The record, whatever its status, or None."""
        ...

    async def find_many(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """The records that exist among these ids (at most 100), by id."""
        ...

    async def edit(
        self,
        image_id: str,
        user_id: str,
        edit: Edit,
        *,
        revisions: tuple[Revision, ...] | None,
    ) -> Image:
        """Change a completed image of this user and return it as it now is.

        It has to be in one of these states; None is any. Raises ImageMissing, NotOwner,
        RevisionMismatch.
        """
        ...

    async def mark_deleting(self, image_id: str, user_id: str, since: str) -> Image:
        """Hide a completed image of this user at once, for good, and return it as it was.

        `since` is a timestamp text. Of many callers at once exactly one succeeds. Raises
        NotOwner; ImageMissing when there is none; DeletionPending when it is marked already.
        """
        ...

    async def take_over(self, image_id: str, before: str, since: str) -> Image | None:
        """Renew a mark that was made before this moment, as of `since`; None if there is none.

        Of many callers at once exactly one succeeds.
        """
        ...

    async def remove(self, image_id: str) -> None:
        """Drop a record that is marked. One that is not marked stays; none is fine, too."""
        ...

    async def page(self, selection: Selection, after: Position | None, limit: int) -> Page:
        """The first `limit` images of the selection behind `after`, ordered by position.

        Fewer only at the end of the list, or when a tag is so rare that the read budget ends
        first; `Page.next` tells which.
        """
        ...

    async def check(self) -> None:
        """Return when the store answers and the table is there."""
        ...


class RequestCounts(Protocol):
    """How many requests were granted to each API key on each day."""

    async def add(self, key_id: str, day: str, number: int) -> int:
        """Add so many to a key's day (`2026-02-13`) and return the sum.

        No two calls count the same ones. A repetition counts again, which wastes what the first
        one counted and never grants anything twice.
        """
        ...


class Outbox(Protocol):
    """The events that were kept together with what they tell of, until they are delivered."""

    async def due(self, now: str, limit: int) -> list[tuple[str, str]]:
        """Ids of at most `limit` events whose time has come, each with when that was.

        May be a second behind, so that an event is told that was claimed meanwhile.
        """
        ...

    async def claim(self, event_id: str, due_at: str, until: str) -> Delivery | None:
        """Take an event that is due since `due_at`; it is due again at `until`, the lease.

        Counts the attempt. None if another one took it: of many callers exactly one succeeds.
        """
        ...

    async def delivered(self, event_id: str, lease: str, at: str) -> None:
        """Take it off. Nothing changes where the lease ran out and another one has it."""
        ...

    async def failed(self, event_id: str, lease: str, due_at: str | None, reason: str) -> None:
        """Put it back until `due_at`; None is for good. A lost lease changes nothing."""
        ...

    async def backlog(self) -> Backlog:
        """How many events are to be sent yet, and when the first of them is due.

        For operators: it costs little however many there are, and counts so far only.
        """
        ...

    async def find(self, event_id: str) -> Delivery | None:
        """The event, as far as it got; None once it is forgotten."""
        ...

    def list_all(self, state: EventState | None) -> AsyncIterator[Delivery]:
        """Every event in this state (None: any), in no order. For administration: it reads all."""
        ...

    async def replay(self, event_id: str, now: str) -> bool:
        """Have it delivered again, with all its attempts; whether it is there."""
        ...


class ApiKeys(Protocol):
    """The API keys, by their hashes.

    Reads see every earlier write: a key that was revoked is never found active again.
    """

    async def find(self, key_hash: str) -> ApiKey | None:
        """The key with this hash, whatever its state, or None."""
        ...

    async def create(self, key: ApiKey) -> None:
        """Keep a new key. Creating one that is there changes nothing."""
        ...

    async def list_all(self) -> tuple[ApiKey, ...]:
        """Every key, in no order. For administration: it may read the whole table."""
        ...

    async def revoke(self, key_id: str, revoked_at: str) -> ApiKey | None:
        """Revoke a key for good and return it as it now is; None when there is none.

        Revoking again keeps the first time.
        """
        ...


class ObjectInventory(Protocol):
    """All final objects, for administration: it costs as much as there are."""

    async def final_objects(self, after: str | None, limit: int) -> Batch[ObjectEntry]:
        """At most `limit` of them behind this key, in the order of their keys."""
        ...


class RecordInventory(Protocol):
    """All records, for administration: it costs as much as there are.

    What it tells may be a second old: whoever acts on it looks again.
    """

    async def all_records(self, after: str | None, limit: int) -> Batch[RecordEntry]:
        """At most `limit` of them behind this image id, in an order of the store's own.

        Every record that is there from the first call to the last is told once. There may be none
        in a batch that is not the last.
        """
        ...

    async def deletions(self, after: str | None, before: str, limit: int) -> Batch[str]:
        """At most `limit` ids of images that were marked before this timestamp; reads few others.

        `after` is where an earlier batch said to resume.
        """
        ...

    async def bury(self, stray: ObjectEntry, image_id: str, user_id: str, since: str) -> bool:
        """Mark an id that has no record, so that none can be made; whether it had none.

        It is a deletion of `stray` from then on: `ImageRecords.remove` ends it, and so does
        whoever finishes deletions.
        """
        ...


class SweepNotes(Protocol):
    """What one scheduled sweep tells the next."""

    async def read(self) -> SweepNote | None:
        """The note that was written last; None when there is none that can be read."""
        ...

    async def write(self, note: SweepNote) -> None:
        """Replace it."""
        ...
