"""One call of every endpoint that asks the stores, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.support.api import Answer, HttpApi, new_user
from tests.support.real_images import real_image


@dataclass(frozen=True)
class Prepared:
    """A call, and what has to hold when it has succeeded, however often it was made."""

    make: Callable[[], Awaitable[Answer]]
    succeeded: Callable[[Answer], Awaitable[None]]


Preparation = Callable[[HttpApi], Awaitable[Prepared]]


async def _nothing_else(answer: Answer) -> None:
    assert answer.status == 200, answer.body


def _reading(path: str, **params: str) -> Preparation:
    async def prepare(api: HttpApi) -> Prepared:
        user = new_user()
        image_id = await api.upload(user)
        filled = {name: user if value == "USER" else value for name, value in params.items()}

        async def make() -> Answer:
            return await api.request("GET", path.replace("ID", image_id), params=filled)

        async def succeeded(answer: Answer) -> None:
            assert answer.status == 200, answer.body
            if path == "/images" and params:
                assert [image["image_id"] for image in answer.json()["images"]] == [image_id]

        return Prepared(make, succeeded)

    return prepare


async def completing(api: HttpApi) -> Prepared:
    """Complete an upload: listed once, with the bytes that were sent."""
    user, image = new_user(), real_image()
    ticket = await api.stage(user, image)
    image_id = ticket["image_id"]

    async def succeeded(answer: Answer) -> None:
        assert answer.status == 200, answer.body
        assert await api.ids(user_id=user) == [image_id]
        link = await api.ok("GET", f"/images/{image_id}/download-url")
        assert (await api.fetch(link["presigned_url"])).body == image.body

    return Prepared(lambda: api.complete(user, image_id), succeeded)


async def editing(api: HttpApi) -> Prepared:
    """Edit an image: it has the new tags."""
    user = new_user()
    image_id = await api.upload(user, tags=["old"])

    async def make() -> Answer:
        body = {"user_id": user, "tags": ["new"]}
        return await api.request("PATCH", f"/images/{image_id}", json=body)

    async def succeeded(answer: Answer) -> None:
        assert answer.status == 200, answer.body
        assert (await api.show(image_id))["tags"] == ["new"]

    return Prepared(make, succeeded)


async def deleting(api: HttpApi) -> Prepared:
    """Delete an image: neither it nor its bytes are there any more, and the other one is."""
    user = new_user()
    image_id, other = await api.upload(user), await api.upload(user)
    link = await api.ok("GET", f"/images/{image_id}/download-url")

    async def make() -> Answer:
        return await api.request("DELETE", f"/images/{image_id}", json={"user_id": user})

    async def succeeded(answer: Answer) -> None:
        assert answer.status in {200, 404}, answer.body
        assert await api.ids(user_id=user) == [other]
        # The embedded store tells a link to nothing with either.
        assert (await api.fetch(link["presigned_url"])).status in {403, 404}

    return Prepared(make, succeeded)


async def linking_many(api: HttpApi) -> Prepared:
    """Ask for several links at once."""
    user = new_user()
    ids = [await api.upload(user) for _ in range(3)]

    async def make() -> Answer:
        body = {"user_id": user, "image_ids": ids}
        return await api.request("POST", "/images/download-urls", json=body)

    async def succeeded(answer: Answer) -> None:
        assert [each["image_id"] for each in answer.json()["results"]] == ids
        assert all("presigned_url" in each for each in answer.json()["results"])

    return Prepared(make, succeeded)


async def deleting_many(api: HttpApi) -> Prepared:
    """Delete several at once: none is there any more."""
    user = new_user()
    ids = [await api.upload(user) for _ in range(3)]

    async def make() -> Answer:
        body = {"user_id": user, "image_ids": ids}
        return await api.request("POST", "/images/delete", json=body)

    async def succeeded(answer: Answer) -> None:
        assert answer.status == 200, answer.body
        for each in answer.json()["results"]:
            assert each["status"] in {"deleted", 404}, each
        assert await api.ids(user_id=user) == []

    return Prepared(make, succeeded)


CALLS: dict[str, Preparation] = {
    "ready": _reading("/readyz"),
    "list of a user": _reading("/images", user_id="USER"),
    "list of all": _reading("/images"),
    "show": _reading("/images/ID"),
    "link": _reading("/images/ID/download-url"),
    "complete": completing,
    "edit": editing,
    "delete": deleting,
    "many links": linking_many,
    "many deletions": deleting_many,
}
