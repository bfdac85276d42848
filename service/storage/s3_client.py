"""S3's calls as a client of the SDK offers them, without the SDK's way of making them.

Only the keywords that the service uses; another one is a TypeError rather than left out. Bodies of
objects are read whole, within the call: nothing keeps a connection, and what breaks off is asked
for again. So ask for ranges.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

import base64
import hashlib
import re
from binascii import crc32
from collections.abc import Mapping
from typing import Any

from service.storage import s3_answers
from service.storage.calls import Answer, Call, Caller
from service.storage.signing import NOTHING_HASHED, encoded, encoded_path

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"
# A line break as such would come out of the document as another one.
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;", "\n": "&#xA;"})


class S3Client:
    """The calls that the service makes. Each raises what a client of the SDK raises."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    # The names and keywords are the SDK's own.
    async def get_object(self, *, Bucket: str, Key: str, Range: str | None = None) -> Answer:  # noqa: N803
        """GetObject; `Range` is "bytes=FIRST-LAST"."""
        found = _RANGE.fullmatch(Range or "")
        # A server that knows no ranges sends all of it.
        most = None if found is None else max(0, int(found[2]) - int(found[1]) + 1)
        headers = {} if Range is None else {"range": Range}
        call = _call("GetObject", "GET", Key, headers, s3_answers.read_object, most=most)
        return await self._caller.make(call, Bucket)

    async def head_object(self, *, Bucket: str, Key: str) -> Answer:  # noqa: N803
        """HeadObject."""
        return await self._caller.make(
            _call("HeadObject", "HEAD", Key, {}, s3_answers.read_head), Bucket
        )

    async def head_bucket(self, *, Bucket: str) -> Answer:  # noqa: N803
        """HeadBucket."""
        return await self._caller.make(
            _call("HeadBucket", "HEAD", None, {}, s3_answers.read_nothing), Bucket
        )

    async def copy_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        CopySource: Mapping[str, str],  # noqa: N803
        CopySourceIfMatch: str | None = None,  # noqa: N803
        MetadataDirective: str | None = None,  # noqa: N803
        ContentType: str | None = None,  # noqa: N803
        CacheControl: str | None = None,  # noqa: N803
    ) -> Answer:
        """CopyObject."""
        source = encoded_path(f"{CopySource['Bucket']}/{CopySource['Key']}")
        given = {
            "x-amz-copy-source": source,
            "x-amz-copy-source-if-match": CopySourceIfMatch,
            "x-amz-metadata-directive": MetadataDirective,
            "content-type": ContentType,
            "cache-control": CacheControl,
        }
        headers = {name: value for name, value in given.items() if value is not None}
        call = _call("CopyObject", "PUT", Key, headers, s3_answers.read_copy)
        return await self._caller.make(call, Bucket)

    async def delete_objects(self, *, Bucket: str, Delete: Mapping[str, Any]) -> Answer:  # noqa: N803
        """DeleteObjects; `Delete` holds `Objects` (of each its `Key`) and `Quiet`."""
        keys = [each["Key"].translate(_ESCAPED) for each in Delete["Objects"]]
        objects = "".join([f"<Object><Key>{key}</Key></Object>" for key in keys])
        quiet = "<Quiet>true</Quiet>" if Delete.get("Quiet") else ""
        body = f'<Delete xmlns="{_XMLNS}">{objects}{quiet}</Delete>'.encode()
        digest = hashlib.sha256(body).hexdigest()
        headers = {
            "content-type": "application/xml",
            "x-amz-content-sha256": digest,
            # Without a checksum this one call is refused.
            "x-amz-sdk-checksum-algorithm": "CRC32",
            "x-amz-checksum-crc32": base64.b64encode(crc32(body).to_bytes(4)).decode(),
        }
        return await self._caller.make(
            Call(
                operation="DeleteObjects",
                method="POST",
                path="",
                query="delete=",
                headers=headers,
                body=body,
                body_hash=digest,
                read=s3_answers.read_deletion,
            ),
            Bucket,
        )

    async def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str | None = None,  # noqa: N803
        Delimiter: str | None = None,  # noqa: N803
        StartAfter: str | None = None,  # noqa: N803
        ContinuationToken: str | None = None,  # noqa: N803
        MaxKeys: int | None = None,  # noqa: N803
    ) -> Answer:
        """ListObjectsV2."""
        given = {
            "continuation-token": ContinuationToken,
            "delimiter": Delimiter,
            "encoding-type": "url",  # XML has no way to write some characters that keys may hold
            "list-type": 2,
            "max-keys": MaxKeys,
            "prefix": Prefix,
            "start-after": StartAfter,
        }
        query = "&".join(
            [f"{name}={encoded(str(value))}" for name, value in given.items()
             if value is not None]
        )  # fmt: skip
        call = _call("ListObjectsV2", "GET", None, {}, s3_answers.read_listing, query=query)
        return await self._caller.make(call, Bucket)


def _call(
    operation: str,
    method: str,
    key: str | None,
    headers: dict[str, str],
    read: Any,
    *,
    query: str = "",
    most: int | None = None,
) -> Call:
    """A call without a body."""
    path = "" if key is None else f"/{encoded_path(key)}"
    headers["x-amz-content-sha256"] = NOTHING_HASHED
    return Call(operation, method, path, query, headers, b"", NOTHING_HASHED, read, most)
