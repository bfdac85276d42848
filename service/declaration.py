"""What a client declares about an upload, carried in the object's own signed user metadata.

upload-url touches no store, so the declaration travels with the bytes: the policy signs it, S3
keeps it, complete reads it back in the same call that verifies the bytes.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import orjson

from service.errors import DeclarationTooLong
from service.model import Description

_NAME = "mont-declared"
# S3 counts names and values of all user metadata together (Amazon S3 User Guide, "Working with
# object metadata": 2 KB). The prefix is counted too, to be on the safe side.
_LIMIT = 2048 - len("x-amz-meta-" + _NAME)
_PLAIN, _DEFLATED = "j", "z"
# No forged declaration gets through S3, but an operator's stray object might: inflate no more.
_LARGEST = 64 * 1024
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def to_metadata(said: Description, file_size: int) -> dict[str, str]:
    """User metadata (name without `x-amz-meta-`, printable ASCII) that carries a declaration.

    Raises DeclarationTooLong when it does not fit S3's 2 KB, compressed or not.
    """
    text = orjson.dumps([said.filename, said.tags, said.description, file_size])
    value = _PLAIN + _base64(text)
    if len(value) > _LIMIT:
        value = _DEFLATED + _base64(zlib.compress(text, 9))
        if len(value) > _LIMIT:
            raise DeclarationTooLong
    return {_NAME: value}


def _base64(data: bytes) -> str:
    """As `base64.urlsafe_b64encode` has it, without its detours."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).decode()


def from_metadata(metadata: dict[str, str]) -> tuple[Description, int] | None:
    """The declaration and byte count that `to_metadata` wrote; None where there is none."""
    value = metadata.get(_NAME, "")
    try:
        text = base64.urlsafe_b64decode(value[1:])
        if value[:1] == _DEFLATED:
            text = zlib.decompressobj().decompress(text, _LARGEST)
        filename, tags, description, file_size = orjson.loads(text)
        return Description(filename, tuple(tags), description), file_size
    except (binascii.Error, zlib.error, orjson.JSONDecodeError, TypeError, ValueError):
        return None
