"""One image: shown, edited, handed out, deleted."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest

from tests.edges.test_uploading import NAMES
from tests.support.api import Api, new_user
from tests.support.real_images import real_image


async def test_an_image_that_is_not_there_is_404(api: Api) -> None:
    path = f"/images/{uuid4()}"
    (await api.request("GET", path)).problem(404, "image-not-found")
    (await api.request("GET", path + "/download-url")).problem(404, "image-not-found")
    edit = await api.request("PATCH", path, json={"user_id": "a", "tags": []})
    edit.problem(404, "image-not-found")
    deletion = await api.request("DELETE", path, json={"user_id": "a"})
    deletion.problem(404, "image-not-found")


async def test_an_image_carries_an_etag_that_answers_304(api: Api) -> None:
    path = f"/images/{await api.upload(new_user())}"
    answer = await api.request("GET", path)
    etag = answer.headers["ETag"]
    assert etag.startswith('"')
    assert etag.endswith('"')
    for fresh in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        kept = await api.request("GET", path, headers={"If-None-Match": fresh})
        assert (kept.status, kept.body, kept.headers["ETag"]) == (304, b"", etag)
    for stale in ('"other"', etag.strip('"'), ""):
        again = await api.request("GET", path, headers={"If-None-Match": stale})
        assert (again.status, again.json()) == (200, answer.json())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tags": ["new", "ä"]}, {"tags": ["new", "ä"]}),
        ({"tags": []}, {"tags": []}),
        ({"tags": None}, {"tags": []}),
        ({"description": "new 🏔\n"}, {"description": "new 🏔\n"}),
        ({"description": None}, {"description": None}),
        ({"description": "d" * 500}, {"description": "d" * 500}),
        ({"tags": ["t" * 50] * 20, "description": ""}, {"tags": ["t" * 50] * 20}),
    ],
)
async def test_an_edit_changes_what_it_names_and_nothing_else(
    api: Api, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    user = new_user()
    image_id = await api.upload(user, tags=["old"], description="old")
    before = await api.request("GET", f"/images/{image_id}")
    answer = await api.request("PATCH", f"/images/{image_id}", json={"user_id": user, **change})
    assert answer.status == 200
    unnamed = {n: v for n, v in before.json().items() if n not in change}
    assert answer.json() == {**before.json(), **change, **expected}
    assert unnamed.items() <= answer.json().items()
    assert answer.headers["ETag"] != before.headers["ETag"]
    after = await api.request("GET", f"/images/{image_id}")
    assert after.json() == answer.json()
    assert after.headers["ETag"] == answer.headers["ETag"]
    assert (await api.ok("GET", "/images", params={"user_id": user}))["images"] == [after.json()]


async def test_a_new_tag_is_found_and_an_old_one_is_not(api: Api) -> None:
    user = new_user()
    image_id = await api.upload(user, tags=["old"])
    await api.ok("PATCH", f"/images/{image_id}", json={"user_id": user, "tags": ["new"]})
    assert await api.ids(user_id=user, tag="new") == [image_id]
    assert await api.ids(user_id=user, tag="old") == []


@pytest.mark.parametrize(
    ("more", "locations"),
    [
        ({}, ["body.tags"]),
        ({"filename": "x"}, ["body.filename"]),
        ({"tags": [], "status": "deleting"}, ["body.status"]),
        ({"tags": [], "image_id": str(uuid4()), "s3_key": "x"}, ["body.image_id", "body.s3_key"]),
    ],
)
async def test_an_edit_of_nothing_or_of_what_cannot_change_is_refused(
    api: Api, more: dict[str, Any], locations: list[str]
) -> None:
    user = new_user()
    image_id = await api.upload(user, tags=["old"])
    answer = await api.request("PATCH", f"/images/{image_id}", json={"user_id": user, **more})
    assert answer.locations() == locations
    assert (await api.show(image_id))["tags"] == ["old"]


async def test_an_edit_can_insist_on_the_state_it_saw(api: Api) -> None:
    user = new_user()
    path = f"/images/{await api.upload(user)}"
    first = (await api.request("GET", path)).headers["ETag"]

    async def edit(tag: str, if_match: str) -> Any:
        return await api.request(
            "PATCH",
            path,
            json={"user_id": user, "tags": [tag]},
            headers={"If-Match": if_match},
        )

    second = await edit("a", first)
    assert second.status == 200
    for stale in (first, f"W/{second.headers['ETag']}", '"other"', "nonsense", ""):
        (await edit("b", stale)).problem(412, "revision-mismatch")
    assert (await api.ok("GET", path))["tags"] == ["a"]
    assert (await edit("c", second.headers["ETag"])).status == 200
    assert (await edit("d", "*")).status == 200
    current = (await api.request("GET", path)).headers["ETag"]
    assert (await edit("e", f'"other", {current}')).status == 200


async def test_if_match_lists_count_as_a_whole(api: Api) -> None:
    user = new_user()
    path = f"/images/{await api.upload(user)}"
    first = (await api.request("GET", path)).headers["ETag"]
    edited = await api.request("PATCH", path, json={"user_id": user, "tags": ["a"]})
    both = f"{first}, {edited.headers['ETag']}"
    answer = await api.request(
        "PATCH", path, json={"user_id": user, "tags": ["b"]}, headers={"If-Match": both}
    )
    assert answer.status == 200


async def test_of_edits_of_one_state_at_once_exactly_one_is_made(api: Api) -> None:
    user = new_user()
    path = f"/images/{await api.upload(user)}"
    etag = (await api.request("GET", path)).headers["ETag"]
    answers = await asyncio.gather(
        *(
            api.request(
                "PATCH",
                path,
                json={"user_id": user, "description": str(n)},
                headers={"If-Match": etag},
            )
            for n in range(6)
        )
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 5


async def test_somebody_elses_image_can_be_neither_edited_nor_deleted(api: Api) -> None:
    image_id = await api.upload(new_user(), tags=["mine"])
    before = await api.show(image_id)
    stranger = new_user()
    edit = await api.request(
        "PATCH", f"/images/{image_id}", json={"user_id": stranger, "tags": ["theirs"]}
    )
    edit.problem(401, "not-the-owner")
    deletion = await api.request("DELETE", f"/images/{image_id}", json={"user_id": stranger})
    deletion.problem(401, "not-the-owner")
    assert "WWW-Authenticate" in deletion.headers
    assert await api.show(image_id) == before


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_download_carries_the_exact_name(api: Api, name: str) -> None:
    image_id = await api.upload(new_user(), filename=name)
    for disposition in ("inline", "attachment"):
        link = await api.ok(
            "GET", f"/images/{image_id}/download-url", params={"disposition": disposition}
        )
        assert link == {
            "image_id": image_id,
            "presigned_url": link["presigned_url"],
            "expires_in": 900,
            "filename": name,
            "content_type": "image/jpeg",
        }
        served = await api.fetch(link["presigned_url"])
        assert served.body == real_image().body
        header = served.headers["Content-Disposition"]
        assert header.isascii()
        assert header.startswith(f'{disposition}; filename="')
        plain, star, exact = header.partition("; filename*=UTF-8''")
        found = unquote(exact) if star else plain.split('"')[1]
        assert found == name


async def test_a_link_is_inline_unless_asked_otherwise_and_kept_by_no_cache(api: Api) -> None:
    image_id = await api.upload(new_user())
    answer = await api.request("GET", f"/images/{image_id}/download-url")
    assert answer.headers["Cache-Control"] == "no-store"
    served = await api.fetch(answer.json()["presigned_url"])
    assert served.headers["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize("disposition", ["", "download", "INLINE", "inline; x=y", "form-data"])
async def test_any_other_disposition_is_refused(api: Api, disposition: str) -> None:
    image_id = await api.upload(new_user())
    answer = await api.request(
        "GET", f"/images/{image_id}/download-url", params={"disposition": disposition}
    )
    assert answer.locations() == ["query.disposition"]


async def test_a_deleted_image_is_gone_with_its_bytes(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image())
    image_id = ticket["image_id"]
    await api.complete(user, image_id)
    link = await api.ok("GET", f"/images/{image_id}/download-url")
    deleted = await api.ok("DELETE", f"/images/{image_id}", json={"user_id": user})
    assert deleted == {
        "image_id": image_id,
        "status": "deleted",
        "message": "Image deleted successfully",
    }
    # 403 where the signer may not list the bucket: S3 then does not tell what is missing.
    assert (await api.fetch(link["presigned_url"])).status in {403, 404}
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/download-url", None),
        ("PATCH", "", {"user_id": user, "tags": []}),
        ("DELETE", "", {"user_id": user}),
    ):
        answer = await api.request(method, f"/images/{image_id}{path}", json=body)
        answer.problem(404, "image-not-found")
    assert await api.ids(user_id=user) == []


async def test_a_late_retry_of_complete_does_not_bring_a_deleted_image_back(api: Api) -> None:
    user = new_user()
    image_id = await api.upload(user)
    await api.ok("DELETE", f"/images/{image_id}", json={"user_id": user})
    assert (await api.complete(user, image_id)).status == 404
    assert await api.ids(user_id=user) == []


async def test_an_owner_can_be_named_in_the_query_too(api: Api) -> None:
    user = new_user()
    first, second, third = [await api.upload(user) for _ in range(3)]
    assert (await api.ok("DELETE", f"/images/{first}", params={"user_id": user}))["status"]
    await api.ok("DELETE", f"/images/{second}", params={"user_id": user}, json={"user_id": user})
    await api.ok("DELETE", f"/images/{third}", params={"user_id": user}, json={})
    assert await api.ids(user_id=user) == []


async def test_a_deletion_by_nobody_or_by_two_is_refused(api: Api) -> None:
    user = new_user()
    image_id = await api.upload(user)
    path = f"/images/{image_id}"
    assert (await api.request("DELETE", path)).locations() == ["body.user_id"]
    assert (await api.request("DELETE", path, json={})).locations() == ["body.user_id"]
    two = await api.request("DELETE", path, params={"user_id": user}, json={"user_id": new_user()})
    assert two.locations() == ["body.user_id"]
    for body in (b"{", b"[]", b"null"):
        answer = await api.request(
            "DELETE",
            path,
            data=body,
            params={"user_id": user},
            headers={"Content-Type": "application/json"},
        )
        answer.problem(400, "malformed-body")
    assert await api.ids(user_id=user) == [image_id]


async def test_of_deletions_at_once_exactly_one_succeeds(api: Api) -> None:
    user = new_user()
    image_id = await api.upload(user)
    answers = await asyncio.gather(
        *(api.request("DELETE", f"/images/{image_id}", json={"user_id": user}) for _ in range(8))
    )
    assert sorted(answer.status for answer in answers) == [200] + [404] * 7


async def test_deleting_while_completing_leaves_all_or_nothing(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image())
    image_id = ticket["image_id"]
    answers = await asyncio.gather(
        *(api.complete(user, image_id) for _ in range(3)),
        *(api.request("DELETE", f"/images/{image_id}", json={"user_id": user}) for _ in range(3)),
    )
    assert {answer.status for answer in answers} <= {200, 404}
    shown = await api.request("GET", f"/images/{image_id}")
    link = await api.request("GET", f"/images/{image_id}/download-url")
    assert shown.status == link.status
    if link.status == 200:
        assert (await api.fetch(link.json()["presigned_url"])).body == real_image().body
