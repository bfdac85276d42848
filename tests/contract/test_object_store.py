"""Every implementation of `ports.ImageObjects` keeps its word."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aiohttp
import pytest

from service.disposition import content_disposition
from service.model import Disposition
from tests.contract.conftest import Bucket

pytestmark = pytest.mark.asyncio(loop_scope="session")


def new_key() -> str:
    return f"uploads/somebody/{uuid4()}"


async def test_what_a_form_uploads_is_read_back_with_its_type_and_metadata(bucket: Bucket) -> None:
    key, body = new_key(), b"\x89PNG and the rest"
    form = await bucket.objects.upload_form(
        key,
        content_type="image/png",
        size=len(body),
        metadata={"said": "jWyJhIl0="},
        expires_in=60,
    )
    await bucket.upload(form, body)
    stored = await bucket.objects.read_head(key, 1024)
    assert stored is not None
    assert (stored.size, stored.content_type, stored.head) == (len(body), "image/png", body)
    assert stored.metadata == {"said": "jWyJhIl0="}
    assert stored.etag
    assert '"' not in stored.etag


async def test_a_head_is_cut_at_its_length_and_tells_the_whole_size(bucket: Bucket) -> None:
    key, body = new_key(), bytes(range(256)) * 1000
    await bucket.put(key, body)
    stored = await bucket.objects.read_head(key, 1000)
    assert stored is not None
    assert (stored.size, stored.head) == (256_000, body[:1000])


@pytest.mark.parametrize("length", [9, 10, 11])
async def test_a_head_as_long_as_the_object_is_the_object(bucket: Bucket, length: int) -> None:
    key = new_key()
    await bucket.put(key, b"0123456789")
    stored = await bucket.objects.read_head(key, length)
    assert stored is not None
    assert (stored.size, stored.head) == (10, b"0123456789"[:length])


async def test_an_object_of_no_bytes_has_an_empty_head(bucket: Bucket) -> None:
    key = new_key()
    await bucket.put(key, b"")
    stored = await bucket.objects.read_head(key, 16)
    assert stored is not None
    assert (stored.size, stored.head) == (0, b"")


async def test_there_is_no_head_of_an_object_that_is_not_there(bucket: Bucket) -> None:
    assert await bucket.objects.read_head(new_key(), 16) is None


async def test_the_entity_tag_changes_with_the_bytes(bucket: Bucket) -> None:
    key = new_key()
    first, again = await bucket.put(key, b"first"), await bucket.put(key, b"first")
    assert first == again
    assert await bucket.put(key, b"other") != first


async def test_promotion_copies_bytes_under_the_type_given_and_leaves_the_declaration(
    bucket: Bucket,
) -> None:
    source, target = new_key(), new_key()
    form = await bucket.objects.upload_form(
        source, content_type="image/png", size=5, metadata={"said": "secret"}, expires_in=60
    )
    await bucket.upload(form, b"bytes")
    staged = await bucket.objects.read_head(source, 16)
    assert staged is not None
    assert await bucket.objects.promote(source, target, etag=staged.etag, content_type="image/webp")
    final = await bucket.objects.read_head(target, 16)
    assert final is not None
    assert (final.head, final.content_type, final.metadata) == (b"bytes", "image/webp", {})
    assert final.etag == staged.etag
    assert await bucket.objects.read_head(source, 16) == staged


async def test_promotion_is_refused_when_the_source_has_changed(bucket: Bucket) -> None:
    source, target = new_key(), new_key()
    etag = await bucket.put(source, b"verified")
    await bucket.put(source, b"replaced")
    assert not await bucket.objects.promote(source, target, etag=etag, content_type="image/png")
    assert await bucket.objects.read_head(target, 16) is None


async def test_promotion_takes_the_place_of_what_an_attempt_before_left(bucket: Bucket) -> None:
    source, target = new_key(), new_key()
    etag = await bucket.put(source, b"new")
    await bucket.put(target, b"old", "image/gif")
    assert await bucket.objects.promote(source, target, etag=etag, content_type="image/png")
    final = await bucket.objects.read_head(target, 16)
    assert final is not None
    assert (final.head, final.content_type, final.etag) == (b"new", "image/png", etag)


async def test_promotion_is_refused_when_the_source_is_gone(bucket: Bucket) -> None:
    source, target = new_key(), new_key()
    etag = await bucket.put(source, b"bytes")
    await bucket.objects.delete([source])
    assert not await bucket.objects.promote(source, target, etag=etag, content_type="image/png")
    assert await bucket.objects.read_head(target, 16) is None


async def test_promotions_at_once_do_not_disturb_each_other(bucket: Bucket) -> None:
    source, target = new_key(), new_key()
    etag = await bucket.put(source, b"bytes")
    made = await asyncio.gather(
        *(
            bucket.objects.promote(source, target, etag=etag, content_type="image/png")
            for _ in range(5)
        )
    )
    assert made == [True] * 5
    assert await bucket.objects.read_head(target, 16) is not None


async def test_deleting_makes_every_key_absent_and_touches_no_other(bucket: Bucket) -> None:
    gone, never_there, kept = [new_key(), new_key()], new_key(), new_key()
    for key in (*gone, kept):
        await bucket.put(key, b"bytes")
    await bucket.objects.delete([*gone, never_there])
    assert [await bucket.objects.read_head(key, 1) for key in gone] == [None, None]
    assert await bucket.objects.read_head(kept, 16) is not None
    await bucket.objects.delete(gone)


async def test_a_bucket_that_is_there_passes_the_check(bucket: Bucket) -> None:
    assert await bucket.objects.check() is None  # type: ignore[func-returns-value]


async def test_the_form_signs_key_type_metadata_and_exact_size(s3_bucket: Bucket) -> None:
    key = new_key()
    before = datetime.now(UTC)
    form = await s3_bucket.objects.upload_form(
        key, content_type="image/jpeg", size=4711, metadata={"said": "x"}, expires_in=3600
    )
    assert next(iter(form.fields)) == "key"
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    conditions = policy["conditions"]
    assert {"key": key} in conditions
    assert {"Content-Type": "image/jpeg"} in conditions
    assert {"x-amz-meta-said": "x"} in conditions
    assert ["content-length-range", 4711, 4711] in conditions
    assert not [each for each in conditions if isinstance(each, list) and each[0] == "starts-with"]
    expires = datetime.fromisoformat(policy["expiration"])
    assert abs(expires - before - timedelta(hours=1)) < timedelta(seconds=30)
    # Whatever the client has to send is covered by the signature, and nothing is left over.
    signed = {name for each in conditions if isinstance(each, dict) for name in each}
    assert set(form.fields) - {"policy", "x-amz-signature"} <= signed
    assert form.fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"


AWKWARD_NAMES = [
    "plain.png",
    "with space.png",
    "Übergrößenträger.jpg",
    "emoji 🏔️.png",
    'quote".png',
    "back\\slash.png",
    "semi;colon, comma.png",
    "per%20cent.png",
    "plus+and&=?#.png",
    "../../etc/passwd",
    "line\nbreak\r\nSet-Cookie: a=b.png",
    "x" * 255,
]


@pytest.mark.parametrize("disposition", ["inline", "attachment"])
@pytest.mark.parametrize("filename", AWKWARD_NAMES)
async def test_a_link_serves_bytes_type_and_name_to_whoever_holds_it(
    s3_bucket: Bucket, filename: str, disposition: Disposition
) -> None:
    key = new_key()
    await s3_bucket.put(key, b"the bytes")
    url = await s3_bucket.objects.download_url(
        key,
        filename=filename,
        content_type="image/gif",
        disposition=disposition,
        expires_in=900,
    )
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as answer:
        assert answer.status == 200
        assert await answer.read() == b"the bytes"
        assert answer.headers["Content-Type"] == "image/gif"
        assert answer.headers["Content-Disposition"] == content_disposition(disposition, filename)
