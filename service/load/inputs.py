"""Sizes and durations as people write them."""

from __future__ import annotations

import re

from service.load.pictures import LARGEST, SMALLEST

_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([km]?)b?", re.ASCII)
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h)?", re.ASCII)
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class InputInvalid(ValueError):
    """A size or a duration that makes no sense; the message says why."""


def parse_sizes(text: str) -> tuple[int, int]:
    """Bytes, smallest and largest, of "100k" or "20k-2M". Raises InputInvalid."""
    sizes = []
    for part in text.lower().split("-"):
        found = _SIZE.fullmatch(part.strip())
        size = round(float(found[1]) * _UNITS[found[2]]) if found else -1
        if not SMALLEST <= size <= LARGEST:
            raise InputInvalid(
                f"{text!r} is no size from {SMALLEST // 1000}k to {LARGEST // 1_000_000}M, such as"
                " 100k, and no range of sizes, such as 20k-2M"
            )
        sizes.append(size)
    if len(sizes) > 2 or sizes[0] > sizes[-1]:
        raise InputInvalid(f"{text!r} must be one size, or the smallest and the largest")
    return sizes[0], sizes[-1]


def parse_seconds(text: str, least: float = 0.0, most: float = 86_400.0) -> float:
    """Seconds of "90", "90s", "200ms", "5m" or "1h". Raises InputInvalid."""
    found = _DURATION.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _SECONDS[found[2] or ""] if found else -1.0
    if not least <= seconds <= most:
        raise InputInvalid(f"{text!r} is no time from {least:g} s to {most:g} s, such as 90s or 5m")
    return seconds
