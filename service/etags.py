"""Entity tags of image records (RFC 9110, 8.8.3): a revision as text, and conditions on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from service import timestamps
from service.model import Image, Revision

# A client holds one state of an image, or a few; a store's condition cannot grow without end.
_MOST_TAGS = 20
_TAG = re.compile(r'"(\d{1,9})-([0-9a-f]{1,16})"', re.ASCII)


def etag_of(image: Image) -> str:
    """The strong entity tag of an image's record, quotes included."""
    return f'"{image.revision}-{timestamps.to_micros(image.upload_timestamp):x}"'


def required_revisions(if_match: str | None) -> tuple[Revision, ...] | None:
    """The revisions of which `If-Match` asks for one; None when any will do.

    None at all where no state can ever match: other kinds of tag, or weak ones.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    return tuple(_revisions(if_match))[:_MOST_TAGS]


def _revisions(if_match: str) -> Iterator[Revision]:
    for each in if_match.split(","):
        if match := _TAG.fullmatch(each.strip()):
            # A number too large for the calendar is a tag that we never gave out.
            with suppress(OverflowError):
                yield Revision(timestamps.from_micros(int(match[2], 16)), int(match[1]))


def is_fresh(if_none_match: str | None, etag: str) -> bool:
    """Whether a client that sends this `If-None-Match` holds the current state already."""
    if if_none_match is None:
        return False
    tags = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in tags or etag in tags
