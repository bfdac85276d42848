"""What every use case works with: the two stores, the clock, ids, and the limits in force."""

from __future__ import annotations

from dataclasses import dataclass

from service.cursor import CursorSealer
from service.ports import Check, Clock, ImageObjects, ImageRecords, NewId


@dataclass(frozen=True, slots=True)
class Desk:
    """One service's stores and rules. `*_expiry` in seconds; `checks` of what else it needs."""

    objects: ImageObjects
    records: ImageRecords
    sealer: CursorSealer
    now: Clock
    new_id: NewId
    upload_expiry: int
    download_expiry: int
    checks: tuple[Check, ...] = ()
