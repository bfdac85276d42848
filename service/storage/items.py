"""An image as a DynamoDB item, and back.

image_id          S   the table's key
user_id           S   hash of UserIdTimestampIndex
timeline_shard    N   hash of TimelineIndex: spreads new images over its partitions
upload_timestamp  S   range of both; gone while deleting, which takes the item off both
deleting_shard    N   hash of DeletingIndex, there only while deleting
deleting_since    S   its range
deleting_mark     S   which call marked it, there only while deleting
completed_at      S   upload_timestamp as it was, there only while deleting
the rest              filename, content_type, file_size, s3_key, etag, width, height,
                      tags (L of S), description, status, revision
"""

from __future__ import annotations

import zlib
from typing import Any, Literal

from service.model import COMPLETED, DELETING, Image

TIMELINE_SHARDS = 16

Item = dict[str, Any]


def timeline_shard(image_id: str) -> int:
    """The partition of the timeline that an image is in: any even spread will do."""
    return zlib.crc32(image_id.encode()) % TIMELINE_SHARDS


def to_item(image: Image) -> Item:
    """The item of a completed image."""
    item: Item = {
        "image_id": {"S": image.image_id},
        "user_id": {"S": image.user_id},
        "timeline_shard": {"N": str(timeline_shard(image.image_id))},
        "upload_timestamp": {"S": image.upload_timestamp},
        "filename": {"S": image.filename},
        "content_type": {"S": image.content_type},
        "file_size": {"N": str(image.file_size)},
        "s3_key": {"S": image.s3_key},
        "etag": {"S": image.etag},
        "width": {"N": str(image.width)},
        "height": {"N": str(image.height)},
        "tags": tags_value(image.tags),
        "status": {"S": image.status},
        "revision": {"N": str(image.revision)},
    }
    if image.description is not None:
        item["description"] = {"S": image.description}
    return item


def tags_value(tags: tuple[str, ...]) -> dict[str, Any]:
    """Tags as a list, not a set: a set could not be empty and would lose their order."""
    return {"L": [{"S": tag} for tag in tags]}


def from_item(item: Item) -> Image:
    """The image of an item, whatever its status."""
    status: Literal["completed", "deleting"] = (
        DELETING if item["status"]["S"] == DELETING else COMPLETED
    )
    description = item.get("description")
    return Image(
        image_id=item["image_id"]["S"],
        user_id=item["user_id"]["S"],
        filename=item["filename"]["S"],
        content_type=item["content_type"]["S"],
        file_size=int(item["file_size"]["N"]),
        upload_timestamp=(item.get("upload_timestamp") or item["completed_at"])["S"],
        s3_key=item["s3_key"]["S"],
        etag=item["etag"]["S"],
        width=int(item["width"]["N"]),
        height=int(item["height"]["N"]),
        tags=tuple([tag["S"] for tag in item["tags"]["L"]]),
        description=None if description is None else description["S"],
        status=status,
        revision=int(item["revision"]["N"]),
    )
