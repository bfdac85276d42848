"""The Python client behind API Gateway and on an S3 that checks policies and signatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.client import ImageNotFound, MontClient, Retries
from service.client.files import new_part
from tests.support.api import new_user
from tests.support.real_images import large_jpeg

PHOTO = large_jpeg()


async def test_an_image_goes_there_and_back(gateway: str, tmp_path: Path) -> None:
    async with MontClient(gateway, user_id=new_user()) as mont:
        uploaded = await mont.upload(
            PHOTO.body, filename="größe 1.jpg", tags=["meer"], description="Abend"
        )
        assert uploaded.verified
        again = await mont.upload(PHOTO.body, filename="a.jpg", idempotency_key="k")
        assert again == await mont.upload(PHOTO.body, filename="a.jpg", idempotency_key="k")
        names = [image.filename async for image in mont.images(page_size=1)]
        assert names == ["a.jpg", "größe 1.jpg"]
        target = await mont.download(uploaded.image_id, tmp_path)
        assert (target.name, target.read_bytes()) == ("größe 1.jpg", PHOTO.body)
        edited = await mont.retag(uploaded.image_id, add=["see"], remove=["meer"])
        assert edited.tags == ("see",)
        ids = [uploaded.image_id, again.image_id]
        assert [each.error for each in await mont.delete_many(ids)] == [None, None]
        with pytest.raises(ImageNotFound):
            await mont.get(uploaded.image_id)


@pytest.mark.parametrize(
    ("begun", "same"), [(1_000_000, True), (PHOTO.size, True), (1_000_000, False)]
)
async def test_a_begun_download_is_continued_only_with_the_same_bytes(
    gateway: str, tmp_path: Path, begun: int, same: bool
) -> None:
    async with MontClient(gateway, user_id=new_user(), retries=Retries(attempts=2)) as mont:
        image_id = (await mont.upload(PHOTO.body)).image_id
        part = new_part(tmp_path, image_id, (await mont.get(image_id)).etag if same else "0" * 32)
        part.write(0, PHOTO.body[:begun] if same else b"x" * begun)
        part.close()
        moved: list[int] = []
        target = await mont.download(
            image_id, tmp_path / "back.jpg", progress=lambda done, _: moved.append(done)
        )
        assert target.read_bytes() == PHOTO.body
        assert (moved[0] > begun or begun == PHOTO.size) if same else moved[0] < PHOTO.size
        assert [path.name for path in tmp_path.iterdir()] == ["back.jpg"]
