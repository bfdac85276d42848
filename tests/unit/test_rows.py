"""A list reads from an answer of DynamoDB what a look at each record would have read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model import Image
from service.storage.calls import DamagedAnswer
from service.storage.items import from_item, to_item
from service.storage.rows import RecordDamaged, read_chunk
from service.storage.timeline import Chunk
from tests.support.makers import NOON, an_id, an_image
from tests.unit.test_items import IMAGES

# Attributes that another release may have left, of every type that there is.
FOREIGN = {
    "edit_mark": {"S": "0f"},
    "counted": {"N": "7"},
    "binary": {"B": "AP8="},
    "sets": {"SS": ["a"]},
    "numbers": {"NS": ["1"]},
    "binaries": {"BS": ["AP8="]},
    "nothing": {"NULL": True},
    "truth": {"BOOL": False},
    "nested": {"M": {"S": {"L": [{"M": {}}]}}},
}


def answered(*items: dict[str, Any], **more: Any) -> bytes:
    document = {"Items": items, "Count": len(items), "ScannedCount": len(items), **more}
    return json.dumps(document).encode()


@given(st.lists(IMAGES, max_size=5))
def test_the_images_are_those_of_the_records(images: list[Image]) -> None:
    items = [to_item(image) for image in images]
    assert read_chunk(answered(*items)) == Chunk(images, len(images), None)
    assert read_chunk(answered(*items)).images == [from_item(item) for item in items]


def test_attributes_that_are_none_of_an_image_are_passed_over() -> None:
    image = an_image(description='Ein Bild \N{CAMERA} "von" \\u00fc\n')
    assert read_chunk(answered({**FOREIGN, **to_item(image)})).images == [image]


def test_an_answer_tells_how_much_was_read_and_where_to_go_on() -> None:
    image = an_image()
    item = to_item(image)
    last = {name: item[name] for name in ("image_id", "timeline_shard", "upload_timestamp")}
    chunk = read_chunk(answered(item, ScannedCount=9, LastEvaluatedKey=last))
    assert chunk == Chunk([image], 9, (NOON, last))


def test_an_empty_key_of_the_last_row_is_none() -> None:
    assert read_chunk(answered(LastEvaluatedKey={})) == Chunk([], 0, None)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"etag": {}}, "Object missing required field `S`"),
        ({"width": {"S": "7"}}, "Object missing required field `N`"),
        ({"width": {"N": "seven"}}, "Expected `int`, got `str`"),
        ({"tags": {"L": [{"N": "1"}]}}, "Object missing required field `S`"),
        ({"status": {"S": "gone"}}, "Invalid enum value 'gone'"),
        ({"filename": "beach.jpg"}, "Expected `object`, got `str`"),
    ],
)
def test_a_damaged_record_is_named_with_what_is_wrong(damage: dict[str, Any], reason: str) -> None:
    good, damaged = (to_item(an_image(image_id=an_id(number))) for number in (1, 2))
    with pytest.raises(RecordDamaged) as caught:
        read_chunk(answered(good, {**damaged, **damage}))
    assert an_id(2) in str(caught.value)
    assert an_id(1) not in str(caught.value)
    assert reason in str(caught.value)
    assert f"$.{next(iter(damage))}" in str(caught.value)


@pytest.mark.parametrize("name", sorted(to_item(an_image()).keys() - {"description"}))
def test_a_record_that_lacks_something_is_named(name: str) -> None:
    item = to_item(an_image())
    del item[name]
    if name == "timeline_shard":  # of no use to a list
        assert read_chunk(answered(item)).images == [an_image()]
        return
    with pytest.raises(RecordDamaged, match=f"required field `{name}`"):
        read_chunk(answered(item))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"Items": [', b'{"Items": {}, "ScannedCount": 0}', b"\xff"],
)
def test_what_is_no_answer_is_a_damaged_one(body: bytes) -> None:
    with pytest.raises(DamagedAnswer):
        read_chunk(body)
