"""Names: ids of images and keys of objects.

A key is built only from a checked user id, a UUID and, for the final key, a sanitised file name,
so no text of a client's can move an object out of its own place.
"""

from __future__ import annotations

import json
import os
import re
import uuid

STAGING_PREFIX = "uploads/"
FINAL_PREFIX = "images/"

USER_ID_PATTERN = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._@+:-]{1,128}\Z", re.ASCII)
_FINAL_KEY = re.compile(
    rf"{FINAL_PREFIX}([A-Za-z0-9._@+:-]{{1,128}})/([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})_.+"
)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 100
# Of any digit, its last two bits behind those that say which layout the id has.
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
_NAMESPACE = uuid.UUID("b6c1d9b4-6a0e-4f0e-9a57-0f3f6b1c2d3e")


def staging_key(user_id: str, image_id: str) -> str:
    """Where a client may write: never a key that anything is served from."""
    return f"{STAGING_PREFIX}{user_id}/{image_id}"


def final_key(user_id: str, image_id: str, filename: str) -> str:
    """Where a verified image is served from: no client can write there."""
    return f"{FINAL_PREFIX}{user_id}/{image_id}_{sanitise(filename)}"


def owner_of_final_key(key: str) -> tuple[str, str] | None:
    """The user id and the image id in a final key; None for a key that was never one."""
    found = _FINAL_KEY.fullmatch(key)
    return None if found is None else (found[1], found[2])


def sanitise(filename: str) -> str:
    """The last path part, unsafe characters as `_`, at most 100 characters, never empty."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    name = _UNSAFE.sub("_", last).lstrip(".")
    if len(name) > _LONGEST_NAME:
        stem, dot, suffix = name.rpartition(".")
        kept = suffix if dot and len(suffix) <= 10 else ""
        name = f"{stem[: _LONGEST_NAME - len(kept) - 1]}.{kept}" if kept else name[:_LONGEST_NAME]
    return name or "image"


def new_image_id() -> str:
    """A random id (RFC 9562, version 4)."""
    # As `uuid.uuid4` makes it, in half the time.
    text = os.urandom(16).hex()
    variant = _VARIANTS[text[16]]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def repeatable_image_id(key: str, user_id: str, filename: str, content_type: str, size: int) -> str:
    """The id that every request with this Idempotency-Key for this file gets.

    A name-based UUID (RFC 9562, version 5), so that no store has to remember keys. It covers who
    asks and what for: another user's equal key, or the key used for another file, makes another id.
    """
    return str(uuid.uuid5(_NAMESPACE, json.dumps([key, user_id, filename, content_type, size])))
