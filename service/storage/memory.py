"""The ports in dictionaries: what the contract means, without a store. For tests and sketches."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from service.errors import (
    DeletionPending,
    ImageMissing,
    NotOwner,
    RevisionMismatch,
    StorageQuotaExceeded,
)
from service.model import (
    COMPLETED,
    DELETING,
    KEEP,
    NO_QUOTA,
    PENDING,
    ApiKey,
    Disposition,
    Edit,
    Image,
    Page,
    Position,
    Revision,
    Selection,
    StorageQuota,
    StoredObject,
    UploadForm,
    Usage,
)
from service.storage.memory_usage import MemoryUsage


@dataclass(frozen=True, slots=True)
class _Bytes:
    body: bytes
    content_type: str
    metadata: dict[str, str]

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()


class MemoryImageObjects:
    """`ports.ImageObjects` in memory. `put` stands for the client's upload."""

    address = "memory://objects"

    def __init__(self) -> None:
        self._objects: dict[str, _Bytes] = {}

    def put(self, form: UploadForm, body: bytes) -> None:
        """Store what a client sends with this form."""
        metadata = {
            name.removeprefix("x-amz-meta-"): value
            for name, value in form.fields.items()
            if name.startswith("x-amz-meta-")
        }
        self._objects[form.fields["key"]] = _Bytes(body, form.fields["Content-Type"], metadata)

    async def upload_form(
        self,
        key: str,
        *,
        content_type: str,
        size: int,
        metadata: Mapping[str, str],
        expires_in: int,
    ) -> UploadForm:
        """See `ports.ImageObjects`."""
        named = {f"x-amz-meta-{name}": value for name, value in metadata.items()}
        return UploadForm("memory:", {"key": key, "Content-Type": content_type, **named})

    async def download_url(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        disposition: Disposition,
        expires_in: int,
    ) -> str:
        """See `ports.ImageObjects`."""
        return f"memory:{key}"

    async def read_head(self, key: str, length: int) -> StoredObject | None:
        """See `ports.ImageObjects`."""
        stored = self._objects.get(key)
        if stored is None:
            return None
        return StoredObject(
            len(stored.body),
            stored.content_type,
            stored.etag,
            dict(stored.metadata),
            stored.body[:length],
        )

    async def read_tail(self, key: str, size: int, length: int) -> StoredObject | None:
        """See `ports.ImageObjects`."""
        whole = await self.read_head(key, size)
        return None if whole is None else replace(whole, head=whole.head[-length:])

    async def promote(self, source: str, target: str, *, etag: str, content_type: str) -> bool:
        """See `ports.ImageObjects`."""
        stored = self._objects.get(source)
        if stored is None or stored.etag != etag:
            return False
        self._objects[target] = _Bytes(stored.body, content_type, {})
        return True

    async def delete(self, keys: Sequence[str]) -> None:
        """See `ports.ImageObjects`."""
        for key in keys:
            self._objects.pop(key, None)

    async def check(self) -> None:
        """See `ports.ImageObjects`."""


class MemoryImageRecords:
    """`ports.ImageRecords` in memory."""

    def __init__(self, quota: StorageQuota = NO_QUOTA) -> None:
        self._images: dict[str, Image] = {}
        self._usage = MemoryUsage()
        self._quota = quota
        self.marked_since: dict[str, str] = {}

    def under(self, quota: StorageQuota) -> MemoryImageRecords:
        """The same records, as a process with this quota sees them."""
        other = copy.copy(self)
        other._quota = quota
        return other

    def usage_of(self, user_id: str) -> Usage:
        """What a user's images take, as far as they were counted."""
        return self._usage.of(user_id)

    async def demand_room(self, user_id: str, size: int) -> None:
        """See `ports.ImageRecords`."""
        used = self.usage_of(user_id)
        if not used.leaves_room(size, self._quota):
            raise StorageQuotaExceeded(size, used, self._quota)

    async def create(self, image: Image) -> Image | None:
        """See `ports.ImageRecords`."""
        in_place = self._images.get(image.image_id)
        if in_place is None:
            self._usage.hold(image, self._quota)
            self._images[image.image_id] = image
        return in_place

    async def replace_pending(self, pending: Image, image: Image) -> bool:
        """See `ports.ImageRecords`."""
        if not self._is_in_place(pending):
            return False
        self._usage.hold(image, self._quota)
        self._images[image.image_id] = image
        return True

    async def publish(self, pending: Image, upload_timestamp: str) -> Image | None:
        """See `ports.ImageRecords`."""
        if not self._is_in_place(pending):
            return None
        image = replace(
            self._images[pending.image_id], status=COMPLETED, upload_timestamp=upload_timestamp
        )
        self._images[pending.image_id] = image
        return image

    async def abandon(self, pending: Image) -> None:
        """See `ports.ImageRecords`."""
        if self._is_in_place(pending):
            self._usage.release(self._images.pop(pending.image_id))

    async def find(self, image_id: str) -> Image | None:
        """See `ports.ImageRecords`."""
        return self._images.get(image_id)

    async def find_many(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """See `ports.ImageRecords`."""
        return {each: self._images[each] for each in image_ids if each in self._images}

    async def edit(
        self,
        image_id: str,
        user_id: str,
        edit: Edit,
        *,
        revisions: tuple[Revision, ...] | None,
    ) -> Image:
        """See `ports.ImageRecords`."""
        image = self._owned(image_id, user_id)
        state = Revision(image.upload_timestamp, image.revision)
        if revisions is not None and state not in revisions:
            raise RevisionMismatch
        self._images[image_id] = image = replace(
            image,
            revision=image.revision + 1,
            tags=image.tags if edit.tags is KEEP else edit.tags,
            description=image.description if edit.description is KEEP else edit.description,
        )
        return image

    async def mark_deleting(self, image_id: str, user_id: str, since: str) -> Image:
        """See `ports.ImageRecords`."""
        image = self._owned(image_id, user_id)
        self._images[image_id] = replace(image, status=DELETING)
        self.marked_since[image_id] = since
        return image

    async def take_over(self, image_id: str, before: str, since: str) -> Image | None:
        """See `ports.ImageRecords`."""
        if image_id not in self.marked_since or self.marked_since[image_id] >= before:
            return None
        self.marked_since[image_id] = since
        return self._images[image_id]

    async def remove(self, image_id: str) -> None:
        """See `ports.ImageRecords`."""
        image = self._images.get(image_id)
        if image is not None and image.status == DELETING:
            self._usage.release(self._images.pop(image_id))
            del self.marked_since[image_id]

    async def page(self, selection: Selection, after: Position | None, limit: int) -> Page:
        """See `ports.ImageRecords`."""
        descending = selection.order == "desc"
        ordered = sorted(self._images.values(), key=lambda i: i.position, reverse=descending)
        matching = [
            image
            for image in ordered
            if image.status == COMPLETED
            and selection.user_id in (None, image.user_id)
            and (selection.earliest is None or image.upload_timestamp >= selection.earliest)
            and (selection.latest is None or image.upload_timestamp <= selection.latest)
            and (selection.tag is None or selection.tag in image.tags)
            and (after is None or (image.position < after) == descending)
            and image.position != after
        ]
        images = tuple(matching[:limit])
        return Page(images, images[-1].position if len(matching) > limit else None)

    async def check(self) -> None:
        """See `ports.ImageRecords`."""

    def _is_in_place(self, pending: Image) -> bool:
        image = self._images.get(pending.image_id)
        return image is not None and (image.status, image.etag) == (PENDING, pending.etag)

    def _owned(self, image_id: str, user_id: str) -> Image:
        image = self._images.get(image_id)
        if image is None or image.status == PENDING:
            raise ImageMissing
        if image.status == DELETING:
            raise DeletionPending(image) if image.user_id == user_id else ImageMissing
        if image.user_id != user_id:
            raise NotOwner
        return image


class MemoryApiKeys:
    """`ports.ApiKeys` in memory."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    async def find(self, key_hash: str) -> ApiKey | None:
        """See `ports.ApiKeys`."""
        return self._keys.get(key_hash)

    async def create(self, key: ApiKey) -> None:
        """See `ports.ApiKeys`."""
        self._keys.setdefault(key.key_hash, key)

    async def list_all(self) -> tuple[ApiKey, ...]:
        """See `ports.ApiKeys`."""
        return tuple(self._keys.values())

    async def revoke(self, key_id: str, revoked_at: str) -> ApiKey | None:
        """See `ports.ApiKeys`."""
        for key in self._keys.values():
            if key.key_id == key_id:
                revoked = replace(key, revoked_at=key.revoked_at or revoked_at)
                self._keys[key.key_hash] = revoked
                return revoked
        return None
