"""Links to thumbnails that an imgproxy makes of the images in the bucket.

Knows imgproxy's addresses and signatures; whether it runs and may read the bucket is the
operator's business. https://docs.imgproxy.net/usage/processing and .../usage/signing_url
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

# Within a square, nothing cut off: large enough for a tile on a phone's dense screen. Without a
# format imgproxy takes the best that the browser's Accept header allows, as it is configured.
_OPTIONS = "rs:fit:480:480"


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """An imgproxy at `url` that reads `bucket`; `key` and `salt` as bytes."""

    url: str
    bucket: str
    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    def link(self, s3_key: str) -> str:
        """The thumbnail of the object at this key. It is good until key or salt are replaced.

        Costs some microseconds: a list of 100 asks for it 100 times.
        """
        # Keys of ours hold nothing that would have to be escaped in a URL (see `naming`).
        source = _text(f"s3://{self.bucket}/{s3_key}".encode())
        path = f"/{_OPTIONS}/{source}"
        return f"{self.url}/{signature(self.key, self.salt, path)}{path}"


def signature(key: bytes, salt: bytes, path: str) -> str:
    """What has to stand before `path` (which starts with a slash) for imgproxy to serve it."""
    return _text(hmac.digest(key, salt + path.encode(), "sha256"))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
