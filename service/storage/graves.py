"""What stands in the place of a record while an object without one is being deleted."""

from __future__ import annotations

from service.model import DELETING, Image, ObjectEntry


def buried(stray: ObjectEntry, image_id: str, user_id: str) -> Image:
    """The record of an object without one, on its way out. What is not known of it says nothing."""
    return Image(
        image_id=image_id,
        user_id=user_id,
        filename=stray.key.rpartition("/")[2],
        content_type="application/octet-stream",
        file_size=stray.size,
        upload_timestamp=stray.modified,
        s3_key=stray.key,
        etag=stray.etag,
        width=0,
        height=0,
        status=DELETING,
    )


def is_grave(image: Image) -> bool:
    """Whether this stands for an object that never had a record: no image is without a size."""
    return image.width == 0
