"""What DynamoDB is asked for a page of a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from service.model import Position, Selection
from service.storage.items import TIMELINE_SHARDS, to_item
from service.storage.lists import Lists
from service.storage.timeline import Chunk
from tests.support.makers import NOON, an_id, an_image

Read = Callable[[bytes], Chunk]


class Table:
    """A client that notes its queries, on a table in which nothing ends."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def query_with(self, read: Read, **arguments: Any) -> Chunk:
        self.asked.append(arguments)
        rows = arguments["Limit"]
        items = [
            to_item(
                an_image(
                    image_id=an_id(number), upload_timestamp=f"2026-02-13T11:{59 - number:02}:00Z"
                )
            )
            for number in range(rows)
        ]
        names = ("image_id", "user_id", "upload_timestamp")
        document = {
            "Items": items,
            "ScannedCount": rows,
            "LastEvaluatedKey": {name: items[-1][name] for name in names},
        }
        return read(json.dumps(document).encode())


@pytest.mark.parametrize(("after", "rows"), [(None, 11), (Position(NOON, an_id(99)), 12)])
async def test_a_page_of_a_user_is_one_read_of_what_it_shows_and_what_tells_of_more(
    after: Position | None, rows: int
) -> None:
    table = Table()
    page = await Lists(table, "images", "by-user").page(Selection("ann"), after, 10)
    assert [image.image_id for image in page.images] == [an_id(number) for number in range(10)]
    assert page.next == page.images[-1].position
    assert [
        (asked["IndexName"], asked["Limit"], asked["ExpressionAttributeValues"][":hash"])
        for asked in table.asked
    ] == [("by-user", rows, {"S": "ann"})]


async def test_a_page_of_everybody_asks_each_shard_once_for_its_share_and_some_more() -> None:
    table = Table()
    await Lists(table, "images", "by-user").page(Selection(), None, 16)
    shards = [asked["ExpressionAttributeValues"][":hash"]["N"] for asked in table.asked]
    assert sorted(shards, key=int) == [str(shard) for shard in range(TIMELINE_SHARDS)]
    assert {asked["Limit"] for asked in table.asked} == {4}
