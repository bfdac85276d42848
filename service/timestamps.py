"""Times in and out: one fixed-width UTC text form, and dates that mean what their precision says.

Text order is time order, so the same text serves as sort key, answer and cursor.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

LATEST = "9999-12-31T23:59:59.999999Z"
"""Nothing is later."""

_INSTANT = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[Tt ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    # A plus sign in a query string that nobody percent-encoded arrives as a space.
    r"(?P<offset>[Zz]|[+\- ]\d\d:?\d\d)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_text(moment: datetime) -> str:
    """`2026-02-13T10:30:00.000000Z`: always 27 characters, whatever the moment."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[:26] + "Z"  # for +00:00


def to_micros(text: str) -> int:
    """Microseconds since 1970 of a timestamp that `to_text` wrote."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> str:
    """The inverse of `to_micros`. Raises OverflowError outside the years 1 to 9999."""
    return to_text(_EPOCH + timedelta(microseconds=micros))


def earliest(text: str) -> str:
    """The first instant that a start date includes. Raises ValueError for what is no date."""
    return _span(text)[0]


def latest(text: str) -> str:
    """The last instant that an end date includes, at the precision it was given in.

    A date includes its whole day, a time to the second that whole second.
    Raises ValueError for what is no date.
    """
    return _span(text)[1]


def _span(text: str) -> tuple[str, str]:
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(
            "Not an ISO 8601 date or time, such as 2026-02-13 or 2026-02-13T10:30:00Z."
        )
    part = match.groupdict()
    fraction = part["fraction"]
    try:
        start = datetime(
            int(part["year"]),
            int(part["month"]),
            int(part["day"]),
            int(part["hour"] or 0),
            int(part["minute"] or 0),
            int(part["second"] or 0),
            int((fraction or "0").ljust(6, "0")[:6]),
            _zone(part["offset"]),
        )
    except ValueError as error:
        raise ValueError(f"Not a date that exists: {error}.") from error
    if part["hour"] is None:
        width = timedelta(days=1)
    elif part["second"] is None:
        width = timedelta(minutes=1)
    elif fraction is None:
        width = timedelta(seconds=1)
    else:
        width = timedelta(microseconds=10 ** max(0, 6 - len(fraction)))
    return _clamped(start, timedelta()), _clamped(start, width - _MICROSECOND)


def _zone(offset: str | None) -> timezone:
    if offset is None or offset in "Zz":
        return UTC
    if int(offset[-2:]) > 59:
        raise ValueError("offset minutes must be in 0..59")
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _clamped(moment: datetime, distance: timedelta) -> str:
    """The moment moved on, in UTC; the ends of the calendar where it would fall off."""
    try:
        return to_text((moment + distance).astimezone(UTC))
    except OverflowError:
        limit = datetime.min if moment.year < 5000 else datetime.max
        return to_text(limit.replace(tzinfo=UTC))
