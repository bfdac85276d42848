"""Ports that always say the same at no cost, to see what the service costs without its stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service import declaration, imageformat
from service.model import (
    COMPLETED,
    Description,
    Disposition,
    Edit,
    Image,
    Page,
    Position,
    Revision,
    Selection,
    StoredObject,
    UploadForm,
)
from tests.load import calls
from tests.load.canned import image, photo


class CannedObjects:
    """`ports.ImageObjects` that hold the one photo."""

    def __init__(self) -> None:
        said = Description(calls.FILENAME, calls.TAGS, calls.DESCRIPTION)
        self._metadata = declaration.to_metadata(said, calls.FILE_SIZE)
        self._head = photo()[: imageformat.HEAD_BYTES]
        # Of the names and lengths that signing makes.
        self._fields = {
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "AKIDEXAMPLE/20260213/us-east-1/s3/aws4_request",
            "x-amz-date": "20260213T120000Z",
            "policy": "e" * 540,
            "x-amz-signature": "0" * 64,
        }
        self._url = "http://127.0.0.1:4566/mont-images/images/ann/photo.jpg?" + "x" * 400

    async def upload_form(
        self,
        key: str,
        *,
        content_type: str,
        size: int,
        metadata: Mapping[str, str],
        expires_in: int,
    ) -> UploadForm:
        fields = {"key": key, "Content-Type": content_type}
        fields |= {f"x-amz-meta-{name}": value for name, value in metadata.items()}
        return UploadForm(self._url, fields | self._fields)

    async def download_url(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        disposition: Disposition,
        expires_in: int,
    ) -> str:
        return self._url

    async def read_head(self, key: str, length: int) -> StoredObject | None:
        return StoredObject(
            calls.FILE_SIZE, calls.CONTENT_TYPE, calls.ETAG, self._metadata, self._head[:length]
        )

    async def read_tail(self, key: str, size: int, length: int) -> StoredObject | None:
        return StoredObject(
            calls.FILE_SIZE, calls.CONTENT_TYPE, calls.ETAG, self._metadata, photo()[-length:]
        )

    async def promote(self, source: str, target: str, *, etag: str, content_type: str) -> bool:
        return True

    async def delete(self, keys: Sequence[str]) -> None:
        pass

    async def check(self) -> None:
        pass


class CannedRecords:
    """`ports.ImageRecords` of a user with more images than a page shows."""

    def __init__(self) -> None:
        self._images = tuple(image(number) for number in range(100))

    async def demand_room(self, user_id: str, size: int) -> None:
        pass

    async def create(self, image: Image) -> Image | None:
        return None

    async def replace_pending(self, pending: Image, image: Image) -> bool:
        return True

    async def publish(self, pending: Image, upload_timestamp: str) -> Image | None:
        return replace(pending, status=COMPLETED, upload_timestamp=upload_timestamp)

    async def abandon(self, pending: Image) -> None:
        pass

    async def find(self, image_id: str) -> Image | None:
        return self._images[0]

    async def find_many(self, image_ids: Sequence[str]) -> dict[str, Image]:
        return {image_id: replace(self._images[0], image_id=image_id) for image_id in image_ids}

    async def edit(
        self, image_id: str, user_id: str, edit: Edit, *, revisions: tuple[Revision, ...] | None
    ) -> Image:
        return self._images[0]

    async def mark_deleting(self, image_id: str, user_id: str, since: str) -> Image:
        return self._images[0]

    async def remove(self, image_id: str) -> None:
        pass

    async def page(self, selection: Selection, after: Position | None, limit: int) -> Page:
        images = self._images[:limit]
        return Page(images, images[-1].position)

    async def check(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a call that is measured asks for {name}, which has no canned answer")
