"""Whether all stores agree, read straight from bucket and tables: what must hold after any crash.

    assert violations(await contents_of(clients, settings)) == []

Knows the shape of a record and of a key, and none of the code that writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.settings import Settings

if TYPE_CHECKING:
    from service.storage.clients import Clients

_STAGED, _FINAL = "uploads/", "images/"
_USAGE = "storage#"
_LISTS = {"upload_timestamp", "timeline_shard"}
_MARK = {"deleting_since", "deleting_shard", "deleting_mark"}
Item = Mapping[str, Any]


@dataclass(frozen=True)
class Contents:
    """All records by id, as they are in the table, and the bytes of all objects by key.

    `usage` is what users are said to store, as (bytes, images), where that is counted.
    """

    records: Mapping[str, Item]
    objects: Mapping[str, bytes]
    usage: Mapping[str, tuple[int, int]]

    def of_user(self, user_id: str) -> Contents:
        """What is one user's: to compare before and after."""
        return Contents(
            {
                image_id: item
                for image_id, item in self.records.items()
                if item["user_id"]["S"] == user_id
            },
            {key: body for key, body in self.objects.items() if key.split("/")[1] == user_id},
            {user: used for user, used in self.usage.items() if user == user_id},
        )


async def contents_of(clients: Clients, settings: Settings) -> Contents:
    """Everything in the bucket and in the tables; `clients` are those of `open_admin_clients`."""
    objects: dict[str, bytes] = {}
    bucket = settings.s3_bucket_name
    async for page in clients.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for each in page.get("Contents", ()):
            answer = await clients.s3.get_object(Bucket=bucket, Key=each["Key"])
            objects[each["Key"]] = await answer["Body"].read()
    return Contents(
        {
            each["image_id"]["S"]: each
            async for each in _rows(clients, settings.dynamodb_table_name)
        },
        objects,
        {
            each["counter"]["S"].removeprefix(_USAGE): (
                int(each["used_bytes"]["N"]),
                int(each["used_images"]["N"]),
            )
            async for each in _rows(clients, settings.usage_table_name)
            if each["counter"]["S"].startswith(_USAGE)
        },
    )


async def _rows(clients: Clients, table: str) -> AsyncIterator[Item]:
    pages = clients.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    async for page in pages:
        for item in page["Items"]:
            yield item


def violations(contents: Contents, *, settled: bool = True) -> list[str]:
    """All that must never be, a line each: none is what a test wants to see.

    Not `settled` is the moment of a crash: what it cut short may still be there, but nothing that
    anybody can see may be wrong.
    """
    found = [
        f"record {image_id}: {problem}"
        for image_id, item in contents.records.items()
        for problem in _of_record(item, contents.objects, settled)
    ]
    found += [
        f"usage of {user_id}: {contents.usage.get(user_id)} where {counted} is counted"
        for user_id, counted in _counted(contents).items()
        if contents.usage.get(user_id, (0, 0)) != counted
    ]
    if settled:
        named = {item["s3_key"]["S"] for item in contents.records.values()}
        found += [
            f"object {key}: no record names it"
            for key in contents.objects
            if not key.startswith(_STAGED) and key not in named
        ]
    return sorted(found)


def _of_record(item: Item, objects: Mapping[str, bytes], settled: bool) -> Iterator[str]:
    status = item["status"]["S"]
    if (item.keys() >= _LISTS) != (status == "completed"):
        yield f"{status}, but {'not ' if status == 'completed' else ''}in the lists"
    if bool(_MARK & item.keys()) != (status == "deleting"):
        yield f"{status}, but its mark says otherwise"
    if not item["s3_key"]["S"].startswith(
        f"{_FINAL}{item['user_id']['S']}/{item['image_id']['S']}_"
    ):
        yield f"its object is in another's place: {item['s3_key']['S']}"
    if status != "completed":
        if settled:
            yield f"still {status}"
        return
    body = objects.get(item["s3_key"]["S"])
    if body is None:
        yield "its object is gone"
    elif hashlib.md5(body).hexdigest() != item["etag"]["S"]:
        yield "its object is another one"
    elif len(body) != int(item["file_size"]["N"]):
        yield "its object has another size"


def _counted(contents: Contents) -> dict[str, tuple[int, int]]:
    """What each user's records say that was counted for them."""
    counted = dict.fromkeys(contents.usage, (0, 0))
    for item in contents.records.values():
        if "counted" in item:
            size, images = counted.get(item["user_id"]["S"], (0, 0))
            counted[item["user_id"]["S"]] = (size + int(item["counted"]["N"]), images + 1)
    return counted
