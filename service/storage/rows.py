"""Rows of an index, read from DynamoDB's answer straight into images.

A page is hundreds of values, each of which the protocol wraps in an object that says its type. Made
into dictionaries and taken out again, they were half of what a list cost. What `items` writes is
declared here once more, as types: whatever else a row holds is passed over unread.

Loaded by the first list: no other call has a use for msgspec.
"""

from __future__ import annotations

from typing import Any

from msgspec import DecodeError, Struct, ValidationError, convert, json

from service.model import Image, Status
from service.storage.calls import DamagedAnswer
from service.storage.timeline import Chunk


class RecordDamaged(Exception):
    """A record in the table is not as the service writes them. The message says which, and why."""


# None of these can be part of a cycle, so the collector need not look through them.


class _Text(Struct, gc=False):
    S: str


class _Number(Struct, gc=False):
    N: int


class _Texts(Struct, gc=False):
    L: list[_Text]


class _Status(Struct, gc=False):
    S: Status


class _Row(Struct, gc=False):
    """See `items`. Only completed images are in the indexes of lists."""

    image_id: _Text
    user_id: _Text
    filename: _Text
    content_type: _Text
    file_size: _Number
    upload_timestamp: _Text
    s3_key: _Text
    etag: _Text
    width: _Number
    height: _Number
    tags: _Texts
    status: _Status
    revision: _Number
    description: _Text | None = None


class _Answer(Struct, gc=False):
    Items: list[_Row]
    ScannedCount: int
    LastEvaluatedKey: dict[str, dict[str, str]] | None = None


class _Records(Struct):
    Items: list[dict[str, Any]]


# Not strict, since DynamoDB's numbers travel as text.
_decoder = json.Decoder(_Answer, strict=False)


def read_chunk(body: bytes) -> Chunk:
    """What a Query of an index has answered. Raises DamagedAnswer, RecordDamaged."""
    try:
        answer = _decoded(body)
    except DecodeError as error:
        raise DamagedAnswer(error=error) from error
    last = answer.LastEvaluatedKey
    return Chunk(
        images=[_image_of(row) for row in answer.Items],
        evaluated=answer.ScannedCount,
        resume=(last["upload_timestamp"]["S"], last) if last else None,
    )


def _decoded(body: bytes) -> _Answer:
    try:
        return _decoder.decode(body)
    except ValidationError:
        # It says which row it was; somebody has to mend the record, and knows it by its id.
        for record in json.decode(body, type=_Records).Items:
            try:
                convert(record, _Row, strict=False)
            except ValidationError as error:
                raise RecordDamaged(f"{record.get('image_id')}: {error}") from error
        raise


def _image_of(row: _Row) -> Image:
    description = row.description
    # In the order of the fields: passed by name, they take three times as long.
    return Image(
        row.image_id.S,
        row.user_id.S,
        row.filename.S,
        row.content_type.S,
        row.file_size.N,
        row.upload_timestamp.S,
        row.s3_key.S,
        row.etag.S,
        row.width.N,
        row.height.N,
        tuple([tag.S for tag in row.tags.L]),
        None if description is None else description.S,
        row.status.S,
        row.revision.N,
    )
