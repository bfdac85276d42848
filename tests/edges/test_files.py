"""What becomes of files that are not what they seem, and how those that are get served.

Through both doors that this machine has, with bytes that really go to the store.
"""

from __future__ import annotations

import asyncio
import io
import re
import struct
import zlib
from functools import cache
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.imageformat import HEAD_BYTES
from service.settings import Settings
from service.storage.clients import open_clients
from service.storage.s3 import S3ImageObjects
from tests.edges.conftest import open_door
from tests.support.api import Answer, Api, HttpApi, new_user
from tests.support.effort import searching
from tests.support.gateway import BridgeApi
from tests.support.real_images import FORMATS, RealImage, real_image
from tests.support.stores import held_open

HTML = b"<!doctype html><html><body><script>alert(document.domain)</script></body></html>"
PAYLOADS = {
    "html": HTML,
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "script": b"#!/bin/sh\nrm -rf /\n",
    "javascript": b"/*\xff\xd8\xff*/=1;alert(1)//",
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0" + b"\0" * 60 + b"PK\x05\x06" + b"\0" * 18,
    "pdf": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n",
    "elf": b"\x7fELF\x02\x01\x01" + b"\0" * 60,
    "exe": b"MZ\x90\0" + b"\0" * 60,
    "xml": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
}
SIGNATURES = {
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x90\0\0\0WEBPVP8 ",
    "image/bmp": b"BM\x90\0\0\0",
}


@pytest.fixture(params=["aiohttp", "bridge"])
def api(request: pytest.FixtureRequest, browser: aiohttp.ClientSession) -> Api:
    """The doors on this machine: what is served comes from the store, past every gateway."""
    if request.param == "bridge":
        return BridgeApi(browser, request.getfixturevalue("functions"))
    return HttpApi(browser, request.getfixturevalue("door"))


def called(content_type: str, body: bytes) -> RealImage:
    """Bytes that somebody calls an image of this type."""
    return RealImage(f"photo.{FORMATS[content_type][1]}", content_type, 1, 1, body)


async def objects_of(api: Api, stores: Settings, user: str) -> list[str]:
    """The keys of a user's objects, as the emulated store tells anybody."""
    found: list[str] = []
    for prefix in ("uploads", "images"):
        bucket = f"{stores.aws_endpoint_url}/{stores.s3_bucket_name}"
        listed = await api.fetch(f"{bucket}?list-type=2&prefix={prefix}/{user}/")
        assert listed.status == 200
        found += re.findall("<Key>(.*?)</Key>", listed.body.decode())
    return found


async def refused(api: Api, stores: Settings, file: RealImage) -> str:
    """Why a file was refused, once that left nothing behind."""
    user = new_user()
    ticket = await api.stage(user, file)
    assert await objects_of(api, stores, user) == [ticket["fields"]["key"]]
    problem = (await api.complete(user, ticket["image_id"])).problem(422, "upload-rejected")
    assert await objects_of(api, stores, user) == []
    assert await api.ids(user_id=user) == []
    detail: str = problem["detail"]
    return detail


async def all_refused(api: Api, stores: Settings, content_type: str, *bodies: bytes) -> list[str]:
    files = [called(content_type, body) for body in bodies]
    return await asyncio.gather(*(refused(api, stores, file) for file in files))


@pytest.mark.parametrize("content_type", FORMATS)
async def test_what_is_no_image_is_none_whatever_it_is_called(
    api: Api, stores: Settings, content_type: str
) -> None:
    for detail in await all_refused(api, stores, content_type, *PAYLOADS.values()):
        assert "no image" in detail


@pytest.mark.parametrize("content_type", FORMATS)
async def test_the_first_bytes_of_an_image_do_not_make_one(
    api: Api, stores: Settings, content_type: str
) -> None:
    bodies = [SIGNATURES[content_type] + payload * 3 for payload in PAYLOADS.values()]
    for detail in await all_refused(api, stores, content_type, *bodies):
        assert "no image" in detail


@pytest.mark.parametrize("content_type", FORMATS)
async def test_a_cut_image_is_none(api: Api, stores: Settings, content_type: str) -> None:
    whole = real_image(content_type).body
    ends = (1, 10, len(whole) // 2, len(whole) * 9 // 10, len(whole) - 1)
    details = await all_refused(api, stores, content_type, *(whole[:end] for end in ends))
    assert len(details) == 5


@pytest.mark.parametrize("content_type", FORMATS)
async def test_a_large_image_whose_end_is_missing_is_none(
    api: Api, stores: Settings, content_type: str
) -> None:
    whole = noise(content_type)
    ends = (HEAD_BYTES + 1, len(whole) // 2, len(whole) - 1_000)
    bodies = [whole[:end] for end in ends]
    # A picture that goes on as something else, too far behind for anybody to look at.
    bodies.append(whole[: HEAD_BYTES + 20_000] + HTML * 1_000)
    assert len(await all_refused(api, stores, content_type, *bodies)) == 4
    user = new_user()
    assert (await api.complete(user, await staged(api, user, content_type, whole))).status == 200


@cache
def noise(content_type: str) -> bytes:
    """A picture that is longer than what is read of its beginning."""
    made = io.BytesIO()
    picture = Image.effect_noise((700, 700), 80)
    quality = {"quality": 100} if content_type != "image/webp" else {"lossless": True, "method": 0}
    picture.save(made, FORMATS[content_type][0], **quality)
    assert len(made.getvalue()) > 2 * HEAD_BYTES
    return made.getvalue()


async def staged(api: Api, user: str, content_type: str, body: bytes) -> str:
    image_id: str = (await api.stage(user, called(content_type, body)))["image_id"]
    return image_id


async def test_a_later_frame_cannot_be_larger_than_the_picture(api: Api, stores: Settings) -> None:
    frame = b"\x2c\0\0\0\0%b\0\x02\x02\x44\x01\0"
    head = b"GIF89a" + struct.pack("<HH", 10, 10) + b"\x80\0\0" + bytes(6)
    small, large = (frame % struct.pack("<HH", side, side) for side in (10, 65_535))
    (detail,) = await all_refused(api, stores, "image/gif", head + small + large + b";")
    assert "65535 x 65535" in detail


@pytest.mark.parametrize("said", FORMATS)
async def test_an_image_of_another_type_than_declared_is_refused(
    api: Api, stores: Settings, said: str
) -> None:
    others = [each for each in FORMATS if each != said]
    details = await all_refused(api, stores, said, *(real_image(each).body for each in others))
    for meant, detail in zip(others, details, strict=True):
        assert detail == f"{said} was declared, but the bytes are {meant}."


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def huge_png(width: int, height: int) -> bytes:
    """A sound PNG of few bytes, all of one colour, that unpacks to `width` times `height`."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    body = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def resized(content_type: str, width: int, height: int) -> bytes:
    """A small image that says it is a huge one."""
    body = bytearray(real_image(content_type, 61, 47).body)
    if content_type == "image/jpeg":
        position = body.index(b"\xff\xc0") + 5
        body[position : position + 4] = struct.pack(">HH", height, width)
    elif content_type == "image/gif":
        body[6:10] = struct.pack("<HH", width, height)
    elif content_type == "image/webp":
        position = body.index(b"\x9d\x01\x2a") + 3
        body[position : position + 4] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    return bytes(body)


BOMBS = {
    "png": ("image/png", lambda: huge_png(40_000, 2_501)),
    "jpeg": ("image/jpeg", lambda: resized("image/jpeg", 60_000, 60_000)),
    "gif": ("image/gif", lambda: resized("image/gif", 65_535, 65_535)),
    "webp": ("image/webp", lambda: resized("image/webp", 16_383, 16_383)),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_few_bytes_that_unpack_to_too_many_pixels_are_refused(
    api: Api, stores: Settings, bomb: str
) -> None:
    content_type, body = BOMBS[bomb][0], BOMBS[bomb][1]()
    assert len(body) < 200_000
    assert "pixels" in await refused(api, stores, called(content_type, body))


async def test_as_many_pixels_as_are_allowed_are_taken(api: Api) -> None:
    user = new_user()
    shown = await api.show(await api.upload(user, called("image/png", huge_png(40_000, 2_500))))
    assert shown["width"] * shown["height"] == 100_000_000


# --- What is served -------------------------------------------------------------------------------


def polyglot(content_type: str) -> bytes:
    """A sound image that carries a page."""
    body = real_image(content_type).body
    if content_type == "image/jpeg":
        return body[:2] + b"\xff\xfe" + struct.pack(">H", len(HTML) + 2) + HTML + body[2:]
    if content_type == "image/png":
        end = body.index(b"IDAT") - 4
        return body[:end] + chunk(b"tEXt", b"Comment\0" + HTML) + body[end:]
    return body + HTML


@pytest.mark.parametrize("content_type", FORMATS)
@pytest.mark.parametrize("disposition", ["inline", "attachment"])
async def test_an_image_that_carries_a_page_is_served_as_an_image_and_nothing_else(
    api: Api, stores: Settings, content_type: str, disposition: str
) -> None:
    user = new_user()
    file = RealImage("page.html", content_type, 64, 48, polyglot(content_type))
    assert HTML in file.body
    image_id = await api.upload(user, file)
    path = f"/images/{image_id}/download-url"
    link = await api.ok("GET", path, params={"disposition": disposition})
    served = await api.fetch(link["presigned_url"])
    assert (served.status, served.body) == (200, file.body)
    # The type that was verified, in the link as well as at the object: no browser makes a page
    # of what is called an image, whatever it is named and holds.
    assert served.headers["Content-Type"] == content_type
    assert served.headers["Content-Disposition"] == f'{disposition}; filename="page.html"'
    key = (await api.show(image_id))["s3_key"]
    async with open_clients(stores) as clients:
        stored = await S3ImageObjects(clients, stores.s3_bucket_name).read_head(key, 1)
    assert stored is not None
    assert (stored.content_type, stored.metadata) == (content_type, {})


# RFC 6266, 4.1, with RFC 9110's quoted-string and RFC 8187's ext-value.
_DISPOSITION = re.compile(
    r'(?P<kind>inline|attachment); filename="(?P<plain>[\x20\x21\x23-\x5b\x5d-\x7e]*)"'
    r"(?:; filename\*=UTF-8''(?P<exact>(?:[A-Za-z0-9!#$&+\-.^_`|~]|%[0-9A-F]{2})+))?"
)
NAMES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.sampled_from(
        [
            "x\r\nSet-Cookie: a=b",
            'x"; filename="evil.exe',
            "x\\",
            "%0d%0aX-Evil: 1",
            "\u202egpj.exe",
            "\0",
            "\u2028",
            "ü" * 255,
            "🏔" * 200,
            "../../etc/passwd",
            "=?utf-8?q?evil?=",
            "x;y=z",
            "~/.bashrc",
        ]
    ),
)


def served_name(answer: Answer) -> str:
    """The name that a reader of RFC 6266 sees."""
    values = answer.headers.getall("Content-Disposition")
    assert len(values) == 1
    found = _DISPOSITION.fullmatch(values[0])
    assert found, values
    exact = found["exact"]
    return found["plain"] if exact is None else unquote(exact, errors="strict")


def test_every_name_comes_back_as_it_was_sent_and_says_nothing_else(stores: Settings) -> None:
    """From the declaration to the header that the store sends, for names of all kinds."""
    with held_open(open_door(stores)) as address, asyncio.Runner() as runner:

        async def round_trip(name: str) -> None:
            async with aiohttp.ClientSession() as browser:
                api = HttpApi(browser, address)
                image_id = await api.upload(new_user(), filename=name)
                link = await api.ok("GET", f"/images/{image_id}/download-url")
                assert urlsplit(link["presigned_url"]).path.isascii()
                served = await api.fetch(link["presigned_url"])
                assert served.status == 200
                assert served_name(served) == name
                assert served.headers["Content-Type"] == "image/jpeg"
                assert not {"Set-Cookie", "X-Evil"} & set(served.headers)

        @searching(short=25, long=300)
        @given(NAMES)
        def every_name(name: str) -> None:
            runner.run(round_trip(name))

        every_name()
