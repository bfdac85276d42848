"""What a check finds, and the small picture that the checks upload."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

State = Literal["ok", "warning", "failed", "skipped"]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""

# S3 refuses what is signed 15 minutes off; a form for an hour is still good at 5, but tokens and
# the order of lists begin to suffer.
_SKEW_WARNING, _SKEW_FAILED = 5.0, 300.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: what was seen, and what to do about it."""

    check: str
    state: State
    seen: str
    fix: str = ""


def clock_finding(whose: str, date: str | None, now: datetime) -> Finding:
    """How far this machine's clock is from the one behind a Date header."""
    check = f"clock ({whose})"
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return Finding(check, "skipped", "no Date header to compare with")
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    skew = (now - theirs).total_seconds()
    if abs(skew) <= _SKEW_WARNING:
        return Finding(check, "ok", "agrees with this machine's")
    said = f"this machine's is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    state: State = "failed" if abs(skew) > _SKEW_FAILED else "warning"
    return Finding(check, state, said, "Set the clock by NTP: signatures and tokens depend on it.")


def cors_finding(
    check: str, url: str, origin: str, status: int, allowed_origin: str | None, methods: str
) -> Finding:
    """Whether pages of this origin may POST there, from the answer to a preflight."""
    if status < 300 and allowed_origin in ("*", origin) and "POST" in methods.upper():
        return Finding(check, "ok", f"pages of {origin} may send forms to {url}")
    return Finding(
        check,
        "failed",
        f"pages of {origin} may not send forms to {url} (the preflight got {status})",
        "`mont provision` sets the bucket's CORS rule from CORS_ALLOW_ORIGINS.",
    )
