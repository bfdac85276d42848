"""Content-Disposition for any file name (RFC 6266, with RFC 8187 for what ASCII cannot say)."""

from __future__ import annotations

import re
from urllib.parse import quote

from service.model import Disposition

# RFC 8187 attr-char: what may stand unescaped in an extended value.
_ATTR_CHAR = "!#$&+-.^_`|~"
_NOT_QUOTABLE = re.compile(r"[^\x20-\x7e]|[\"\\%]")


def content_disposition(disposition: Disposition, filename: str) -> str:
    """The header's value: printable ASCII, one line, whatever `filename` holds.

    A plain `filename` for old clients, with `_` for what it cannot carry, and `filename*` with
    the exact name where the two differ. A percent sign counts as unsafe in the plain form:
    some browsers decode it there.
    """
    plain = _NOT_QUOTABLE.sub("_", filename)
    value = f'{disposition}; filename="{plain}"'
    if plain != filename:
        value += f"; filename*=UTF-8''{quote(filename, safe=_ATTR_CHAR)}"
    return value
