"""The first bytes of a file, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_PARTS: Final = 4_096
"""The most segments, chunks or blocks looked at; what follows them is not checked.

A head full of empty ones holds 87,000 and would stall the event loop for some 45 ms.
"""


class NotAnImage(ValueError):
    """The bytes are not a sound image of a known format; the message says why."""


class HeaderTooFar(NotAnImage):
    """Sound so far, but the size of the picture is not in the part looked at; more may tell."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first bytes of a file of `total` bytes; reading past either end is an error."""

    data: bytes
    total: int

    def past(self, end: int) -> NotAnImage:
        """The error for needing bytes up to `end`: the file is cut, or only the head is."""
        if end > self.total:
            return NotAnImage(f"the file is cut short: {self.total} bytes, at least {end} expected")
        return HeaderTooFar(
            "the metadata before the picture is too long: "
            f"its size is not within the first {len(self.data)} bytes"
        )

    def take(self, start: int, count: int) -> bytes:
        """Exactly these bytes; HeaderTooFar or NotAnImage where they are not there."""
        if start + count > len(self.data):
            raise self.past(start + count)
        return self.data[start : start + count]

    def parts(self) -> Iterator[int]:
        """Count the parts walked over, up to MAX_PARTS."""
        yield from range(MAX_PARTS)
        raise HeaderTooFar(f"more than {MAX_PARTS} parts before the picture")

    def require(self, end: int) -> None:
        """Refuse a part that ends after the file, even where its bytes were not read."""
        if end > self.total:
            raise self.past(end)
