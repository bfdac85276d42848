"""GET /images: what is on a page, in which order, and how to walk on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.api import Api, new_user


def moment(image: Any) -> datetime:
    return datetime.fromisoformat(image["upload_timestamp"])


def exact(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def several(api: Api, user: str, count: int, **more: Any) -> list[Any]:
    """Upload images one after the other; gives their documents, newest first."""
    ids = [await api.upload(user, **more) for _ in range(count)]
    return [await api.show(image_id) for image_id in reversed(ids)]


async def walk(api: Api, **query: Any) -> list[list[Any]]:
    """All pages, each held against its own numbers."""
    pages: list[list[Any]] = []
    token = None
    while True:
        params = query if token is None else {**query, "next_token": token}
        page = await api.ok("GET", "/images", params=params)
        assert set(page) == {"images", "count", "next_token", "has_more"}
        assert page["count"] == len(page["images"])
        assert page["has_more"] is (page["next_token"] is not None)
        pages.append(page["images"])
        token = page["next_token"]
        if token is None:
            return pages


async def test_nothing_is_an_empty_page(api: Api) -> None:
    page = await api.ok("GET", "/images", params={"user_id": new_user()})
    assert page == {"images": [], "count": 0, "next_token": None, "has_more": False}


async def test_newest_first_unless_asked_otherwise(api: Api) -> None:
    user = new_user()
    images = await several(api, user, 3)
    assert await walk(api, user_id=user) == [images]
    assert await walk(api, user_id=user, order="desc") == [images]
    assert await walk(api, user_id=user, order="asc") == [images[::-1]]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_hold_exactly_their_limit_and_every_image_once(
    api: Api, limit: int, order: str
) -> None:
    user = new_user()
    ids = await asyncio.gather(*(api.upload(user) for _ in range(6)))
    pages = await walk(api, user_id=user, limit=limit, order=order)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-6 // limit)
    flat = [image for page in pages for image in page]
    assert sorted(image["image_id"] for image in flat) == sorted(ids)
    positions = [(image["upload_timestamp"], image["image_id"]) for image in flat]
    assert positions == sorted(positions, reverse=order == "desc")


async def test_without_a_user_everyones_images_are_listed_and_paged(api: Api) -> None:
    users = [new_user() for _ in range(3)]
    first = await api.show(await api.upload(users[0]))
    ids = await asyncio.gather(*(api.upload(user) for user in users * 2))
    last = await api.show(await api.upload(users[0]))
    span = {"start_date": first["upload_timestamp"], "end_date": last["upload_timestamp"]}
    assert (await api.ids())[:1] == [last["image_id"]]
    for order in ("desc", "asc"):
        pages = await walk(api, **span, limit=3, order=order)
        assert [len(page) for page in pages] == [3, 3, 2]
        flat = [image["image_id"] for page in pages for image in page]
        assert sorted(flat) == sorted([first["image_id"], *ids, last["image_id"]])
        assert flat[0] == (last if order == "desc" else first)["image_id"]


async def test_a_page_has_50_images_unless_asked_otherwise_and_at_most_100(api: Api) -> None:
    user = new_user()
    for _ in range(4):
        await asyncio.gather(*(api.upload(user) for _ in range(26)))
    assert len((await api.ok("GET", "/images", params={"user_id": user}))["images"]) == 50
    page = await api.ok("GET", "/images", params={"user_id": user, "limit": 100})
    assert (page["count"], page["has_more"]) == (100, True)
    assert [len(page) for page in await walk(api, user_id=user)] == [50, 50, 4]


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "", "x", "1.5", "1e1", " 1", "+1", "٣", "1000000000000", "0x10"]
)
async def test_any_other_limit_is_refused(api: Api, limit: str) -> None:
    assert (await api.request("GET", "/images", params={"limit": limit})).locations() == [
        "query.limit"
    ]


@pytest.mark.parametrize("order", ["", "ASC", "newest", "desc "])
async def test_any_other_order_is_refused(api: Api, order: str) -> None:
    assert (await api.request("GET", "/images", params={"order": order})).locations() == [
        "query.order"
    ]


async def test_a_parameter_given_twice_is_refused(api: Api) -> None:
    answer = await api.request("GET", "/images", params=[("limit", "1"), ("limit", "2")])
    assert answer.locations() == ["query.limit"]


async def test_a_tag_selects_exactly_its_images(api: Api) -> None:
    user = new_user()
    await several(api, user, 2, tags=["seal", "Sea", "sea side"])
    wanted = await several(api, user, 3, tags=["x", "sea"])
    await several(api, user, 2)
    assert await walk(api, user_id=user, tag="sea") == [wanted]
    assert await walk(api, user_id=user, tag="sea", limit=2) == [wanted[:2], wanted[2:]]
    span = {"start_date": wanted[-1]["upload_timestamp"], "end_date": wanted[0]["upload_timestamp"]}
    assert await walk(api, tag="sea", limit=1, **span) == [[image] for image in wanted]
    assert await walk(api, user_id=user, tag="nowhere") == [[]]


async def test_a_tag_may_hold_any_character(api: Api) -> None:
    user, tag = new_user(), "Ä/ö & 🏔 +%"
    image_id = await api.upload(user, tags=[tag])
    assert await api.ids(user_id=user, tag=tag) == [image_id]


@pytest.mark.parametrize("tag", ["", "t" * 51])
async def test_a_tag_that_no_image_can_have_is_refused(api: Api, tag: str) -> None:
    assert (await api.request("GET", "/images", params={"tag": tag})).locations() == ["query.tag"]


async def test_both_ends_of_a_range_are_inclusive_to_the_microsecond(api: Api) -> None:
    user = new_user()
    newest, middle, oldest = await several(api, user, 3)
    ids = [image["image_id"] for image in (newest, middle, oldest)]
    tick = timedelta(microseconds=1)

    async def between(start: datetime | None, end: datetime | None) -> list[str]:
        ends = {"start_date": start, "end_date": end}
        return await api.ids(
            user_id=user, **{name: exact(when) for name, when in ends.items() if when is not None}
        )

    assert await between(moment(oldest), moment(newest)) == ids
    assert await between(moment(oldest) + tick, moment(newest) - tick) == [ids[1]]
    assert await between(moment(middle), moment(middle)) == [ids[1]]
    assert await between(moment(middle), None) == ids[:2]
    assert await between(None, moment(middle)) == ids[1:]
    assert await between(moment(newest) + tick, None) == []
    assert await between(None, moment(oldest) - tick) == []


async def test_an_end_includes_all_of_the_unit_it_is_given_in(api: Api) -> None:
    user = new_user()
    image_id = await api.upload(user)
    when = moment(await api.show(image_id))
    day, minute, second = when.strftime("%Y-%m-%d|%Y-%m-%dT%H:%M|%Y-%m-%dT%H:%M:%S").split("|")
    milli = second + f".{when.microsecond // 1000:03}"
    for unit in (day, minute, second, second + "Z", milli, milli + "Z", exact(when)):
        assert await api.ids(user_id=user, end_date=unit) == [image_id], unit
        assert await api.ids(user_id=user, start_date=unit) == [image_id], unit
        assert await api.ids(user_id=user, start_date=unit, end_date=unit) == [image_id], unit
    for before in (
        (when - timedelta(days=1)).strftime("%Y-%m-%d"),
        (when - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M"),
        (when - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S"),
    ):
        assert await api.ids(user_id=user, end_date=before) == [], before
        assert await api.ids(user_id=user, start_date=before) == [image_id], before


@pytest.mark.parametrize("hours", [-11.5, -5, 2, 5.75, 14])
async def test_a_time_may_carry_an_offset(api: Api, hours: float) -> None:
    user = new_user()
    image_id = await api.upload(user)
    when = moment(await api.show(image_id)).astimezone(timezone(timedelta(hours=hours)))
    assert await api.ids(user_id=user, start_date=when.isoformat()) == [image_id]
    assert await api.ids(user_id=user, end_date=when.isoformat()) == [image_id]
    late = (when + timedelta(microseconds=1)).isoformat()
    assert await api.ids(user_id=user, start_date=late) == []


async def test_a_plus_sign_that_nobody_encoded_is_still_an_offset(api: Api) -> None:
    user = new_user()
    image_id = await api.upload(user)
    when = moment(await api.show(image_id)).astimezone(timezone(timedelta(hours=2))).isoformat()
    answer = await api.request("GET", f"/images?user_id={user}&start_date={when}&end_date={when}")
    assert [image["image_id"] for image in answer.json()["images"]] == [image_id]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026",
        "2026-02",
        "2026-2-3",
        "2026-02-30",
        "2025-02-29",
        "2026-13-01",
        "13.02.2026",
        "2026-02-13T",
        "2026-02-13T25:00",
        "2026-02-13T23:60:00",
        "2026-02-13T10:30:00+25:00",
        "2026-02-13 10:30:00 UTC",
        "1770000000",
        "2026-02-13\n",
        "２０２６-02-13",
    ],
    ids=ascii,
)
async def test_what_is_no_date_is_refused(api: Api, text: str) -> None:
    for name in ("start_date", "end_date"):
        answer = await api.request("GET", "/images", params={name: text})
        assert answer.locations() == [f"query.{name}"]


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "2024-02-29", "2026-02-13t10:30z"])
async def test_unusual_dates_are_dates(api: Api, text: str) -> None:
    for name in ("start_date", "end_date"):
        params = {name: text, "user_id": new_user()}
        assert (await api.request("GET", "/images", params=params)).status == 200


async def test_a_range_that_ends_before_it_starts_is_refused(api: Api) -> None:
    answer = await api.request(
        "GET", "/images", params={"start_date": "2026-02-14", "end_date": "2026-02-13"}
    )
    assert answer.locations() == ["query.end_date"]
    same = {"start_date": "2026-02-13", "end_date": "2026-02-13"}
    assert (await api.request("GET", "/images", params=same)).status == 200


async def test_a_token_belongs_to_its_query(api: Api) -> None:
    user = new_user()
    await several(api, user, 3, tags=["sea"])
    query: dict[str, str] = {"user_id": user, "limit": "1"}
    token = (await api.ok("GET", "/images", params=query))["next_token"]
    assert len(token) <= 64
    await api.ok("GET", "/images", params={**query, "limit": "2", "next_token": token})
    for other in (
        {"user_id": new_user()},
        {"order": "asc"},
        {"tag": "sea"},
        {"start_date": "2020-01-01"},
        {"end_date": "2999-01-01"},
    ):
        answer = await api.request("GET", "/images", params={**query, **other, "next_token": token})
        answer.problem(400, "invalid-next-token")
    everyone = await api.request("GET", "/images", params={"limit": "1", "next_token": token})
    everyone.problem(400, "invalid-next-token")


async def test_a_token_that_was_tampered_with_is_refused(api: Api) -> None:
    user = new_user()
    await several(api, user, 2)
    query = {"user_id": user, "limit": "1"}
    token: str = (await api.ok("GET", "/images", params=query))["next_token"]
    forged = [token[:-1], token[1:], token[:10], token + "A", token + token, "A" * len(token), "x"]
    forged += ["%%%", "ü", token + "\n", " " + token, "{}", "null"]
    for n in range(0, len(token), 5):
        forged.append(token[:n] + ("B" if token[n] != "B" else "C") + token[n + 1 :])
    for each in forged:
        answer = await api.request("GET", "/images", params={**query, "next_token": each})
        answer.problem(400, "invalid-next-token")


@pytest.mark.parametrize("token", ["", "A" * 5000])
async def test_an_empty_or_endless_token_is_refused(api: Api, token: str) -> None:
    answer = await api.request("GET", "/images", params={"next_token": token})
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_token_outlives_the_image_that_it_stands_at(api: Api) -> None:
    user = new_user()
    images = await several(api, user, 4)
    first = await api.ok("GET", "/images", params={"user_id": user, "limit": 2})
    gone = first["images"][1]["image_id"]
    await api.ok("DELETE", f"/images/{gone}", json={"user_id": user})
    rest = await api.ok(
        "GET", "/images", params={"user_id": user, "limit": 2, "next_token": first["next_token"]}
    )
    assert (rest["images"], rest["has_more"]) == (images[2:], False)


async def test_a_deleted_image_is_in_no_list(api: Api) -> None:
    user = new_user()
    newest, oldest = await several(api, user, 2)
    await api.ok("DELETE", f"/images/{newest['image_id']}", json={"user_id": user})
    assert await walk(api, user_id=user) == [[oldest]]
    span = {"start_date": oldest["upload_timestamp"], "end_date": newest["upload_timestamp"]}
    assert await api.ids(**span) == [oldest["image_id"]]


async def test_a_list_is_not_kept_by_caches(api: Api) -> None:
    answer = await api.request("GET", "/images", params={"user_id": new_user()})
    assert answer.headers["Cache-Control"] == "no-store"
