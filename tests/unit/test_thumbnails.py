"""Thumbnail links carry the signatures that imgproxy checks, and their secrets nowhere else."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from service.settings import Settings, SettingsInvalid, load_settings
from service.thumbnails import Thumbnails, signature
from service.wiring import thumbnails_of
from tests.support.makers import World, an_api, an_image, document_of

# The worked example of imgproxy's documentation: key "secret", salt "hello".
EXAMPLE = "/rs:fill:300:400:0/g:sm/aHR0cDovL2V4YW1w/bGUuY29tL2ltYWdl/cy9jdXJpb3NpdHku/anBn.png"
SIGNED = "oKfUtW34Dvo2BGQehJFR4Nr0_rIjOtdtzJ3QFsUcXH8"
KEY, SALT = "943b421c9eb07c830af81030552c8600", "520f986b998545b4785e0defbc4f3c12"
IMGPROXY = {"IMGPROXY_URL": "https://img.example", "IMGPROXY_KEY": KEY, "IMGPROXY_SALT": SALT}
SETTINGS: dict[str, Any] = {name.lower(): value for name, value in IMGPROXY.items()}


def test_a_signature_is_the_one_of_imgproxys_documentation() -> None:
    assert signature(b"secret", b"hello", EXAMPLE) == SIGNED


def test_a_link_names_the_object_and_is_signed_as_a_whole() -> None:
    link = Thumbnails("https://img.example/t", "photos", b"secret", b"hello").link(
        "images/a/1_b.jpg"
    )
    base, signed, options, source = link.rsplit("/", 3)
    assert base == "https://img.example/t"
    assert options == "rs:fit:480:480"
    assert signed == signature(b"secret", b"hello", f"/{options}/{source}")
    padded = source + "=" * (-len(source) % 4)
    assert base64.urlsafe_b64decode(padded) == b"s3://photos/images/a/1_b.jpg"
    assert "=" not in link


async def test_every_image_that_the_api_shows_has_its_thumbnail() -> None:
    world = World()
    image = an_image()
    await world.records.create(image)
    api = an_api(world, **SETTINGS)
    expected = Thumbnails(
        "https://img.example", Settings().s3_bucket_name, bytes.fromhex(KEY), bytes.fromhex(SALT)
    ).link(image.s3_key)
    listed = document_of(await api("GET", "/images"))["images"]
    shown = document_of(await api("GET", f"/images/{image.image_id}"))
    body = {"user_id": image.user_id, "description": "Noon"}
    edited = document_of(await api("PATCH", f"/images/{image.image_id}", body))
    assert [each["thumbnail_url"] for each in (*listed, shown, edited)] == [expected] * 3


async def test_without_imgproxy_no_thumbnail_is_promised() -> None:
    world = World()
    await world.records.create(an_image())
    api = an_api(world)
    (listed,) = document_of(await api("GET", "/images"))["images"]
    assert "thumbnail_url" not in listed
    assert "thumbnail_url" not in document_of(await api("GET", f"/images/{listed['image_id']}"))


async def test_the_api_document_says_that_thumbnails_are_optional() -> None:
    document = document_of(await an_api(**SETTINGS)("GET", "/openapi.json"))
    image = document["components"]["schemas"]["Image"]
    assert image["properties"]["thumbnail_url"]["format"] == "uri"
    assert "thumbnail_url" not in image["required"]


def test_the_three_settings_make_thumbnails() -> None:
    thumbnails = thumbnails_of(load_settings({**IMGPROXY, "S3_BUCKET_NAME": "photos"}))
    assert thumbnails == Thumbnails(
        "https://img.example", "photos", bytes.fromhex(KEY), bytes.fromhex(SALT)
    )
    assert thumbnails_of(Settings()) is None


@pytest.mark.parametrize("absent", sorted(IMGPROXY))
def test_the_settings_of_imgproxy_are_given_together_or_not_at_all(absent: str) -> None:
    with pytest.raises(SettingsInvalid) as failure:
        load_settings({name: value for name, value in IMGPROXY.items() if name != absent})
    (problem,) = failure.value.problems
    assert absent in problem


@pytest.mark.parametrize("name", ["IMGPROXY_KEY", "IMGPROXY_SALT"])
@pytest.mark.parametrize("value", ["top-secret", "abc", "0x12"])
def test_a_key_that_is_not_hexadecimal_is_refused_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid) as failure:
        load_settings({**IMGPROXY, name: value})
    assert name in str(failure.value)
    assert value not in str(failure.value)


def test_no_secret_is_shown_with_what_holds_it() -> None:
    settings = load_settings({**IMGPROXY, "CURSOR_SECRET": "s3cr3t"})
    shown = f"{settings!r} {thumbnails_of(settings)!r}"
    for secret in (KEY, SALT, "s3cr3t", repr(bytes.fromhex(KEY))):
        assert secret not in shown
