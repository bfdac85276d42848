"""What every use case works with: the two stores, the clock, ids, and the limits in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from service.cursor import CursorSealer
from service.operations.readiness import Readiness
from service.ports import Clock, ImageObjects, ImageRecords, NewId
from service.thumbnails import Thumbnails


@dataclass(frozen=True, slots=True)
class Desk:
    """One service's stores and rules. `*_expiry` in seconds; `readiness` of all that it needs.

    `max_pixels` is what an image may have at most. A deletion that is `abandoned_after` so long is
    nobody's any more. Without `thumbnails` there is nothing that makes any.
    """

    objects: ImageObjects
    records: ImageRecords
    sealer: CursorSealer
    now: Clock
    new_id: NewId
    upload_expiry: int
    download_expiry: int
    abandoned_after: timedelta
    readiness: Readiness
    max_pixels: int = 100_000_000
    thumbnails: Thumbnails | None = None
