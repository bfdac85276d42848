"""Downloads that are cut, expire, change and meet each other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.client import (
    AlreadyDownloading,
    ConnectionFailed,
    ImageChanged,
    ImageNotFound,
    MontClient,
    StorageRefused,
)
from service.client.files import begun_part, names_for, new_part
from tests.client.proxy import Proxy, answer, cut_after, lose_answer, lose_request
from tests.client.waits import no_waiting
from tests.support.makers import an_id
from tests.support.real_images import large_jpeg, real_image

PHOTO = large_jpeg()
SMALL = real_image("image/png")


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_cut_download_goes_on_where_it_ended(
    proxy: Proxy, shaky: MontClient, tmp_path: Path
) -> None:
    image_id = (await shaky.upload(PHOTO.body)).image_id
    told: list[int] = []
    proxy.fail("GET S3", cut_after(1_000_000), lose_request, cut_after(2_000_000))
    target = await shaky.download(
        image_id, tmp_path / "back.jpg", progress=lambda done, total: told.append(done)
    )
    assert target.read_bytes() == PHOTO.body
    ranges = [each.headers.get("Range") for each in proxy.of("GET S3")]
    assert ranges[0] is None
    assert ranges[1] == ranges[2] is not None
    places = [int(each.removeprefix("bytes=").removesuffix("-")) for each in ranges[1:]]
    assert 0 < places[0] <= 1_000_000 < places[2] <= 3_000_000
    assert told == sorted(told)
    assert told[-1] == PHOTO.size
    assert left_in(tmp_path) == ["back.jpg"]


async def test_the_next_process_goes_on_where_the_last_one_died(
    proxy: Proxy, shaky: MontClient, tmp_path: Path
) -> None:
    image_id = (await shaky.upload(PHOTO.body)).image_id
    target = tmp_path / "back.jpg"
    target.write_text("an older file")
    proxy.fail("GET S3", cut_after(3_000_000))
    async with MontClient(proxy.url, retries=no_waiting(attempts=1)) as dying:
        with pytest.raises(ConnectionFailed):
            await dying.download(image_id, target)
    assert target.read_text() == "an older file"
    await shaky.download(image_id, target)
    assert target.read_bytes() == PHOTO.body
    last = proxy.of("GET S3")[-1].headers
    assert int(last["Range"].removeprefix("bytes=").removesuffix("-")) > 2_000_000
    assert last["If-Range"] == f'"{(await shaky.get(image_id)).etag}"'
    assert left_in(tmp_path) == ["back.jpg"]


async def test_a_part_that_is_whole_already_only_gets_its_name(
    proxy: Proxy, shaky: MontClient, tmp_path: Path
) -> None:
    image_id = (await shaky.upload(SMALL.body)).image_id
    part = new_part(tmp_path, image_id, (await shaky.get(image_id)).etag)
    part.write(0, SMALL.body)
    part.close()
    target = await shaky.download(image_id, tmp_path / "back.png")
    assert target.read_bytes() == SMALL.body
    assert left_in(tmp_path) == ["back.png"]


async def test_a_damaged_part_is_noticed_and_fetched_anew(
    proxy: Proxy, shaky: MontClient, tmp_path: Path
) -> None:
    image_id = (await shaky.upload(PHOTO.body)).image_id
    part = new_part(tmp_path, image_id, (await shaky.get(image_id)).etag)
    part.write(0, b"x" * 1000)
    part.close()
    target = await shaky.download(image_id, tmp_path / "back.jpg")
    assert target.read_bytes() == PHOTO.body
    assert [each.headers.get("Range") for each in proxy.of("GET S3")] == ["bytes=1000-", None]


async def test_a_part_of_other_bytes_is_not_continued(mont: MontClient, tmp_path: Path) -> None:
    image_id = (await mont.upload(PHOTO.body)).image_id
    part = new_part(tmp_path, image_id, "0" * 32)
    part.write(0, b"x" * 1000)
    part.close()
    target = await mont.download(image_id, tmp_path / "back.jpg")
    assert target.read_bytes() == PHOTO.body
    assert left_in(tmp_path) == ["back.jpg"]


async def test_a_link_that_expired_is_asked_for_again(
    proxy: Proxy, shaky: MontClient, tmp_path: Path
) -> None:
    image_id = (await shaky.upload(PHOTO.body)).image_id
    link = f"GET /images/{image_id}/download-url"
    denied = answer(403, "<Error><Code>AccessDenied</Code></Error>")
    proxy.fail("GET S3", cut_after(1_000_000), denied)
    target = await shaky.download(image_id, tmp_path / "back.jpg")
    assert target.read_bytes() == PHOTO.body
    assert len(proxy.of(link)) == 2


async def test_a_fresh_link_that_is_refused_is_not_asked_for_for_ever(
    proxy: Proxy, shaky: MontClient, tmp_path: Path
) -> None:
    image_id = (await shaky.upload(SMALL.body)).image_id
    proxy.fail("GET S3", *[answer(403, "<Error><Code>AccessDenied</Code></Error>")] * 9)
    with pytest.raises(StorageRefused):
        await shaky.download(image_id, tmp_path / "back.jpg")
    assert len(proxy.of("GET S3")) <= 3
    assert left_in(tmp_path) == []


async def test_an_image_that_is_not_there_leaves_nothing_behind(
    mont: MontClient, tmp_path: Path
) -> None:
    with pytest.raises(ImageNotFound):
        await mont.download(an_id(404), tmp_path / "back.jpg")
    assert left_in(tmp_path) == []


async def test_a_folder_gets_the_image_under_its_own_name_once(
    mont: MontClient, tmp_path: Path
) -> None:
    first = await mont.upload(SMALL.body, filename="größe.png")
    other = await mont.upload(real_image("image/png", turned=90).body, filename="größe.png")
    (tmp_path / "größe.png").write_text("somebody's")
    for _ in range(2):
        one = await mont.download(first.image_id, tmp_path)
        two = await mont.download(other.image_id, tmp_path)
        assert one.name == f"größe-{first.image_id}.png"
        assert two.name == f"größe-{other.image_id}.png"
    assert one.read_bytes() == SMALL.body
    assert (tmp_path / "größe.png").read_text() == "somebody's"
    assert len(left_in(tmp_path)) == 3


async def test_images_of_one_name_at_the_same_time_do_not_replace_each_other(
    mont: MontClient, tmp_path: Path
) -> None:
    bodies = [real_image("image/png", turned=n).body for n in range(6)]
    ids = [(await mont.upload(body, filename="a.png")).image_id for body in bodies]
    paths = await asyncio.gather(*(mont.download(image_id, tmp_path) for image_id in ids))
    assert [path.read_bytes() for path in paths] == bodies
    assert len(left_in(tmp_path)) == 6


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\boot.ini", "C__boot.ini"),
        (".bashrc", "bashrc"),
        ("..", "image"),
        ("a\x1b[31m\n.png", "a_[31m_.png"),
        ("no suffix", "no suffix"),
        ("long" * 63 + ".jpeg", "long" * 45 + ".jpeg"),
        ("", "image"),
    ],
)
def test_no_name_leads_out_of_the_folder_or_upsets_it(filename: str, name: str) -> None:
    plain, with_id = names_for(filename, an_id(1))
    assert plain == name
    assert an_id(1) in with_id
    assert len(with_id.encode()) < 250


async def test_two_downloads_to_one_place_do_not_mix(mont: MontClient, tmp_path: Path) -> None:
    image_id = (await mont.upload(SMALL.body)).image_id
    held = new_part(tmp_path, image_id, (await mont.get(image_id)).etag)
    with pytest.raises(AlreadyDownloading):
        await mont.download(image_id, tmp_path / "back.png")
    held.close()
    assert (await mont.download(image_id, tmp_path / "back.png")).read_bytes() == SMALL.body


def test_of_several_parts_the_longest_is_continued(tmp_path: Path) -> None:
    for etag, count in (("a1", 10), ("b2", 30), ("c3", 20)):
        part = new_part(tmp_path, an_id(1), etag)
        part.write(0, b"x" * count)
        part.close()
    begun = begun_part(tmp_path, an_id(1))
    assert begun is not None
    assert (begun.etag, begun.size) == ("b2", 30)
    begun.close()
    assert len(left_in(tmp_path)) == 1


async def test_reading_goes_on_after_a_cut_without_a_gap(proxy: Proxy, shaky: MontClient) -> None:
    image_id = (await shaky.upload(PHOTO.body)).image_id
    proxy.fail("GET S3", cut_after(700_000), lose_answer)
    assert b"".join([chunk async for chunk in shaky.read(image_id)]) == PHOTO.body


async def test_reading_an_image_that_becomes_another_one_fails(
    proxy: Proxy, shaky: MontClient
) -> None:
    image_id = (await shaky.upload(PHOTO.body)).image_id
    other = answer(200, "quite other bytes", ETag='"other"')
    proxy.fail("GET S3", cut_after(700_000), other)
    with pytest.raises(ImageChanged):
        async for _ in shaky.read(image_id):
            pass
