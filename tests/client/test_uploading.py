"""Uploads of everything that can be uploaded, through everything that can go wrong."""

from __future__ import annotations

import asyncio
import io
import os
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from service.client import (
    ChecksumMismatch,
    ConnectionFailed,
    ContentKey,
    InvalidFields,
    MontClient,
    SourceChanged,
    SourceEmpty,
    SourceTooLarge,
    StorageRefused,
    Throttled,
    Upload,
    UploadRejected,
    sha256_of,
)
from service.client.sources import Uploadable
from tests.client.proxy import (
    Fault,
    Proxy,
    answer,
    flip_a_byte,
    lose_answer,
    lose_request,
)
from tests.client.waits import no_waiting
from tests.support.api import new_user
from tests.support.real_images import large_jpeg, real_image

PHOTO = real_image("image/jpeg", width=320, height=200)


async def bytes_of(mont: MontClient, image_id: str) -> bytes:
    return b"".join([chunk async for chunk in mont.read(image_id)])


async def everything(mont: MontClient) -> list[str]:
    return [image.image_id async for image in mont.images()]


def a_path(folder: Path) -> Uploadable:
    path = folder / "größe 1.jpg"
    path.write_bytes(PHOTO.body)
    return path


def a_path_as_text(folder: Path) -> Uploadable:
    return str(a_path(folder))


def an_open_file(folder: Path) -> Uploadable:
    file = io.BytesIO(PHOTO.body)
    file.name = "/some/where/größe 1.jpg"
    return file


def a_pipe(folder: Path) -> Uploadable:
    reading, writing = os.pipe()
    assert len(PHOTO.body) < 65_536, "it has to fit the pipe"
    os.write(writing, PHOTO.body)
    os.close(writing)
    return os.fdopen(reading, "rb")


def an_iterable(folder: Path) -> Uploadable:
    return [PHOTO.body[:100], PHOTO.body[100:]]


def an_async_stream(folder: Path) -> Uploadable:
    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(PHOTO.body), 1000):
            yield PHOTO.body[start : start + 1000]

    return stream()


@pytest.mark.parametrize("make", [a_path, a_path_as_text, an_open_file])
async def test_what_has_a_name_arrives_under_it(
    mont: MontClient, tmp_path: Path, make: object
) -> None:
    uploaded = await mont.upload(make(tmp_path), tags=["a"], description="Größe")
    image = await mont.get(uploaded.image_id)
    assert (image.filename, image.content_type) == ("größe 1.jpg", "image/jpeg")
    assert (image.width, image.height, image.file_size) == (320, 200, len(PHOTO.body))
    assert (image.tags, image.description) == (("a",), "Größe")
    assert (uploaded.md5, uploaded.verified) == (image.etag, True)
    assert await bytes_of(mont, uploaded.image_id) == PHOTO.body


@pytest.mark.parametrize("make", [a_pipe, an_iterable, an_async_stream, lambda _: PHOTO.body])
async def test_what_has_no_name_arrives_byte_for_byte(
    mont: MontClient, tmp_path: Path, make: object
) -> None:
    what = make(tmp_path)
    uploaded = await mont.upload(what)
    if hasattr(what, "close"):
        what.close()
    assert (uploaded.filename, uploaded.content_type) == ("image.jpg", "image/jpeg")
    assert await bytes_of(mont, uploaded.image_id) == PHOTO.body


async def test_the_type_is_that_of_the_bytes_and_not_of_the_name(mont: MontClient) -> None:
    uploaded = await mont.upload(real_image("image/png").body, filename="photo.jpg")
    assert (uploaded.filename, uploaded.content_type) == ("photo.jpg", "image/png")


async def test_progress_ends_at_the_size_and_never_goes_beyond(
    mont: MontClient, tmp_path: Path
) -> None:
    path, told = tmp_path / "large.jpg", []
    path.write_bytes(large_jpeg().body)
    await mont.upload(path, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, large_jpeg().size)
    assert told[-1] == (large_jpeg().size, large_jpeg().size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 10


async def test_a_large_file_is_never_in_memory(mont: MontClient, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(large_jpeg().body)
    tracemalloc.start()
    try:
        await mont.upload(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < large_jpeg().size / 2


STEPS = ["POST /images/upload-url", "POST S3", "POST /images/complete"]


@pytest.mark.parametrize("fault", [lose_request, lose_answer, answer(503), answer(429)])
@pytest.mark.parametrize("step", STEPS)
async def test_whatever_is_lost_on_the_way_there_is_one_image_in_the_end(
    proxy: Proxy, shaky: MontClient, step: str, fault: Fault
) -> None:
    proxy.fail(step, fault, fault)
    uploaded = await shaky.upload(PHOTO.body)
    assert len(proxy.of(step)) == 3
    assert await everything(shaky) == [uploaded.image_id]
    assert await bytes_of(shaky, uploaded.image_id) == PHOTO.body


async def test_every_attempt_has_the_same_idempotency_key_and_every_upload_its_own(
    proxy: Proxy, shaky: MontClient
) -> None:
    proxy.fail(STEPS[0], lose_answer, lose_answer)
    one, two = await shaky.upload(PHOTO.body), await shaky.upload(PHOTO.body)
    first, again, last, other = [each.headers["Idempotency-Key"] for each in proxy.of(STEPS[0])]
    assert first == again == last != other
    assert one.image_id != two.image_id


async def test_a_retry_waits_as_long_as_the_service_asks_for(proxy: Proxy) -> None:
    waits: list[float] = []
    async with MontClient(
        proxy.url, user_id=new_user(), retries=no_waiting(waits, first_wait=0.5)
    ) as mont:
        proxy.fail(STEPS[0], answer(429, Retry_After="7"), answer(503))
        await mont.upload(PHOTO.body)
    assert waits == [7.5, 1.0]


async def test_a_quota_that_is_used_up_until_tomorrow_is_said_at_once(
    proxy: Proxy, shaky: MontClient
) -> None:
    proxy.fail(STEPS[0], answer(429, Retry_After="40000"))
    with pytest.raises(Throttled) as raised:
        await shaky.upload(PHOTO.body)
    assert raised.value.retry_after == 40_000
    assert len(proxy.of(STEPS[0])) == 1


async def test_a_service_that_stays_away_is_given_up(proxy: Proxy, shaky: MontClient) -> None:
    proxy.fail(STEPS[0], *[lose_request] * 99)
    with pytest.raises(ConnectionFailed):
        await shaky.upload(PHOTO.body)
    assert len(proxy.of(STEPS[0])) == 9


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken"])
async def test_a_form_that_expired_is_asked_for_again(
    proxy: Proxy, shaky: MontClient, code: str
) -> None:
    proxy.fail("POST S3", answer(403, f"<Error><Code>{code}</Code></Error>"))
    uploaded = await shaky.upload(PHOTO.body)
    assert len(proxy.of("POST /images/upload-url")) == 2
    assert await everything(shaky) == [uploaded.image_id]


async def test_what_s3_refuses_for_good_is_said_with_its_own_words(
    proxy: Proxy, shaky: MontClient
) -> None:
    body = "<Error><Code>EntityTooLarge</Code><Message>Too large.</Message></Error>"
    proxy.fail("POST S3", answer(400, body))
    with pytest.raises(StorageRefused, match=r"S3 answered 400 EntityTooLarge: Too large\."):
        await shaky.upload(PHOTO.body)
    assert len(proxy.of("POST S3")) == 1
    assert not proxy.of("POST /images/complete")


async def test_bytes_that_change_on_their_way_are_sent_again(
    proxy: Proxy, shaky: MontClient
) -> None:
    proxy.fail("POST S3", flip_a_byte)
    uploaded = await shaky.upload(PHOTO.body)
    assert len(proxy.of("POST S3")) == 2
    assert await bytes_of(shaky, uploaded.image_id) == PHOTO.body


async def test_bytes_that_always_change_are_never_completed(
    proxy: Proxy, shaky: MontClient
) -> None:
    proxy.fail("POST S3", *[flip_a_byte] * 99)
    with pytest.raises(ChecksumMismatch):
        await shaky.upload(PHOTO.body)
    assert not proxy.of("POST /images/complete")


async def test_a_key_that_was_used_for_other_bytes_is_noticed(mont: MontClient) -> None:
    one = real_image("image/bmp", turned=0).body
    other = real_image("image/bmp", turned=90).body
    assert len(one) == len(other), "to the service both look the same"
    first = await mont.upload(one, filename="a.bmp", idempotency_key="k")
    assert (await mont.upload(one, filename="a.bmp", idempotency_key="k")) == first
    with pytest.raises(ChecksumMismatch, match="other bytes"):
        await mont.upload(other, filename="a.bmp", idempotency_key="k")


async def test_the_same_content_is_the_same_image(mont: MontClient, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO.body)
    key = ContentKey.of(await sha256_of(path))
    ids = {(await mont.upload(path, idempotency_key=key)).image_id for _ in range(2)}
    assert await everything(mont) == [*ids]


async def test_a_file_that_shrinks_while_it_is_sent_is_said_to(
    mont: MontClient, tmp_path: Path
) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(large_jpeg().body)
    with pytest.raises(SourceChanged):
        await mont.upload(path, progress=lambda *_: os.truncate(path, 1000))
    assert await everything(mont) == []


async def test_a_description_too_long_for_the_form_is_sent_at_the_end(mont: MontClient) -> None:
    description, tags = "".join(map(chr, range(0x4E00, 0x4E00 + 500))), ["海" * 50, "山" * 50]
    uploaded = await mont.upload(
        PHOTO.body, filename="名" * 250, tags=tags, description=description
    )
    image = await mont.get(uploaded.image_id)
    assert (image.description, list(image.tags)) == (description, tags)


async def test_what_is_no_image_is_refused_with_the_reason(mont: MontClient) -> None:
    with pytest.raises(UploadRejected, match="no image"):
        await mont.upload(b"\xff\xd8\xff not really")


async def test_what_has_the_wrong_size_is_refused_in_plain_words(
    proxy: Proxy, shaky: MontClient
) -> None:
    with pytest.raises(SourceEmpty, match="nothing to upload"):
        await shaky.upload(b"", filename="empty.png")
    assert proxy.seen == [], "nobody had to be asked"
    with pytest.raises(SourceTooLarge, match=r"10,485,761 bytes, .* 10,485,760 at most") as raised:
        await shaky.upload(PHOTO.body + bytes(10_485_761 - len(PHOTO.body)))
    assert (raised.value.size, raised.value.limit) == (10_485_761, 10_485_760)
    assert isinstance(raised.value, InvalidFields)
    with pytest.raises(InvalidFields) as other:
        await shaky.upload(bytes(10_485_761), filename="a.txt")
    assert len(other.value.errors) == 2, "the size is not all that is wrong"
    assert not isinstance(other.value, SourceTooLarge)


async def test_many_uploads_run_a_few_at_once_and_each_has_its_outcome(
    proxy: Proxy, shaky: MontClient, tmp_path: Path
) -> None:
    under_way, most = 0, 0

    async def count(passing: object) -> object:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        sent = await passing.send()
        under_way -= 1
        return sent

    proxy.fail("POST S3", *[count] * 8)
    items = [
        *(Upload(real_image(turned=n).body, filename=f"{n}.jpg", tags=["own"]) for n in range(8)),
        tmp_path / "missing.jpg",
        Upload(b"nothing", filename="notes.jpg"),
    ]
    outcomes = [each async for each in shaky.upload_many(items, jobs=3, tags=["all"])]
    assert {each.item.filename for each in outcomes if each.uploaded} == {
        f"{n}.jpg" for n in range(8)
    }
    failed = {str(each.item.what): type(each.error) for each in outcomes if each.error}
    assert failed == {
        str(tmp_path / "missing.jpg"): FileNotFoundError,
        "b'nothing'": UploadRejected,
    }
    assert 1 < most <= 3
    assert [image async for image in shaky.images(tag="all")] == []
    assert len([image async for image in shaky.images(tag="own")]) == 8


async def test_many_uploads_tell_how_far_each_of_them_is(mont: MontClient) -> None:
    told: dict[str | None, list[tuple[int, int]]] = {}

    def tell(item: Upload, done: int, total: int) -> None:
        told.setdefault(item.filename, []).append((done, total))

    own: list[tuple[int, int]] = []
    photos = [Upload(PHOTO.body, filename=f"{number}.jpg") for number in range(3)]
    photos.append(Upload(PHOTO.body, progress=lambda *both: own.append(both)))
    outcomes = [each async for each in mont.upload_many(photos, progress=tell)]
    assert all(each.uploaded for each in outcomes)
    assert told.keys() == {"0.jpg", "1.jpg", "2.jpg"}
    for seen in (*told.values(), own):
        assert (seen[0], seen[-1]) == ((0, PHOTO.size), (PHOTO.size, PHOTO.size))


async def test_leaving_many_uploads_early_stops_them(proxy: Proxy, shaky: MontClient) -> None:
    begun = asyncio.Event()

    async def hang(passing: object) -> object:
        begun.set()
        await asyncio.Event().wait()

    async def items() -> AsyncIterator[Upload]:
        yield Upload(PHOTO.body, filename="0.jpg")
        await begun.wait()
        raise LookupError("no more names")

    def uploads() -> list[object]:
        tasks = asyncio.all_tasks()
        return [task for task in tasks if "upload_many" in task.get_coro().__qualname__]

    proxy.fail("POST S3", hang)
    with pytest.raises(LookupError, match="no more names"):
        async with aclosing(shaky.upload_many(items(), jobs=2)) as outcomes:
            async for _ in outcomes:
                pytest.fail("nothing was uploaded")
    assert begun.is_set()
    assert uploads() == []


async def test_a_line_that_went_dead_is_given_up(
    proxy: Proxy, shaky: MontClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_answer(passing: object) -> object:
        monkeypatch.undo()  # the next attempt gets the usual time
        await asyncio.Event().wait()

    monkeypatch.setattr("service.client.storage._STALLED_SECONDS", 0.5)
    proxy.fail("POST S3", never_answer)
    uploaded = await shaky.upload(PHOTO.body)
    assert len(proxy.of("POST S3")) >= 2
    assert await everything(shaky) == [uploaded.image_id]
