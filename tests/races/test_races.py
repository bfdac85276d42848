"""What happens at once ends as if it had happened one after the other, in some order.

Each race is run many times, several at a time, through a real server on stores that answer over
HTTP, so that steps interleave as they like; at the end both stores are audited.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from service.settings import Settings
from service.storage.clients import open_admin_clients
from tests.support.api import Answer, Api, new_user
from tests.support.consistency import contents_of, violations
from tests.support.effort import ROUNDS
from tests.support.real_images import RealImage, real_image

Race = Callable[[Api], Awaitable[tuple[object, ...]]]

ONE, OTHER = real_image("image/png"), real_image("image/png", 64, 48, 180)
AT_ONCE = 8


async def audited(settings: Settings) -> list[str]:
    async with open_admin_clients(settings) as clients:
        contents = await contents_of(clients, settings)
    return violations(contents)


@pytest.fixture(scope="module", autouse=True)
def audit(arena: Settings) -> Iterator[None]:
    """Whatever raced, the stores agree afterwards."""
    yield
    assert asyncio.run(audited(arena)) == []


async def outcomes(api: Api, race: Race, times: int = 10) -> Counter[tuple[object, ...]]:
    """How often a race ended how."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def once() -> tuple[object, ...]:
        async with turns:
            return await race(api)

    return Counter(await asyncio.gather(*(once() for _ in range(times * ROUNDS))))


def statuses(*answers: Answer) -> tuple[int, ...]:
    for answer in answers:
        assert answer.status < 500, answer.body
    return tuple(answer.status for answer in answers)


def like(image: RealImage, other: RealImage) -> RealImage:
    """Other bytes with the same length: the form is good for both."""
    longest = max(image.size, other.size)
    return RealImage(
        image.filename, image.content_type, image.width, image.height, image.body.ljust(longest)
    )


async def served(api: Api, image_id: str) -> bytes:
    link = await api.ok("GET", f"/images/{image_id}/download-url")
    answer = await api.fetch(link["presigned_url"])
    assert answer.status == 200
    return answer.body


async def test_two_completes_make_one_image(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        ticket = await api.stage(user, ONE)
        image_id = ticket["image_id"]
        answers = await asyncio.gather(*(api.complete(user, image_id) for _ in range(2)))
        assert await api.ids(user_id=user) == [image_id]
        assert await served(api, image_id) == ONE.body
        return statuses(*answers)

    assert set(await outcomes(api, race)) == {(200, 200)}


async def test_a_complete_and_a_delete_leave_all_or_nothing(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        ticket = await api.stage(user, ONE)
        image_id = ticket["image_id"]
        completing = asyncio.create_task(api.complete(user, image_id))
        while True:  # there is nothing to delete at first: whatever there is later goes at once
            deleted = await api.request("DELETE", f"/images/{image_id}", json={"user_id": user})
            if deleted.status != 404 or completing.done():
                break
        completed = await completing
        shown = await api.request("GET", f"/images/{image_id}")
        if shown.status == 200:
            assert await served(api, image_id) == ONE.body
        assert await api.ids(user_id=user) == [image_id] * (shown.status == 200)
        return statuses(completed, deleted, shown)

    # The last delete came before there was an image, or after; the complete may find it gone.
    assert set(await outcomes(api, race)) <= {(200, 404, 200), (200, 200, 404), (404, 200, 404)}


async def test_completing_again_and_deleting_bring_nothing_back(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        image_id = await api.upload(user, ONE)
        deleting = api.request("DELETE", f"/images/{image_id}", json={"user_id": user})
        deleted, *again = await asyncio.gather(
            deleting, *(api.complete(user, image_id) for _ in range(2))
        )
        assert {answer.status for answer in again} <= {200, 404}
        shown = await api.request("GET", f"/images/{image_id}")
        return statuses(deleted, shown)

    assert set(await outcomes(api, race)) == {(200, 404)}


async def test_of_two_deletes_one_succeeds(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        path = f"/images/{await api.upload(user, ONE)}"
        answers = await asyncio.gather(
            *(api.request("DELETE", path, json={"user_id": user}) for _ in range(3))
        )
        return tuple(sorted(statuses(*answers)))

    assert set(await outcomes(api, race)) == {(200, 404, 404)}


async def test_a_link_is_to_an_image_or_there_is_none(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        path = f"/images/{await api.upload(user, ONE)}"
        deleted, link = await asyncio.gather(
            api.request("DELETE", path, json={"user_id": user}),
            api.request("GET", f"{path}/download-url"),
        )
        if link.status == 200:
            # Handed out before the deletion, it may lead nowhere by now, but never elsewhere.
            fetched = await api.fetch(link.json()["presigned_url"])
            assert fetched.status in {403, 404} or fetched.body == ONE.body
        later = await api.request("GET", f"{path}/download-url")
        return statuses(deleted, link, later)

    assert set(await outcomes(api, race)) <= {(200, 200, 404), (200, 404, 404)}


async def test_of_edits_of_one_state_exactly_one_wins(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        path = f"/images/{await api.upload(user, ONE)}"
        tag = (await api.request("GET", path)).headers["ETag"]
        answers = await asyncio.gather(
            *(
                api.request(
                    "PATCH",
                    path,
                    json={"user_id": user, "description": str(number)},
                    headers={"If-Match": tag},
                )
                for number in range(3)
            )
        )
        (winner,) = [number for number, each in enumerate(answers) if each.status == 200]
        shown = await api.request("GET", path)
        assert shown.json()["description"] == str(winner)
        assert shown.headers["ETag"] == answers[winner].headers["ETag"] != tag
        return tuple(sorted(statuses(*answers)))

    assert set(await outcomes(api, race)) == {(200, 412, 412)}


async def test_edits_without_a_condition_are_all_made(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        path = f"/images/{await api.upload(user, ONE)}"
        tags, description = await asyncio.gather(
            api.request("PATCH", path, json={"user_id": user, "tags": ["x"]}),
            api.request("PATCH", path, json={"user_id": user, "description": "y"}),
        )
        shown = (await api.request("GET", path)).json()
        assert (shown["tags"], shown["description"]) == (["x"], "y")
        return statuses(tags, description)

    assert set(await outcomes(api, race)) == {(200, 200)}


async def test_a_form_sent_again_changes_nothing_that_is_served(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user, image = new_user(), like(ONE, OTHER)
        ticket = await api.stage(user, image)
        image_id = ticket["image_id"]
        completed, again = await asyncio.gather(
            api.complete(user, image_id), api.post_form(ticket, like(OTHER, ONE).body)
        )
        assert again < 300
        first = await served(api, image_id)
        assert first in {image.body, like(OTHER, ONE).body}
        # Now that it is completed, no form moves it any more.
        for body in (image.body, like(OTHER, ONE).body):
            assert await api.post_form(ticket, body) < 300
            assert (await api.complete(user, image_id)).status == 200
            assert await served(api, image_id) == first
        return statuses(completed)

    assert set(await outcomes(api, race, 8)) == {(200,)}


async def test_one_idempotency_key_is_one_image_however_often_it_comes(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        body = {
            "user_id": user,
            "filename": ONE.filename,
            "content_type": ONE.content_type,
            "file_size": ONE.size,
        }
        answers = await asyncio.gather(
            *(
                api.request(
                    "POST", "/images/upload-url", json=body, headers={"Idempotency-Key": "k"}
                )
                for _ in range(4)
            )
        )
        tickets = [answer.json() for answer in answers]
        (image_id,) = {ticket["image_id"] for ticket in tickets}
        await asyncio.gather(*(api.post_form(ticket, ONE.body) for ticket in tickets))
        completed = await asyncio.gather(*(api.complete(user, image_id) for _ in tickets))
        assert await api.ids(user_id=user) == [image_id]
        return statuses(*answers, *completed)

    assert set(await outcomes(api, race, 8)) == {(200,) * 8}


async def test_batches_that_overlap_delete_each_image_once(api: Api) -> None:
    async def race(api: Api) -> tuple[object, ...]:
        user = new_user()
        image_ids = [await api.upload(user, ONE) for _ in range(2)]
        batches = await asyncio.gather(
            *(
                api.ok("POST", "/images/delete", json={"user_id": user, "image_ids": ids})
                for ids in (image_ids, image_ids[::-1])
            )
        )
        results = [result for batch in batches for result in batch["results"]]
        deleted = [each["image_id"] for each in results if each["status"] == "deleted"]
        assert await api.ids(user_id=user) == []
        return (sorted(deleted) == sorted(image_ids),)

    assert set(await outcomes(api, race, 6)) == {(True,)}
