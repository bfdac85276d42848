"""Entity tags of image records (RFC 9110, 8.8.3): a revision as text, and conditions on it."""

from __future__ import annotations

import re

from service import timestamps
from service.errors import RevisionMismatch
from service.model import Image, Revision

_TAG = re.compile(r'"(\d{1,9})-([0-9a-f]{1,16})"', re.ASCII)


def etag_of(image: Image) -> str:
    """The strong entity tag of an image's record, quotes included."""
    return f'"{image.revision}-{timestamps.to_micros(image.upload_timestamp):x}"'


def required_revision(if_match: str | None) -> Revision | None:
    """The revision that `If-Match` asks for; None when it asks for none in particular.

    Raises RevisionMismatch for what can never match: another kind of tag, or a weak one. Of a
    list the first tag of ours counts: a client holds one state of an image.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    for each in if_match.split(","):
        if match := _TAG.fullmatch(each.strip()):
            try:
                return Revision(timestamps.from_micros(int(match[2], 16)), int(match[1]))
            except OverflowError:
                continue
    raise RevisionMismatch


def is_fresh(if_none_match: str | None, etag: str) -> bool:
    """Whether a client that sends this `If-None-Match` holds the current state already."""
    if if_none_match is None:
        return False
    tags = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in tags or etag in tags
