"""The inventories of the stores in memory. For tests and sketches, as those are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.model import DELETING, Batch, ObjectEntry, RecordEntry, SweepNote
from service.naming import FINAL_PREFIX
from service.storage.graves import buried
from service.storage.memory import MemoryImageObjects, MemoryImageRecords


@dataclass(frozen=True, slots=True)
class MemoryObjectInventory:
    """`ports.ObjectInventory` in memory. `modified` says when the object at a key was written."""

    objects: MemoryImageObjects
    modified: Callable[[str], str]

    async def final_objects(self, after: str | None, limit: int) -> Batch[ObjectEntry]:
        """See `ports.ObjectInventory`."""
        keys = sorted(
            key
            for key in self.objects._objects
            if key.startswith(FINAL_PREFIX) and (after is None or key > after)
        )
        entries = tuple(self._entry(key) for key in keys[:limit])
        return Batch(entries, entries[-1].key if len(keys) > limit else None)

    def _entry(self, key: str) -> ObjectEntry:
        stored = self.objects._objects[key]
        return ObjectEntry(key, stored.etag, len(stored.body), self.modified(key))


@dataclass(frozen=True, slots=True)
class MemoryRecordInventory:
    """`ports.RecordInventory` in memory."""

    records: MemoryImageRecords

    async def all_records(self, after: str | None, limit: int) -> Batch[RecordEntry]:
        """See `ports.RecordInventory`."""
        ids = sorted(each for each in self.records._images if after is None or each > after)
        entries = tuple(self._entry(image_id) for image_id in ids[:limit])
        return Batch(entries, ids[limit - 1] if len(ids) > limit else None)

    async def deletions(self, after: str | None, before: str, limit: int) -> Batch[str]:
        """See `ports.RecordInventory`."""
        marked = sorted(
            (since, image_id)
            for image_id, since in self.records.marked_since.items()
            if since < before and (after is None or f"{since} {image_id}" > after)
        )
        batch = marked[:limit]
        resume = " ".join(batch[-1]) if len(marked) > limit else None
        return Batch(tuple(image_id for _, image_id in batch), resume)

    async def bury(self, stray: ObjectEntry, image_id: str, user_id: str, since: str) -> bool:
        """See `ports.RecordInventory`."""
        grave = buried(stray, image_id, user_id)
        if self.records._images.setdefault(image_id, grave) is not grave:
            return False
        self.records.marked_since[image_id] = since
        return True

    def _entry(self, image_id: str) -> RecordEntry:
        image = self.records._images[image_id]
        marked = self.records.marked_since.get(image_id, "")
        since = marked if image.status == DELETING else image.upload_timestamp
        return RecordEntry(image_id, image.user_id, image.status, image.s3_key, image.etag, since)


class MemorySweepNotes:
    """`ports.SweepNotes` in memory."""

    def __init__(self) -> None:
        self._note: SweepNote | None = None

    async def read(self) -> SweepNote | None:
        """See `ports.SweepNotes`."""
        return self._note

    async def write(self, note: SweepNote) -> None:
        """See `ports.SweepNotes`."""
        self._note = note
