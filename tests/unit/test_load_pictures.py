"""The images that a load test uploads, and those that it may use."""

from __future__ import annotations

import io
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.imageformat import HEAD_BYTES, read_header
from service.load.pictures import SMALLEST, jpeg, make_pictures, png
from service.load.pool import Made, Pool


@given(st.integers(SMALLEST, 300_000), st.sampled_from([png, jpeg]))
def test_every_picture_has_its_exact_size_and_is_a_picture(size: int, make: object) -> None:
    picture = make(size, Random(1))  # type: ignore[operator]
    assert len(picture.body) == size
    header = read_header(picture.body[:HEAD_BYTES], size)
    assert header.content_type == picture.content_type
    with Image.open(io.BytesIO(picture.body)) as opened:
        opened.load()
        assert opened.size == (header.width, header.height)


@pytest.mark.parametrize("size", [65_537 + 500, 131_074, 200_001])
def test_comments_of_a_jpeg_fill_it_where_one_is_not_enough(size: int) -> None:
    for odd in range(size - 6, size + 6):
        assert len(jpeg(odd, Random(1)).body) == odd


def test_a_range_of_sizes_is_used_from_end_to_end_in_both_formats() -> None:
    pictures = make_pictures(2_000, 50_000, Random(1))
    sizes = [len(each.body) for each in pictures]
    assert (sizes[0], sizes[-1]) == (2_000, 50_000)
    assert sizes == sorted(set(sizes))
    assert {each.content_type for each in pictures} == {"image/png", "image/jpeg"}


def test_an_image_in_use_is_not_taken_to_be_deleted() -> None:
    pool, random = Pool(), Random(1)
    image = Made("a", "ann", 9)
    pool.asked("a", "ann")
    pool.completed("a")
    pool.ready(image)
    with pool.use(random) as one, pool.use(random) as other:
        assert one == other == image
        assert pool.take(random) is None
    assert pool.take(random) == image
    with pool.use(random) as nothing:
        assert nothing is None


def test_what_may_be_there_remains_until_it_is_certainly_gone() -> None:
    pool, random = Pool(), Random(1)
    for name in ("lost", "there"):
        pool.asked(name, "ann")
    pool.completed("there")
    pool.ready(Made("there", "ann", 9))
    assert pool.remaining == {"there": "ann", "lost": "ann"}
    assert pool.unsettled == {"lost": "ann"}
    taken = pool.take(random)
    assert taken is not None
    # Its deletion may fail: it is still to be looked after.
    assert "there" in pool.remaining
    pool.gone(taken)
    assert pool.remaining == {"lost": "ann"}
