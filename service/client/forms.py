"""A presigned form as the bytes of an HTTP message (RFC 7578): every field, then the file, last.

S3 wants the length of the whole beforehand and ignores what follows the file:
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping

from service.client.sources import Source

Progress = Callable[[int, int], None]
"""Called with the bytes that are through and their total; goes back to 0 when tried again."""


class FormBody:
    """One sending of one form. `md5` is of what was sent of the file so far."""

    def __init__(self, fields: Mapping[str, str], source: Source, progress: Progress) -> None:
        boundary = f"mont-{secrets.token_hex(16)}"
        parts = [_field(boundary, name, value) for name, value in fields.items()]
        self._before = "".join(parts).encode() + _file_head(boundary, source.content_type)
        self._after = f"\r\n--{boundary}--\r\n".encode()
        self._source = source
        self._progress = progress
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.failure: Exception | None = None
        """Why the message ended early, which the HTTP client does not tell."""
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._before) + source.size + len(self._after)),
        }

    async def chunks(self) -> AsyncIterator[bytes]:
        """The message, once."""
        yield self._before
        sent = 0
        self._progress(sent, self._source.size)
        try:
            async for chunk in self._source.chunks():
                self.md5.update(chunk)
                yield chunk
                sent += len(chunk)
                self._progress(sent, self._source.size)
        except Exception as error:
            self.failure = error
            raise
        yield self._after


def _field(boundary: str, name: str, value: str) -> str:
    quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted}"\r\n\r\n{value}\r\n'


def _file_head(boundary: str, content_type: str) -> bytes:
    # The name that counts is in the signed declaration; this one only makes the part a file.
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return head.encode()
