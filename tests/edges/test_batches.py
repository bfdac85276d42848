"""The two batch calls: an answer for each id, in order, nothing skipped."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.support.api import Answer, Api, new_user
from tests.support.real_images import real_image

PATHS = ["/images/download-urls", "/images/delete"]


def expect_problem(answer: Answer, item: Any, status: int, slug: str, image_id: str) -> None:
    assert item["image_id"] == image_id
    assert (item["status"], item["type"]) == (status, f"urn:mont:problem:{slug}")
    assert item["title"]
    assert item["detail"]
    assert item["instance"] == answer.headers["X-Request-Id"]


async def test_links_come_in_the_order_asked_for_and_work(api: Api) -> None:
    user = new_user()
    ids = [await api.upload(user, filename=f"{n} ü.jpg") for n in range(3)]
    body = {"user_id": user, "image_ids": ids[::-1]}
    answer = await api.request("POST", "/images/download-urls", json=body)
    document = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(document) == {"results", "count"}
    assert document["count"] == 3
    for image_id, item in zip(ids[::-1], document["results"], strict=True):
        single = await api.ok("GET", f"/images/{image_id}/download-url")
        assert item == {**single, "presigned_url": item["presigned_url"]}
        assert (await api.fetch(item["presigned_url"])).body == real_image().body


async def test_each_id_has_its_own_outcome_in_a_batch_of_links(api: Api) -> None:
    user = new_user()
    mine, theirs, missing = await api.upload(user), await api.upload(new_user()), str(uuid4())
    gone = await api.upload(user)
    await api.ok("DELETE", f"/images/{gone}", json={"user_id": user})
    asked = [missing, mine, theirs, gone, mine.upper()]
    answer = await api.request(
        "POST", "/images/download-urls", json={"user_id": user, "image_ids": asked}
    )
    assert answer.status == 200
    results = answer.json()["results"]
    assert answer.json()["count"] == 5
    expect_problem(answer, results[0], 404, "image-not-found", missing)
    assert results[1]["presigned_url"]
    expect_problem(answer, results[2], 401, "not-the-owner", theirs)
    expect_problem(answer, results[3], 404, "image-not-found", gone)
    assert (results[4]["image_id"], bool(results[4]["presigned_url"])) == (mine, True)


async def test_each_id_has_its_own_outcome_in_a_batch_of_deletions(api: Api) -> None:
    user = new_user()
    first, second, kept = [await api.upload(user) for _ in range(3)]
    theirs, missing = await api.upload(new_user()), str(uuid4())
    answer = await api.request(
        "POST",
        "/images/delete",
        json={"user_id": user, "image_ids": [first, theirs, missing, second]},
    )
    assert answer.status == 200
    results = answer.json()["results"]
    for item, image_id in ((results[0], first), (results[3], second)):
        assert item == {
            "image_id": image_id,
            "status": "deleted",
            "message": "Image deleted successfully",
        }
    expect_problem(answer, results[1], 401, "not-the-owner", theirs)
    expect_problem(answer, results[2], 404, "image-not-found", missing)
    assert await api.ids(user_id=user) == [kept]
    assert (await api.show(theirs))["status"] == "completed"


async def test_an_id_that_is_named_twice_is_deleted_once(api: Api) -> None:
    user = new_user()
    image_id = await api.upload(user)
    document = await api.ok(
        "POST", "/images/delete", json={"user_id": user, "image_ids": [image_id] * 3}
    )
    outcomes = [item["status"] for item in document["results"]]
    assert sorted(outcomes, key=str) == [404, 404, "deleted"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_batch_holds_1_to_100_ids(api: Api, path: str) -> None:
    user = new_user()
    hundred = [str(uuid4()) for _ in range(100)]
    document = await api.ok("POST", path, json={"user_id": user, "image_ids": hundred})
    assert document["count"] == 100
    assert [item["image_id"] for item in document["results"]] == hundred
    assert {item["status"] for item in document["results"]} == {404}
    for wrong in ([], [*hundred, str(uuid4())]):
        answer = await api.request("POST", path, json={"user_id": user, "image_ids": wrong})
        assert answer.locations() == ["body.image_ids"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("ids", [None, "x", {}, 1], ids=ascii)
async def test_a_batch_of_anything_else_is_refused(api: Api, path: str, ids: Any) -> None:
    answer = await api.request("POST", path, json={"user_id": "a", "image_ids": ids})
    assert answer.locations() == ["body.image_ids"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_batch_needs_both_fields(api: Api, path: str) -> None:
    answer = await api.request("POST", path, json={})
    assert answer.locations() == ["body.image_ids", "body.user_id"]


async def test_of_batches_at_once_each_image_is_deleted_by_exactly_one(api: Api) -> None:
    user = new_user()
    ids = await asyncio.gather(*(api.upload(user) for _ in range(12)))
    documents = await asyncio.gather(
        *(
            api.ok("POST", "/images/delete", json={"user_id": user, "image_ids": ids})
            for _ in range(3)
        )
    )
    for outcomes in zip(*(document["results"] for document in documents), strict=True):
        assert sorted((item["status"] for item in outcomes), key=str) == [404, 404, "deleted"]
    assert await api.ids(user_id=user) == []
