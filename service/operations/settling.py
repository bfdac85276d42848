"""One thing that a sweep found: looked at again, and brought to the end that it was meant to have.

Everything here is safe beside requests, other sweeps and its own repetition. Whatever is written
depends on what was read: a claim is published or dropped only while it is that claim, and an object
without a record goes only while nobody can make one for it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from service import naming, timestamps
from service.errors import ImageMissing, NotOwner, StoreUnavailable
from service.model import COMPLETED, DELETING, PENDING, Image, ObjectEntry, RecordEntry
from service.operations.images import finish_deletion
from service.ports import Clock, ImageObjects, ImageRecords, ObjectInventory, RecordInventory

Kind = Literal[
    "unfinished_deletion",
    "unfinished_upload",
    "broken_record",
    "orphaned_object",
    "misplaced_object",
]
"""What can be found: in the order of a sweep."""

Outcome = Literal["found", "finished", "published", "abandoned", "removed", "changed", "failed"]
"""What became of it: still there; settled in one of four ways; changed by others; not reached."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is an image id or, of an object, its key; `detail` what a store said."""

    kind: Kind
    name: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores as requests use them, and as an inventory reads them."""

    objects: ImageObjects
    records: ImageRecords
    all_objects: ObjectInventory
    all_records: RecordInventory


@dataclass(frozen=True, slots=True)
class Settler:
    """Settles findings, or with `apply` off only confirms them. A store that fails is an outcome.

    A deletion's mark is left to whoever made it until it is `abandoned_after` so long.
    Broken records are images that their owners still see in lists: `remove_broken` says to take
    them away, too.
    """

    stores: Stores
    now: Clock
    abandoned_after: timedelta
    apply: bool
    remove_broken: bool = False

    async def deletion(self, image_id: str) -> Finding:
        """Finish a deletion that was marked and not finished."""
        kind: Kind = "unfinished_deletion"
        return await _reached(kind, image_id, self._deletion(image_id))

    async def upload(self, claim: RecordEntry) -> Finding:
        """Publish a claimed upload whose bytes are there, or drop the claim."""
        return await _reached("unfinished_upload", claim.image_id, self._upload(claim))

    async def record(self, entry: RecordEntry) -> Finding | None:
        """Confirm that a completed record has its object. None when it has."""
        outcome = await _reached("broken_record", entry.image_id, self._broken(entry))
        return None if outcome.outcome == "changed" else outcome

    async def orphan(self, stray: ObjectEntry, user_id: str, image_id: str) -> Finding:
        """Delete an object that no record names."""
        return await _reached("orphaned_object", stray.key, self._orphan(stray, user_id, image_id))

    async def _deletion(self, image_id: str) -> Outcome:
        image = await self.stores.records.find(image_id)
        if image is None or image.status != DELETING:
            return "changed"
        if not self.apply:
            return "found"
        now = self.now()
        before, since = timestamps.to_text(now - self.abandoned_after), timestamps.to_text(now)
        left = await self.stores.records.take_over(image_id, before, since)
        if left is None:
            return "changed"
        await finish_deletion(self.stores.objects, self.stores.records, left)
        return "finished"

    async def _upload(self, claim: RecordEntry) -> Outcome:
        records = self.stores.records
        pending = await records.find(claim.image_id)
        if pending is None or (pending.status, pending.etag) != (PENDING, claim.etag):
            return "changed"
        if not self.apply:
            return "found"
        if await self._is_promoted(pending) or await self._promote(pending):
            published = await records.publish(pending, timestamps.to_text(self.now()))
            return "changed" if published is None else "published"
        await records.abandon(pending)
        return "abandoned"

    async def _is_promoted(self, pending: Image) -> bool:
        final = await self.stores.objects.read_head(pending.s3_key, 1)
        return final is not None and final.etag == pending.etag

    async def _promote(self, pending: Image) -> bool:
        return await self.stores.objects.promote(
            naming.staging_key(pending.user_id, pending.image_id),
            pending.s3_key,
            etag=pending.etag,
            content_type=pending.content_type,
        )

    async def _broken(self, entry: RecordEntry) -> Outcome:
        stores = self.stores
        if await stores.objects.read_head(entry.s3_key, 1) is not None:
            return "changed"
        # A deletion marks the record before it touches the object. What is completed now, and since
        # the same moment as when it was listed, was completed when its object was looked for.
        image = await stores.records.find(entry.image_id)
        completed = (COMPLETED, entry.since, entry.s3_key)
        if image is None or (image.status, image.upload_timestamp, image.s3_key) != completed:
            return "changed"
        if not (self.apply and self.remove_broken):
            return "found"
        try:
            marked = await stores.records.mark_deleting(
                image.image_id, image.user_id, timestamps.to_text(self.now())
            )
        except (ImageMissing, NotOwner):
            return "changed"
        await finish_deletion(stores.objects, stores.records, marked)
        return "removed"

    async def _orphan(self, stray: ObjectEntry, user_id: str, image_id: str) -> Outcome:
        if not self.apply:
            return "found"
        # A look at the table would be old by the time of the deletion: an upload that is completed
        # in between would lose its bytes. While its id is buried, none can be completed.
        since = timestamps.to_text(self.now())
        if not await self.stores.all_records.bury(stray, image_id, user_id, since):
            return "changed"
        await self.stores.objects.delete([stray.key])
        await self.stores.records.remove(image_id)
        return "removed"


async def _reached(kind: Kind, name: str, settled: Awaitable[Outcome]) -> Finding:
    try:
        return Finding(kind, name, await settled)
    except StoreUnavailable as error:
        return Finding(kind, name, "failed", f"{error.store}: {error.cause}")
