"""What is loaded the short way is what marshmallow loads, and what it refuses is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from service.schemas import (
    BatchRequest,
    CompleteRequest,
    DeleteRequest,
    DownloadQuery,
    EditRequest,
    ListQuery,
    RequestSchema,
    UploadRequest,
)
from service.schemas.shortcuts import Shortcut, Unsure
from tests.support.makers import RULES, an_id

BODIES = (UploadRequest, CompleteRequest, EditRequest, DeleteRequest, BatchRequest)
QUERIES = (ListQuery, DownloadQuery, DeleteRequest)

_ID = an_id(0xABC)
_RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "user_id": st.from_regex(r"\A[A-Za-z0-9_@+:-]{1,128}\Z"),
    "filename": st.text(st.characters(codec="utf-8"), min_size=1, max_size=255),
    "content_type": st.sampled_from(RULES.content_types),
    "file_size": st.integers(1, RULES.max_file_size),
    "tags": st.none() | st.lists(st.text(min_size=1, max_size=50), max_size=20),
    "description": st.none() | st.text(max_size=500),
    "image_id": st.uuids().map(str) | st.just(_ID.upper()),
    "image_ids": st.lists(st.uuids().map(str), min_size=1, max_size=100),
    "start_date": st.dates().map(str),
    "end_date": st.dates().map(str),
    "limit": st.integers(1, RULES.max_page_size).map(str),
    "next_token": st.text(min_size=1, max_size=200),
    "tag": st.text(min_size=1, max_size=50),
    "order": st.sampled_from(["asc", "desc"]),
    "disposition": st.sampled_from(["inline", "attachment"]),
}
_EDGES = st.sampled_from(
    [
        *("", " ", ".", "..", "...", "a", "ann\n", "a/b", "ä", "\x00", "null", "asc", "inline"),
        *("x" * n for n in (50, 51, 128, 129, 200, 201, 255, 256, 500, 501)),
        *(0, 1, -1, 1.0, 1.5, True, False, 10_485_760, 10_485_761, 1e300, None, "1", "01", "+1"),
        *("100", "101", "1" * 9, "1" * 10, "\u0661", "1\n", "1_0", " 1"),
        *(_ID, _ID.upper(), f"{_ID}\n", _ID[:-1], f"{{{_ID}}}"),
        *([], [""], ["a"] * 20, ["a"] * 21, [None], [1], ["x" * 51], [_ID] * 100, [_ID] * 101),
        *({}, {"a": 1}, [["a"]], "image/jpeg", "IMAGE/JPEG", "2026-02-13", "2026-02-30"),
    ]
)
_ANYTHING = _EDGES | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


def outcome(load: Any, data: dict[str, Any]) -> object:
    """What is loaded, or what is wrong."""
    try:
        return load(data)
    except ValidationError as error:
        return error.messages


@pytest.mark.parametrize("kind", BODIES)
@given(data=st.data())
def test_whatever_is_sent_as_a_body_comes_out_as_marshmallow_has_it(
    kind: type[RequestSchema], data: st.DataObject
) -> None:
    schema = kind(RULES)
    sent = data.draw(requests(schema, _ANYTHING))
    assert outcome(schema.take, sent) == outcome(schema.load, sent)


@pytest.mark.parametrize("kind", QUERIES)
@given(data=st.data())
def test_whatever_is_sent_as_a_query_comes_out_as_marshmallow_has_it(
    kind: type[RequestSchema], data: st.DataObject
) -> None:
    schema = kind(RULES)
    texts = (_EDGES | st.text()).filter(lambda value: isinstance(value, str))
    sent = data.draw(requests(schema, texts))
    assert outcome(schema.take, sent) == outcome(schema.load, sent)


@pytest.mark.parametrize("kind", BODIES + QUERIES)
@given(data=st.data())
def test_what_is_right_goes_the_short_way_and_is_loaded_the_same(
    kind: type[RequestSchema], data: st.DataObject
) -> None:
    schema = kind(RULES)
    sent = data.draw(requests(schema, None))
    Shortcut(schema).take(sent)  # is not unsure
    assert outcome(schema.take, sent) == outcome(schema.load, sent)


def requests(
    schema: Schema, wrong: st.SearchStrategy[Any] | None
) -> st.SearchStrategy[dict[str, Any]]:
    """Requests of this schema; with some values, and some fields, that are `wrong`."""
    values = {
        name: _RIGHT[name] if wrong is None else st.one_of(_RIGHT[name], wrong)
        for name in schema.fields
    }
    needed = {name for name, field in schema.fields.items() if field.required and wrong is None}
    more: st.SearchStrategy[dict[str, Any]] = st.just({})
    if wrong is not None:
        more = st.dictionaries(st.sampled_from(["camera", "status", ""]), wrong, max_size=1)
    return st.builds(
        lambda sent, unasked: {**unasked, **sent},
        st.fixed_dictionaries(
            {name: values[name] for name in needed},
            optional={name: each for name, each in values.items() if name not in needed},
        ),
        more,
    )


def test_what_may_be_left_out_for_once_is_marshmallows_business() -> None:
    schema = DeleteRequest(RULES)
    assert schema.take({}, ("user_id",)) == schema.load({}, partial=("user_id",))
    batch = {"image_ids": [_ID]}
    assert BatchRequest(RULES).take(batch, ("user_id",)).user_id is None
    with pytest.raises(ValidationError):
        BatchRequest(RULES).take(batch)


class Odd(Schema):
    even = fields.Integer(validate=validate.NoneOf([3]))
    exact = fields.String(validate=validate.Length(equal=3))
    when = fields.Date()


@pytest.mark.parametrize("sent", [{"even": 3}, {"exact": "ab"}, {"when": "x"}, {"other": 1}])
def test_kinds_of_field_that_it_does_not_know_are_still_checked(sent: dict[str, Any]) -> None:
    with pytest.raises((Unsure, ValidationError)):
        Shortcut(Odd()).take(sent)


def test_kinds_of_field_that_it_does_not_know_are_loaded_as_marshmallow_does() -> None:
    sent = {"even": "4", "exact": "abc", "when": "2026-02-13"}
    assert Shortcut(Odd()).take(sent) == Odd().load(sent)


class Renamed(Schema):
    name = fields.String(data_key="title")


class Made(Schema):
    names = fields.List(fields.String(), load_default=list)


@pytest.mark.parametrize("schema", [Renamed(), Made(), Odd(unknown=INCLUDE)])
def test_a_schema_that_it_cannot_follow_is_refused_at_once(schema: Schema) -> None:
    with pytest.raises(TypeError):
        Shortcut(schema)
