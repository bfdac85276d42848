"""The five calls that are measured, and the one photo that all of them are about."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

IMAGE_ID = "6f1f7c1e-57c0-4b2b-9a0e-1f8a5a2d9c31"
USER = "ann"
FILENAME = "evening at the beach.jpg"
CONTENT_TYPE = "image/jpeg"
FILE_SIZE = 2_048_000
TAGS = ("vacation", "beach")
DESCRIPTION = "Evening at the beach"
ETAG = "9b2cf535f27731c974343645a3985328"
PAGE = 50

_FILE = {
    "user_id": USER,
    "filename": FILENAME,
    "content_type": CONTENT_TYPE,
    "file_size": FILE_SIZE,
    "tags": TAGS,
    "description": DESCRIPTION,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, always the same. `target` as on the request line."""

    name: str
    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def _call(name: str, method: str, target: str, document: dict[str, object] | None = None) -> Call:
    if document is None:
        return Call(name, method, target)
    return Call(name, method, target, orjson.dumps(document), {"Content-Type": "application/json"})


CALLS = {
    call.name: call
    for call in (
        _call("upload-url", "POST", "/images/upload-url", _FILE),
        _call("download-url", "GET", f"/images/{IMAGE_ID}/download-url"),
        _call("list", "GET", f"/images?user_id={USER}&limit={PAGE}"),
        _call("complete", "POST", "/images/complete", {"image_id": IMAGE_ID, **_FILE}),
        _call("delete", "DELETE", f"/images/{IMAGE_ID}", {"user_id": USER}),
    )
}
"""By name, in the order in which they are shown."""
