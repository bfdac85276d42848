"""What users store and what keys were granted, in dictionaries. For tests and sketches."""

from __future__ import annotations

from service.errors import StorageQuotaExceeded
from service.model import NO_QUOTA, Image, StorageQuota, Usage


class MemoryUsage:
    """The room that images hold, by user."""

    def __init__(self) -> None:
        self._used: dict[str, Usage] = {}
        self._held: dict[str, int] = {}

    def of(self, user_id: str) -> Usage:
        """What a user's images take, as far as they were counted."""
        return self._used.get(user_id, Usage())

    def hold(self, image: Image, quota: StorageQuota) -> None:
        """Give an image its room in place of what its id held. Raises StorageQuotaExceeded."""
        used, held = self.of(image.user_id), self._held.get(image.image_id)
        if quota == NO_QUOTA:
            self.release(image)
            return
        more = image.file_size - (held or 0)
        if (0 < more > quota.bytes - used.bytes and quota.bytes) or (
            held is None and used.images >= quota.images > 0
        ):
            raise StorageQuotaExceeded(image.file_size, used, quota)
        self._used[image.user_id] = Usage(used.bytes + more, used.images + (held is None))
        self._held[image.image_id] = image.file_size

    def release(self, image: Image) -> None:
        """Take the room back that an id held, if any."""
        held = self._held.pop(image.image_id, None)
        if held is not None:
            used = self.of(image.user_id)
            self._used[image.user_id] = Usage(used.bytes - held, used.images - 1)


class MemoryRequestCounts:
    """`ports.RequestCounts` in memory."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], int] = {}

    async def add(self, key_id: str, day: str, number: int) -> int:
        """See `ports.RequestCounts`."""
        self.sums[key_id, day] = total = self.sums.get((key_id, day), 0) + number
        return total
