"""A list is walked by its tokens, and a token leads on in its own list only."""

from dataclasses import replace

import pytest

from service.errors import CursorForged
from service.model import Selection
from service.operations.listing import ListImages, list_images
from tests.support.makers import World, an_id, an_image


async def a_world(count: int) -> World:
    world = World()
    for number in range(count):
        await world.records.create(
            an_image(
                image_id=an_id(number),
                upload_timestamp=f"2026-02-13T12:00:{number // 2:02}.000000Z",
            )
        )
    return world


@pytest.mark.parametrize(("count", "sizes"), [(0, [0]), (4, [4]), (5, [4, 1]), (8, [4, 4])])
async def test_tokens_lead_through_every_page_to_the_last(count: int, sizes: list[int]) -> None:
    world = await a_world(count)
    request = ListImages(Selection(), 4)
    found, seen = [], []
    while True:
        page = await list_images(world.desk, request)
        found.append(len(page.images))
        seen += [image.image_id for image in page.images]
        if page.next_token is None:
            break
        request = replace(request, next_token=page.next_token)
    assert found == sizes
    assert seen == [an_id(number) for number in reversed(range(count))]


async def test_a_token_may_change_the_page_size_but_not_the_query() -> None:
    world = await a_world(9)
    first = await list_images(world.desk, ListImages(Selection(), 4))
    rest = await list_images(world.desk, ListImages(Selection(), 100, first.next_token))
    assert len(rest.images) == 5
    with pytest.raises(CursorForged):
        await list_images(world.desk, ListImages(Selection(order="asc"), 4, first.next_token))


@pytest.mark.parametrize("token", ["", "x", "A" * 44])
async def test_a_token_that_nobody_gave_out_is_refused(token: str) -> None:
    with pytest.raises(CursorForged):
        await list_images(World().desk, ListImages(Selection(), 4, token))
