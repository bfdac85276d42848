"""What each field may hold, at both sides of every limit."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Answer, Api, new_user
from tests.support.real_images import real_image

ID = "6bb88cf9-a9b4-4b3b-b1f6-53f5db4591a0"
ALLOWED_IN_USER_ID = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+:-"  # all of the contract
)
GOOD_USERS = [
    "a",
    "u" * 128,
    ALLOWED_IN_USER_ID,
    "...",
    ".a",
    "-",
    "auth0:abc",
    "me+tag@example.com",
]
BAD_USERS = [
    "",
    "u" * 129,
    ".",
    "..",
    "a/b",
    "a\\b",
    "a b",
    " a",
    "a\n",
    "a\x00",
    "ü",
    "a%2Fb",
    "a*",
    "a?",
    "a#b",
    "'",
    '"',
    "<a>",
    "٣",
]
NO_TEXT: list[Any] = [None, 1, 1.5, True, [], {}, ["a"]]
BAD_IDS = [
    "",
    "x",
    "123",
    ID[:-1],
    ID + "0",
    ID.replace("-", ""),
    "{" + ID + "}",
    "urn:uuid:" + ID,
    ID + "\n",
    " " + ID,
    "../" + ID,
    "g" + ID[1:],
]
UPLOAD = {
    "user_id": "user123",
    "filename": "a.jpg",
    "content_type": "image/jpeg",
    "file_size": 2048,
}


async def declared(api: Api, **different: object) -> Answer:
    return await api.request("POST", "/images/upload-url", json={**UPLOAD, **different})


async def completed(api: Api, **different: object) -> Answer:
    body = {"image_id": ID, "user_id": "user123", **different}
    return await api.request("POST", "/images/complete", json=body)


@pytest.mark.parametrize("field", sorted(UPLOAD))
async def test_a_declaration_needs_every_required_field(api: Api, field: str) -> None:
    body = {name: value for name, value in UPLOAD.items() if name != field}
    answer = await api.request("POST", "/images/upload-url", json=body)
    assert answer.locations() == [f"body.{field}"]


async def test_all_bad_fields_are_named_at_once(api: Api) -> None:
    answer = await declared(
        api, user_id="a/b", filename="", content_type="text/html", file_size=0, tags=["ok", ""]
    )
    assert answer.locations() == [
        "body.content_type",
        "body.file_size",
        "body.filename",
        "body.tags.1",
        "body.user_id",
    ]
    for each in answer.json()["errors"]:
        assert each["detail"]


@pytest.mark.parametrize("user_id", GOOD_USERS)
async def test_a_user_id_of_the_alphabet_is_taken(api: Api, user_id: str) -> None:
    answer = await declared(api, user_id=user_id)
    assert answer.status == 200
    assert answer.json()["fields"]["key"].startswith(f"uploads/{user_id}/")
    listed = await api.request("GET", "/images", params={"user_id": user_id})
    assert listed.status == 200


@pytest.mark.parametrize("user_id", [*BAD_USERS, *NO_TEXT], ids=ascii)
async def test_any_other_user_id_is_refused_everywhere(api: Api, user_id: Any) -> None:
    assert (await declared(api, user_id=user_id)).locations() == ["body.user_id"]
    assert (await completed(api, user_id=user_id)).locations() == ["body.user_id"]
    for path in ("/images/delete", "/images/download-urls"):
        answer = await api.request("POST", path, json={"user_id": user_id, "image_ids": [ID]})
        assert answer.locations() == ["body.user_id"]
    edit = await api.request("PATCH", f"/images/{ID}", json={"user_id": user_id, "tags": []})
    assert edit.locations() == ["body.user_id"]
    deletion = await api.request("DELETE", f"/images/{ID}", json={"user_id": user_id})
    assert deletion.locations() == ["body.user_id"]


@pytest.mark.parametrize("user_id", BAD_USERS, ids=ascii)
async def test_a_bad_user_id_in_a_query_is_refused(api: Api, user_id: str) -> None:
    listed = await api.request("GET", "/images", params={"user_id": user_id})
    assert listed.locations() == ["query.user_id"]
    deletion = await api.request("DELETE", f"/images/{ID}", params={"user_id": user_id})
    assert deletion.locations() == ["query.user_id"]


@pytest.mark.parametrize("filename", ["a", "n" * 255, "🏔" * 255])
async def test_a_filename_of_1_to_255_characters_is_taken(api: Api, filename: str) -> None:
    assert (await declared(api, filename=filename)).status == 200
    (await completed(api, filename=filename)).problem(404, "nothing-uploaded")


@pytest.mark.parametrize("filename", ["", "n" * 256, *NO_TEXT], ids=ascii)
async def test_any_other_filename_is_refused(api: Api, filename: Any) -> None:
    assert (await declared(api, filename=filename)).locations() == ["body.filename"]
    assert (await completed(api, filename=filename)).locations() == ["body.filename"]


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "webp", "bmp"])
async def test_the_five_types_are_taken(api: Api, kind: str) -> None:
    assert (await declared(api, content_type=f"image/{kind}")).status == 200


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "image/svg+xml",
        "image/jpg",
        "image/*",
        "image/jpeg; charset=x",
        "text/html",
        "jpeg",
        *NO_TEXT,
    ],
    ids=ascii,
)
async def test_any_other_type_is_refused(api: Api, kind: Any) -> None:
    assert (await declared(api, content_type=kind)).locations() == ["body.content_type"]
    assert (await completed(api, content_type=kind)).locations() == ["body.content_type"]


@pytest.mark.parametrize("size", [1, 2, 10_485_759, 10_485_760])
async def test_a_size_from_1_byte_to_10_mebibytes_is_taken(api: Api, size: int) -> None:
    assert (await declared(api, file_size=size)).status == 200
    (await completed(api, file_size=size)).problem(404, "nothing-uploaded")


@pytest.mark.parametrize(
    "size",
    [0, -1, 10_485_761, 10**30, 1.5, "2048", "", None, True, False, [1], {}],
    ids=ascii,
)
async def test_any_other_size_is_refused(api: Api, size: Any) -> None:
    assert (await declared(api, file_size=size)).locations() == ["body.file_size"]
    assert (await completed(api, file_size=size)).locations() == ["body.file_size"]


@pytest.mark.parametrize("tags", [[], ["t"], ["t" * 50], ["🏔" * 50], ["t"] * 20, ["a b", "Ä/ö"]])
async def test_up_to_20_tags_of_1_to_50_characters_are_taken(api: Api, tags: list[str]) -> None:
    assert (await declared(api, tags=tags)).status == 200
    (await completed(api, tags=tags)).problem(404, "nothing-uploaded")


@pytest.mark.parametrize(
    ("tags", "location"),
    [
        (["t"] * 21, "body.tags"),
        ([""], "body.tags.0"),
        (["ok", "t" * 51], "body.tags.1"),
        (["ok", None], "body.tags.1"),
        ([1], "body.tags.0"),
        ([["a"]], "body.tags.0"),
        ("sea", "body.tags"),
        ({"a": "b"}, "body.tags"),
        (1, "body.tags"),
    ],
    ids=ascii,
)
async def test_any_other_tags_are_refused(api: Api, tags: Any, location: str) -> None:
    assert (await declared(api, tags=tags)).locations() == [location]
    assert (await completed(api, tags=tags)).locations() == [location]
    edit = await api.request("PATCH", f"/images/{ID}", json={"user_id": "a", "tags": tags})
    assert edit.locations() == [location]


@pytest.mark.parametrize("text", ["", "d", "d" * 500, "🏔" * 250, "a\n\tb", None], ids=ascii)
async def test_a_description_of_up_to_500_characters_is_taken(api: Api, text: str | None) -> None:
    assert (await declared(api, description=text)).status == 200
    (await completed(api, description=text)).problem(404, "nothing-uploaded")


@pytest.mark.parametrize("text", ["d" * 501, 1, True, [], {}], ids=ascii)
async def test_any_other_description_is_refused(api: Api, text: Any) -> None:
    assert (await declared(api, description=text)).locations() == ["body.description"]
    assert (await completed(api, description=text)).locations() == ["body.description"]
    edit = await api.request("PATCH", f"/images/{ID}", json={"user_id": "a", "description": text})
    assert edit.locations() == ["body.description"]


@pytest.mark.parametrize("image_id", [*BAD_IDS, *NO_TEXT], ids=ascii)
async def test_an_id_in_a_body_that_is_no_uuid_is_400(api: Api, image_id: Any) -> None:
    assert (await completed(api, image_id=image_id)).locations() == ["body.image_id"]
    for path in ("/images/delete", "/images/download-urls"):
        answer = await api.request("POST", path, json={"user_id": "a", "image_ids": [ID, image_id]})
        assert answer.locations() == ["body.image_ids.1"]


@pytest.mark.parametrize(
    "image_id",
    [
        "x",
        "123",
        ID[:-1],
        ID + "0",
        ID.replace("-", ""),
        "%7B" + ID + "%7D",
        ID + "%0A",
        "%20" + ID,
        "g" + ID[1:],
        ID + "%2F",
        "..%2F" + ID,
        "%00",
        "%FF",
        "%",
    ],
)
async def test_an_id_in_a_path_that_is_no_uuid_is_404(api: Api, image_id: str) -> None:
    path = f"/images/{image_id}"
    (await api.request("GET", path)).problem(404, "image-not-found")
    (await api.request("GET", path + "/download-url")).problem(404, "image-not-found")
    edit = await api.request("PATCH", path, json={"user_id": "a", "tags": []})
    edit.problem(404, "image-not-found")
    deletion = await api.request("DELETE", path, json={"user_id": "a"})
    deletion.problem(404, "image-not-found")


async def test_fields_that_nobody_knows_are_passed_over(api: Api) -> None:
    assert (await declared(api, note="?", checksum=None)).status == 200
    assert (await api.request("GET", "/images", params={"note": "x", "user_id": "a"})).status == 200


BODY_ENDPOINTS = [
    ("POST", "/images/upload-url"),
    ("POST", "/images/complete"),
    ("POST", "/images/download-urls"),
    ("POST", "/images/delete"),
    ("PATCH", f"/images/{ID}"),
]


@pytest.mark.parametrize(("method", "path"), BODY_ENDPOINTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{'user_id': 'a'}",
        b'{"user_id": NaN}',
        b'{"user_id": "a"} trailing',
        b"\xef\xbb\xbf{}",
        b'{"user_id": "\\ud800"}',
        b"[" * 5000,
    ],
)
async def test_a_body_that_is_no_json_object_is_400(
    api: Api, method: str, path: str, body: bytes
) -> None:
    answer = await api.request(
        method, path, data=body, headers={"Content-Type": "application/json"}
    )
    answer.problem(400, "malformed-body")


@pytest.mark.parametrize(("method", "path"), BODY_ENDPOINTS)
async def test_a_body_that_is_no_utf8_is_400(api: Api, method: str, path: str) -> None:
    body = b'{"user_id": "\xff"}'
    headers = {"Content-Type": "application/json"}
    answer = await api.request(method, path, data=body, headers=headers)
    answer.problem(400, "malformed-body")


@pytest.mark.parametrize(("method", "path"), BODY_ENDPOINTS)
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/xml",
        "nonsense",
    ],
)
async def test_a_body_of_another_type_is_415(api: Api, method: str, path: str, kind: str) -> None:
    answer = await api.request(method, path, data=b"{}", headers={"Content-Type": kind})
    answer.problem(415, "unsupported-body")


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "application/json",
        "application/JSON; Charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/merge-patch+json",
    ],
)
async def test_json_by_any_of_its_names_is_read(api: Api, kind: str | None) -> None:
    answer = await api.request(
        "POST",
        "/images/upload-url",
        data=b'{"user_id":"a","filename":"\\u00fc \xc3\xbc","content_type":"image/png",'
        b'"file_size":1}',
        headers={} if kind is None else {"Content-Type": kind},
    )
    assert answer.status == 200


@pytest.mark.parametrize(("method", "path"), BODY_ENDPOINTS)
async def test_a_body_larger_than_any_request_is_413(api: Api, method: str, path: str) -> None:
    answer = await api.request(method, path, json={"user_id": "a", "padding": "x" * 65_536})
    answer.problem(413, "body-too-large")


async def test_the_largest_request_that_makes_sense_is_not_too_large(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image())
    # Every character escaped, as some clients send them.
    answer = await api.complete(
        user,
        ticket["image_id"],
        filename="🏔" * 255,
        tags=["🏔" * 50] * 20,
        description="🏔" * 500,
    )
    assert answer.status == 200
    assert (await api.show(ticket["image_id"]))["tags"] == ["🏔" * 50] * 20
