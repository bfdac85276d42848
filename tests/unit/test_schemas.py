"""What requests may say, to the letter, and where an error is when they do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from service.model import KEEP, Edit, Selection
from service.operations.listing import ListImages
from service.operations.uploading import CompleteUpload, RequestUpload
from service.schemas import (
    Batch,
    BatchRequest,
    CompleteRequest,
    DeleteRequest,
    DownloadQuery,
    EditImage,
    EditRequest,
    ImageSchema,
    ListQuery,
    Owner,
    RequestSchema,
    Rules,
    UploadRequest,
    image_document,
)
from tests.support.makers import RULES, an_id, an_image

UPLOAD = {"user_id": "ann", "filename": "a.jpg", "content_type": "image/jpeg", "file_size": 5}


def errors_of(schema: type[RequestSchema], data: dict[str, Any], rules: Rules = RULES) -> set[str]:
    """The places where a request is wrong; none when it is right."""
    try:
        schema(rules).load(data)
    except ValidationError as error:
        assert isinstance(error.messages, dict)
        return set(error.messages)
    return set()


def test_an_upload_needs_no_more_than_four_fields() -> None:
    assert UploadRequest(RULES).load(UPLOAD) == RequestUpload("ann", "a.jpg", "image/jpeg", 5)
    assert errors_of(UploadRequest, {}) == set(UPLOAD)


def test_unknown_fields_are_not_read() -> None:
    assert errors_of(UploadRequest, {**UPLOAD, "camera": "x", "image_id": 5}) == set()


@pytest.mark.parametrize(
    "size", [True, False, "5", "", 5.5, 1.5, -1, 0, 10_485_761, 1e300, None, [5], {}]
)
def test_a_file_size_is_a_whole_number_within_the_limit(size: object) -> None:
    assert errors_of(UploadRequest, {**UPLOAD, "file_size": size}) == {"file_size"}


def test_configured_limits_are_in_force() -> None:
    rules = Rules(("image/png",), 100, 5, 7)
    png = {**UPLOAD, "content_type": "image/png"}
    assert errors_of(UploadRequest, {**png, "file_size": 100}, rules) == set()
    assert errors_of(UploadRequest, {**png, "file_size": 101}, rules) == {"file_size"}
    assert errors_of(UploadRequest, UPLOAD, rules) == {"content_type"}
    assert ListQuery(rules).load({}).limit == 5
    assert errors_of(ListQuery, {"limit": "8"}, rules) == {"limit"}


@pytest.mark.parametrize(
    "user_id", ["a", "a" * 128, "ann@example.com", "+49-30:1", "...", "..a", "A_1"]
)
def test_user_ids_that_name_someone(user_id: str) -> None:
    assert errors_of(UploadRequest, {**UPLOAD, "user_id": user_id}) == set()


@pytest.mark.parametrize(
    "user_id",
    [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "a b",
        "ann\n",
        "é",
        "a" * 129,
        "a%2Fb",
        "١",
        None,
        5,
        ["a"],
        True,
    ],
)
def test_user_ids_that_name_nobody(user_id: object) -> None:
    for schema, rest in ((UploadRequest, UPLOAD), (BatchRequest, {"image_ids": [an_id(1)]})):
        assert errors_of(schema, {**rest, "user_id": user_id}) == {"user_id"}


@given(st.text(min_size=1, max_size=255))
def test_any_text_is_a_file_name_and_stays_as_it_is(filename: str) -> None:
    assert UploadRequest(RULES).load({**UPLOAD, "filename": filename}).filename == filename


@pytest.mark.parametrize("filename", ["", "x" * 256, None, 5, ["a"], True])
def test_what_is_no_file_name(filename: object) -> None:
    assert errors_of(UploadRequest, {**UPLOAD, "filename": filename}) == {"filename"}
    complete = {"image_id": an_id(1), "user_id": "ann", "filename": filename}
    assert errors_of(CompleteRequest, complete) == {"filename"}


@pytest.mark.parametrize(
    "kind", ["image/JPEG", "image/svg+xml", "image/jpeg ", "jpeg", "", None, 5]
)
def test_only_the_five_types_may_be_uploaded(kind: object) -> None:
    assert errors_of(UploadRequest, {**UPLOAD, "content_type": kind}) == {"content_type"}


@pytest.mark.parametrize("tags", [None, [], ["x" * 50] * 20, ["ä", " ", "a,b"]])
def test_tags_that_may_be(tags: list[str] | None) -> None:
    loaded = UploadRequest(RULES).load({**UPLOAD, "tags": tags})
    assert loaded.tags == tuple(tags or ())


@pytest.mark.parametrize(
    "tags", ["sea", {"a": 1}, [""], ["x" * 51], ["x"] * 21, [None], [5], [["x"]]]
)
def test_tags_that_may_not(tags: object) -> None:
    assert errors_of(UploadRequest, {**UPLOAD, "tags": tags}) == {"tags"}


@pytest.mark.parametrize(("description", "right"), [("x" * 500, True), ("", True), (None, True),
                                                    ("x" * 501, False), (5, False)])  # fmt: skip
def test_a_description_has_a_length(description: object, right: bool) -> None:
    wrong = errors_of(UploadRequest, {**UPLOAD, "description": description})
    assert wrong == (set() if right else {"description"})


def test_the_place_of_a_bad_tag_is_told() -> None:
    with pytest.raises(ValidationError) as error:
        UploadRequest(RULES).load({**UPLOAD, "tags": ["fine", "", "x" * 51]})
    assert set(error.value.messages["tags"]) == {1, 2}  # type: ignore[call-overload, index]


@pytest.mark.parametrize(
    "image_id",
    ["", "1", an_id(1)[:-1], an_id(1) + "0", an_id(1).replace("-", ""), "{" + an_id(1) + "}",
     "urn:uuid:" + an_id(1), an_id(1) + "\n", "../" + an_id(1), None, 5, True],
)  # fmt: skip
def test_an_image_id_is_a_uuid(image_id: object) -> None:
    assert errors_of(CompleteRequest, {"image_id": image_id, "user_id": "ann"}) == {"image_id"}
    assert errors_of(BatchRequest, {"image_ids": [image_id], "user_id": "ann"}) == {"image_ids"}


def test_what_complete_leaves_out_is_left_to_the_declaration() -> None:
    said = {"image_id": an_id(0xAB).upper(), "user_id": "ann"}
    assert CompleteRequest(RULES).load(said) == CompleteUpload(an_id(0xAB), "ann")
    assert CompleteRequest(RULES).load({**said, "tags": None}).tags is None
    assert CompleteRequest(RULES).load({**said, "tags": []}).tags == ()


def test_a_list_query_means_this_selection() -> None:
    query = {"user_id": "ann", "start_date": "2026-01-01", "end_date": "2026-02-13", "tag": "sea",
             "order": "asc", "limit": "7", "next_token": "t", "utm": "x"}  # fmt: skip
    assert ListQuery(RULES).load(query) == ListImages(
        Selection(
            "ann", "2026-01-01T00:00:00.000000Z", "2026-02-13T23:59:59.999999Z", "sea", "asc"
        ),
        7,
        "t",
    )
    assert ListQuery(RULES).load({}) == ListImages(Selection(order="desc"), 50, None)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        *(({"limit": text}, "limit")
          for text in ("0", "101", "-1", "5.0", "1e1", "", " 5", "+5", "١", "ten", "9" * 5_000)),
        ({"start_date": "soon"}, "start_date"),
        ({"start_date": ""}, "start_date"),
        ({"end_date": "2026-02-30"}, "end_date"),
        ({"start_date": "2026-02-14", "end_date": "2026-02-13"}, "end_date"),
        ({"start_date": "2026-02-13T12:00:01", "end_date": "2026-02-13T12:00:00"}, "end_date"),
        ({"order": "DESC"}, "order"),
        ({"order": ""}, "order"),
        ({"tag": ""}, "tag"),
        ({"tag": "x" * 51}, "tag"),
        ({"next_token": ""}, "next_token"),
        ({"next_token": "x" * 201}, "next_token"),
        ({"user_id": ""}, "user_id"),
    ],
)  # fmt: skip
def test_a_bad_list_query_is_refused_in_its_place(query: dict[str, str], place: str) -> None:
    assert errors_of(ListQuery, query) == {place}


def test_a_range_may_be_a_single_instant() -> None:
    same = {"start_date": "2026-02-13T12:00:00.5Z", "end_date": "2026-02-13T12:00:00.5Z"}
    assert errors_of(ListQuery, same) == set()


def test_both_bad_dates_are_told() -> None:
    query = {"start_date": "soon", "end_date": "later"}
    assert errors_of(ListQuery, query) == {"start_date", "end_date"}


@pytest.mark.parametrize(
    ("said", "edit"),
    [
        ({"tags": ["a"]}, Edit(tags=("a",))),
        ({"tags": None}, Edit(tags=())),
        ({"tags": []}, Edit(tags=())),
        ({"description": "x"}, Edit(description="x")),
        ({"description": None}, Edit(description=None)),
        ({"description": None, "tags": ["b"]}, Edit(("b",), None)),
    ],
)
def test_an_edit_tells_clearing_from_keeping(said: dict[str, object], edit: Edit) -> None:
    assert EditRequest(RULES).load({"user_id": "ann", **said}) == EditImage("ann", edit)
    assert Edit() == Edit(KEEP, KEEP)


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({}, "tags"),
        ({"filename": "b.jpg", "tags": []}, "filename"),
        ({"status": "x", "tags": []}, "status"),
    ],
)
def test_an_edit_changes_tags_and_description_and_nothing_else(
    said: dict[str, object], place: str
) -> None:
    assert errors_of(EditRequest, {"user_id": "ann", **said}) == {place}


def test_small_requests() -> None:
    assert DeleteRequest(RULES).load({}) == Owner(None)
    assert DeleteRequest(RULES).load({"user_id": "ann"}) == Owner("ann")
    assert DownloadQuery(RULES).load({}) == "inline"
    assert DownloadQuery(RULES).load({"disposition": "attachment"}) == "attachment"
    assert errors_of(DownloadQuery, {"disposition": "form-data"}) == {"disposition"}


def test_a_batch_keeps_order_and_has_at_most_a_hundred() -> None:
    ids = [an_id(number) for number in range(100, 0, -1)]
    assert BatchRequest(RULES).load({"image_ids": ids, "user_id": "a"}) == Batch("a", tuple(ids))
    for wrong in ([], [*ids, an_id(101)], None, an_id(1), {}):
        assert errors_of(BatchRequest, {"image_ids": wrong, "user_id": "a"}) == {"image_ids"}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.text(max_size=3), inner, max_size=3)))  # fmt: skip
def test_no_json_value_in_any_field_is_more_than_a_bad_field(value: Any) -> None:
    for schema in (UploadRequest, CompleteRequest, EditRequest, BatchRequest, DeleteRequest):
        for name in schema(RULES).fields:
            assert errors_of(schema, {name: value}) <= {*schema(RULES).fields, "_schema"}


def test_an_image_document_is_what_its_schema_would_dump() -> None:
    image = an_image(tags=("a", "b"), description=None)
    document = image_document(image)
    assert {**document, "tags": ["a", "b"]} == ImageSchema().dump(image)
    assert {"user_id", "file_size", "upload_timestamp", "status", "s3_key"} <= set(document)
