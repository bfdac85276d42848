"""An image as a DynamoDB item, and back.

image_id          S   the table's key
user_id           S   hash of UserIdTimestampIndex
timeline_shard    N   hash of TimelineIndex: spreads new images over its partitions
upload_timestamp  S   range of both; only a completed image has it, so only those are in them
deleting_shard    N   hash of DeletingIndex, there only while deleting
deleting_since    S   its range
deleting_mark     S   which call marked it, there only while deleting
completed_at      S   upload_timestamp as it was, there only while deleting
claimed_at        S   when the upload's completion began, there only while pending
counted           N   bytes that its user's usage was raised by, there only if it was
the rest              filename, content_type, file_size, s3_key, etag, width, height,
                      tags (L of S), description, status, revision
"""

from __future__ import annotations

import zlib
from typing import Any

from service.model import COMPLETED, DELETING, PENDING, Image, Status

TIMELINE_SHARDS = 16

Item = dict[str, Any]
STATUSES: dict[str, Status] = {each: each for each in (PENDING, COMPLETED, DELETING)}


def timeline_shard(image_id: str) -> int:
    """The partition of the timeline that an image is in: any even spread will do."""
    return zlib.crc32(image_id.encode()) % TIMELINE_SHARDS


def to_item(image: Image, *, counted: int | None = None) -> Item:
    """The item of a pending or completed image; `counted` bytes for it, if any."""
    item: Item = {
        "image_id": {"S": image.image_id},
        "user_id": {"S": image.user_id},
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
    if image.status == PENDING:
        item["claimed_at"] = {"S": image.upload_timestamp}
    else:
        item["upload_timestamp"] = {"S": image.upload_timestamp}
        item["timeline_shard"] = {"N": str(timeline_shard(image.image_id))}
    if image.description is not None:
        item["description"] = {"S": image.description}
    if counted is not None:
        item["counted"] = {"N": str(counted)}
    return item


def counted_bytes(item: Item) -> int | None:
    """What its user's usage was raised by; None where it was not."""
    counted = item.get("counted")
    return None if counted is None else int(counted["N"])


def tags_value(tags: tuple[str, ...]) -> dict[str, Any]:
    """Tags as a list, not a set: a set could not be empty and would lose their order."""
    return {"L": [{"S": tag} for tag in tags]}


def from_item(item: Item) -> Image:
    """The image of an item, whatever its status."""
    instant = item.get("upload_timestamp") or item.get("completed_at") or item["claimed_at"]
    description = item.get("description")
    # In the order of the fields: passed by name, they take three times as long.
    return Image(
        item["image_id"]["S"],
        item["user_id"]["S"],
        item["filename"]["S"],
        item["content_type"]["S"],
        int(item["file_size"]["N"]),
        instant["S"],
        item["s3_key"]["S"],
        item["etag"]["S"],
        int(item["width"]["N"]),
        int(item["height"]["N"]),
        tuple([tag["S"] for tag in item["tags"]["L"]]),
        None if description is None else description["S"],
        STATUSES[item["status"]["S"]],
        int(item["revision"]["N"]),
    )
