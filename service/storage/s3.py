"""The bytes in S3 (or anything that speaks its protocol)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from botocore.exceptions import ClientError

from service.disposition import content_disposition
from service.errors import StoreUnavailable
from service.model import Disposition, StoredObject, UploadForm
from service.storage.clients import Clients, error_code, translated

_STORE = "S3"
_ABSENT = {"NoSuchKey", "404"}
_REFUSED = {"PreconditionFailed", "412"} | _ABSENT


class S3ImageObjects:
    """`ports.ImageObjects` in one bucket."""

    def __init__(self, clients: Clients, bucket: str) -> None:
        self._s3 = clients.s3
        self._signer = clients.signer
        self._bucket = bucket

    @property
    def address(self) -> str:
        """See `ports.ImageObjects`."""
        address: str = self._signer.address
        return address

    async def upload_form(
        self,
        key: str,
        *,
        content_type: str,
        size: int,
        metadata: Mapping[str, str],
        expires_in: int,
    ) -> UploadForm:
        """See `ports.ImageObjects`."""
        fields = {"Content-Type": content_type}
        for name, value in metadata.items():
            fields[f"x-amz-meta-{name}"] = value
        conditions: list[object] = [{name: value} for name, value in fields.items()]
        conditions.append(["content-length-range", size, size])
        with translated(_STORE):
            post = await self._signer.generate_presigned_post(
                self._bucket, key, Fields=fields, Conditions=conditions, ExpiresIn=expires_in
            )
        return UploadForm(post["url"], {"key": key, **post["fields"]})

    async def download_url(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        disposition: Disposition,
        expires_in: int,
    ) -> str:
        """See `ports.ImageObjects`."""
        with translated(_STORE):
            url: str = await self._signer.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "ResponseContentType": content_type,
                    "ResponseContentDisposition": content_disposition(disposition, filename),
                },
                ExpiresIn=expires_in,
            )
        return url

    async def read_head(self, key: str, length: int) -> StoredObject | None:
        """See `ports.ImageObjects`."""
        return await self._read(key, 0, length - 1)

    async def read_tail(self, key: str, size: int, length: int) -> StoredObject | None:
        """See `ports.ImageObjects`."""
        return await self._read(key, max(0, size - length), size - 1)

    async def _read(self, key: str, first: int, last: int) -> StoredObject | None:
        with translated(_STORE):
            try:
                answer = await self._s3.get_object(
                    Bucket=self._bucket, Key=key, Range=f"bytes={first}-{last}"
                )
            except ClientError as error:
                if error_code(error) in _ABSENT:
                    return None
                if error_code(error) in {"InvalidRange", "416"}:
                    # An object of no bytes has no first byte, and one that was replaced may be
                    # shorter: the range cannot be served.
                    return StoredObject(0, "", "", {}, b"")
                raise
            async with answer["Body"] as stream:
                head: bytes = await stream.read()
        if "ETag" not in answer:  # no object has none: something in between answered
            raise StoreUnavailable(_STORE, "GetObject: an answer without an entity tag")
        total = answer.get("ContentRange", "").rpartition("/")[2]
        return StoredObject(
            size=int(total) if total else answer["ContentLength"],
            content_type=answer.get("ContentType", ""),
            etag=answer["ETag"].strip('"'),
            metadata=answer.get("Metadata", {}),
            head=head,
        )

    async def promote(self, source: str, target: str, *, etag: str, content_type: str) -> bool:
        """See `ports.ImageObjects`."""
        with translated(_STORE):
            try:
                await self._s3.copy_object(
                    Bucket=self._bucket,
                    Key=target,
                    CopySource={"Bucket": self._bucket, "Key": source},
                    CopySourceIfMatch=etag,
                    # The declaration has done its work, and whoever holds a link could read it.
                    MetadataDirective="REPLACE",
                    ContentType=content_type,
                    CacheControl="private, max-age=31536000, immutable",
                )
            except ClientError as error:
                if error_code(error) in _REFUSED:
                    return False
                raise
        return True

    async def delete(self, keys: Sequence[str]) -> None:
        """See `ports.ImageObjects`."""
        with translated(_STORE):
            answer = await self._s3.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
        # The call as a whole succeeds even when single keys could not be deleted.
        for failure in answer.get("Errors", []):
            if failure.get("Code") not in _ABSENT:
                raise StoreUnavailable(_STORE, f"DeleteObjects: {failure}")

    async def check(self) -> None:
        """See `ports.ImageObjects`."""
        with translated(_STORE):
            await self._s3.head_bucket(Bucket=self._bucket)
