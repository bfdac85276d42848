"""From upload-url to a completed image, as a client sees it."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests.support.api import Api, new_user
from tests.support.real_images import (
    RealImage,
    jpeg_behind_profile,
    real_image,
    real_images,
)

NAMES = [
    "photo.jpg",
    "My holiday photo (1).jpg",
    "Grüße aus Österreich.jpg",
    "日本語の写真.png",
    "🏔️ peak 👨‍👩‍👧.webp",
    "e\u0301 decomposed.jpg",
    'say "cheese".jpg',
    "it's; a=b, c%20d&e?#f.jpg",
    "a/b/../c.jpg",
    "C:\\Users\\me\\photo.jpg",
    "../../etc/passwd",
    "two\nlines\r\nX-Evil: 1.jpg",
    "tab\tand nul\x00.jpg",
    "..",
    ".hidden",
    " ",
    "a",
    "n" * 255,
    "ü" * 255,
    "🏔" * 255,
    "\u202egpj.exe",
]


async def test_an_upload_ticket_has_exactly_the_fields_of_the_contract(api: Api) -> None:
    user, image = new_user(), real_image()
    before = datetime.now(UTC)
    ticket = await api.declare(user, image)
    assert set(ticket) == {
        "image_id",
        "presigned_url",
        "fields",
        "expires_in",
        "s3_key",
        "method",
        "expires_at",
    }
    image_id = ticket["image_id"]
    assert str(UUID(image_id)) == image_id
    assert (ticket["expires_in"], ticket["method"]) == (3600, "POST")
    assert ticket["s3_key"] == f"images/{user}/{image_id}_photo.jpg"
    assert ticket["fields"]["key"] == f"uploads/{user}/{image_id}"
    assert ticket["fields"]["Content-Type"] == "image/jpeg"
    expires = datetime.fromisoformat(ticket["expires_at"])
    assert abs(expires - before - timedelta(hours=1)) < timedelta(minutes=1)


@pytest.mark.parametrize("image", real_images(), ids=lambda image: image.content_type)
async def test_every_format_goes_the_whole_way(api: Api, image: RealImage) -> None:
    user = new_user()
    ticket = await api.stage(user, image, tags=["b", "a"], description="Line 1\nLine 2")
    answer = await api.complete(
        user,
        ticket["image_id"],
        filename=image.filename,
        content_type=image.content_type,
        file_size=image.size,
        tags=["b", "a"],
        description="Line 1\nLine 2",
    )
    assert answer.status == 200
    assert answer.json() == {
        "image_id": ticket["image_id"],
        "status": "completed",
        "message": "Image upload completed successfully",
    }
    shown = await api.show(ticket["image_id"])
    assert datetime.fromisoformat(shown["upload_timestamp"]).tzinfo is not None
    assert len(shown["upload_timestamp"]) == len("2026-02-13T10:30:00.000000Z")
    assert shown == {
        "image_id": ticket["image_id"],
        "user_id": user,
        "filename": image.filename,
        "content_type": image.content_type,
        "file_size": image.size,
        "upload_timestamp": shown["upload_timestamp"],
        "tags": ["b", "a"],
        "description": "Line 1\nLine 2",
        "status": "completed",
        "s3_key": ticket["s3_key"],
        "etag": hashlib.md5(image.body).hexdigest(),
        "width": image.width,
        "height": image.height,
    }
    link = await api.ok("GET", f"/images/{ticket['image_id']}/download-url")
    served = await api.fetch(link["presigned_url"])
    assert (served.status, served.body) == (200, image.body)
    assert served.headers["Content-Type"] == image.content_type


async def test_what_complete_leaves_out_is_taken_from_the_declaration(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image(), tags=["sea"], description="d", filename="ö.jpg")
    assert (await api.complete(user, ticket["image_id"])).status == 200
    shown = await api.show(ticket["image_id"])
    assert (shown["filename"], shown["tags"], shown["description"]) == ("ö.jpg", ["sea"], "d")


async def test_without_tags_and_description_an_image_has_none(api: Api) -> None:
    shown = await api.show(await api.upload(new_user()))
    assert (shown["tags"], shown["description"]) == ([], None)


async def test_what_complete_says_of_tags_and_description_counts(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image(), tags=["old"], description="old")
    await api.complete(user, ticket["image_id"], tags=["new"], description="new")
    shown = await api.show(ticket["image_id"])
    assert (shown["tags"], shown["description"]) == (["new"], "new")


async def test_another_name_at_the_end_is_shown_and_moves_nothing(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image(), filename="first.jpg")
    assert (await api.complete(user, ticket["image_id"], filename="other.jpg")).status == 200
    shown = await api.show(ticket["image_id"])
    assert (shown["filename"], shown["s3_key"]) == ("other.jpg", ticket["s3_key"])


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_name_comes_back_exactly_as_sent_and_never_enters_the_key(
    api: Api, name: str
) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image(), filename=name)
    image_id = ticket["image_id"]
    answer = await api.complete(
        user, image_id, filename=name, content_type="image/jpeg", file_size=real_image().size
    )
    assert answer.status == 200, answer.body
    shown = await api.show(image_id)
    assert shown["filename"] == name
    assert shown["s3_key"] == ticket["s3_key"]
    prefix = f"images/{user}/{image_id}_"
    assert shown["s3_key"].startswith(prefix)
    safe = shown["s3_key"].removeprefix(prefix)
    assert safe
    assert safe.isascii()
    assert safe.replace("_", "a").replace("-", "a").replace(".", "a").isalnum()
    page = await api.ok("GET", "/images", params={"user_id": user})
    assert page["images"] == [shown]


async def test_an_upload_of_exactly_the_largest_size_is_declared(api: Api) -> None:
    ticket = await api.declare(new_user(), real_image(), file_size=10_485_760)
    assert ticket["image_id"]


async def test_a_size_behind_a_long_colour_profile_is_found(api: Api) -> None:
    image = jpeg_behind_profile()
    shown = await api.show(await api.upload(new_user(), image))
    assert (shown["width"], shown["height"]) == (image.width, image.height)


async def test_completing_again_gives_the_same_answer_and_keeps_the_time(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image())
    first = await api.complete(user, ticket["image_id"])
    shown = await api.show(ticket["image_id"])
    again = await api.complete(user, ticket["image_id"], description="late", tags=["late"])
    assert (again.status, again.json()) == (200, first.json())
    assert await api.show(ticket["image_id"]) == shown


async def test_completing_at_once_makes_one_image(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image())
    answers = await asyncio.gather(*(api.complete(user, ticket["image_id"]) for _ in range(8)))
    assert [answer.status for answer in answers] == [200] * 8
    assert len({answer.body for answer in answers}) == 1
    assert await api.ids(user_id=user) == [ticket["image_id"]]


async def test_nothing_uploaded_yet_is_404_and_can_be_completed_later(api: Api) -> None:
    user, image = new_user(), real_image()
    ticket = await api.declare(user, image)
    (await api.complete(user, ticket["image_id"])).problem(404, "nothing-uploaded")
    (await api.request("GET", f"/images/{ticket['image_id']}")).problem(404, "image-not-found")
    await api.post_form(ticket, image.body)
    assert (await api.complete(user, ticket["image_id"])).status == 200


async def test_an_id_that_was_never_given_out_is_404(api: Api) -> None:
    (await api.complete(new_user(), str(uuid4()))).problem(404, "nothing-uploaded")


async def test_an_image_of_somebody_else_cannot_be_completed(api: Api) -> None:
    user = new_user()
    image_id = await api.upload(user)
    before = await api.show(image_id)
    (await api.complete(new_user(), image_id)).problem(409, "image-id-taken")
    assert await api.show(image_id) == before


async def test_somebody_elses_upload_under_way_cannot_be_taken_over(api: Api) -> None:
    user, stranger = new_user(), new_user()
    ticket = await api.stage(user, real_image())
    (await api.complete(stranger, ticket["image_id"])).problem(404, "nothing-uploaded")
    assert (await api.complete(user, ticket["image_id"])).status == 200
    assert (await api.show(ticket["image_id"]))["user_id"] == user


@pytest.mark.parametrize("sent", [real_image("image/png", 65, 48).body, b""], ids=["more", "none"])
async def test_another_size_than_declared_never_becomes_an_image(api: Api, sent: bytes) -> None:
    user, image = new_user(), real_image("image/png")
    assert len(sent) != image.size
    ticket = await api.declare(user, image)
    taken = await api.post_form(ticket, sent) < 300
    answer = await api.complete(user, ticket["image_id"])
    # S3 refuses what the policy does not allow; a store that does not is made up for.
    if taken:
        answer.problem(422, "upload-rejected")
    else:
        answer.problem(404, "nothing-uploaded")
    assert await api.ids(user_id=user) == []


async def test_an_upper_case_id_is_the_same_image(api: Api) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image())
    answer = await api.complete(user, ticket["image_id"].upper())
    assert answer.json()["image_id"] == ticket["image_id"]
    assert await api.show(ticket["image_id"].upper()) == await api.show(ticket["image_id"])


@pytest.mark.parametrize(
    ("body", "declared"),
    [
        (b"plain text, and no image at all", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "image/png"),
        (real_image("image/gif").body, "image/png"),
        (real_image("image/png").body[:20], "image/png"),
    ],
    ids=["text", "script", "another format", "cut short"],
)
async def test_bytes_that_are_not_what_was_declared_are_refused_and_removed(
    api: Api, body: bytes, declared: str
) -> None:
    user = new_user()
    liar = RealImage("a.png", declared, 1, 1, body)
    ticket = await api.stage(user, liar)
    (await api.complete(user, ticket["image_id"])).problem(422, "upload-rejected")
    (await api.complete(user, ticket["image_id"])).problem(404, "nothing-uploaded")
    (await api.request("GET", f"/images/{ticket['image_id']}")).problem(404, "image-not-found")
    assert await api.ids(user_id=user) == []


async def test_after_a_refusal_the_same_form_can_bring_the_right_bytes(api: Api) -> None:
    user, image = new_user(), real_image("image/png")
    ticket = await api.declare(user, image)
    await api.post_form(ticket, b"x" * image.size)
    (await api.complete(user, ticket["image_id"])).problem(422, "upload-rejected")
    await api.post_form(ticket, image.body)
    assert (await api.complete(user, ticket["image_id"])).status == 200


@pytest.mark.parametrize(
    "wrong", [{"file_size": 1}, {"content_type": "image/gif"}], ids=["size", "type"]
)
async def test_a_request_that_contradicts_good_bytes_is_refused_and_the_right_one_follows(
    api: Api, wrong: dict[str, object]
) -> None:
    user = new_user()
    ticket = await api.stage(user, real_image())
    (await api.complete(user, ticket["image_id"], **wrong)).problem(422, "upload-rejected")
    assert await api.ids(user_id=user) == []
    assert (await api.complete(user, ticket["image_id"])).status == 200


async def test_replaying_the_form_changes_nothing_that_is_served(api: Api) -> None:
    user, image = new_user(), real_image("image/png")
    other = real_image("image/png", turned=90)
    ticket = await api.stage(user, image)
    await api.complete(user, ticket["image_id"])
    shown = await api.show(ticket["image_id"])
    # The form is bound to the byte count; a store that enforces it refuses, and that is fine.
    await api.post_form(ticket, other.body)
    await api.post_form(ticket, b"x" * image.size)
    assert (await api.complete(user, ticket["image_id"])).status == 200
    assert await api.show(ticket["image_id"]) == shown
    link = await api.ok("GET", f"/images/{ticket['image_id']}/download-url")
    assert (await api.fetch(link["presigned_url"])).body == image.body


async def test_the_same_idempotency_key_gives_the_same_image(api: Api) -> None:
    user, image = new_user(), real_image()
    key = {"Idempotency-Key": str(uuid4())}
    body = {
        "user_id": user,
        "filename": "a.jpg",
        "content_type": "image/jpeg",
        "file_size": image.size,
    }

    async def image_id(headers: dict[str, str], **different: object) -> str:
        ticket = await api.ok(
            "POST", "/images/upload-url", json={**body, **different}, headers=headers
        )
        made: str = ticket["image_id"]
        return made

    first = await image_id(key)
    assert str(UUID(first)) == first
    assert await image_id(key) == first
    others = {
        await image_id({}),
        await image_id({}),
        await image_id({"Idempotency-Key": str(uuid4())}),
        await image_id(key, user_id=new_user()),
    }
    assert len(others | {first}) == 5


@pytest.mark.parametrize("length", [1, 255])
async def test_an_idempotency_key_of_allowed_length_is_taken(api: Api, length: int) -> None:
    image = real_image()
    answer = await api.request(
        "POST",
        "/images/upload-url",
        json={
            "user_id": "a",
            "filename": "a",
            "content_type": "image/png",
            "file_size": image.size,
        },
        headers={"Idempotency-Key": "k" * length},
    )
    assert answer.status == 200


async def test_an_idempotency_key_that_is_too_long_is_refused(api: Api) -> None:
    answer = await api.request(
        "POST",
        "/images/upload-url",
        json={"user_id": "a", "filename": "a", "content_type": "image/png", "file_size": 1},
        headers={"Idempotency-Key": "k" * 256},
    )
    assert answer.locations() == ["header.Idempotency-Key"]


async def test_a_declaration_too_long_to_travel_is_refused_with_a_way_out(api: Api) -> None:
    alphabet = [chr(0x4E00 + n) for n in range(2000)]
    tags = ["".join(alphabet[50 * n : 50 * n + 50]) for n in range(20)]
    answer = await api.request(
        "POST",
        "/images/upload-url",
        json={
            "user_id": "a",
            "filename": "a.png",
            "content_type": "image/png",
            "file_size": 1,
            "tags": tags,
            "description": "".join(alphabet[1000:1500]),
        },
    )
    problem = answer.problem(400, "declaration-too-long")
    assert "/images/complete" in problem["detail"]
    user = new_user()
    ticket = await api.stage(user, real_image())
    assert (await api.complete(user, ticket["image_id"], tags=tags)).status == 200
    assert (await api.show(ticket["image_id"]))["tags"] == tags


async def test_the_longest_plain_declaration_travels(api: Api) -> None:
    user = new_user()
    said = {"tags": ["t" * 50] * 20, "description": "d" * 500, "filename": "n" * 255}
    image_id = await api.upload(user, real_image(), **said)
    shown = await api.show(image_id)
    assert {name: shown[name] for name in said} == said
