"""Every implementation of `ports.ImageRecords` lists each image once, in order, page by page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import timestamps
from service.model import HIGHEST_ID, LOWEST_ID, Image, Order, Position, Selection
from service.ports import ImageRecords
from tests.contract.test_record_store import LATER, an_image

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Real stores are slow: few examples, each with much in it. Enough of them still, since the seed
# differs from run to run.
modest = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)

# The timeline lists what all tests made, so each example has a second of its own.
_seconds = count()


def own_second() -> datetime:
    return datetime(2040, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_seconds))


@dataclass(frozen=True)
class Made:
    """One image of an example: in which of its few instants, with which tag, and deleted or not."""

    instant: int
    tag: str
    deleted: bool


INSTANTS = 4
made = st.builds(
    Made,
    instant=st.integers(0, INSTANTS - 1),
    tag=st.sampled_from(["sea", "seal", "city"]),
    deleted=st.sampled_from([False, False, False, True]),
)
orders = st.sampled_from(["asc", "desc"])
limits = st.lists(st.integers(1, 7), min_size=1, max_size=5)


async def fill(
    records: ImageRecords, plan: list[Made], second: datetime, user_ids: list[str]
) -> list[Image]:
    """Make the images of an example; returns those that lists have to show."""
    images = [
        an_image(
            user_id=user_id,
            upload_timestamp=timestamps.to_text(second + timedelta(microseconds=each.instant)),
            tags=("x", each.tag),
        )
        for each, user_id in zip(plan, cycle(user_ids), strict=False)
    ]
    assert await asyncio.gather(*(records.create(image) for image in images)) == [None] * len(plan)
    doomed = [image for image, each in zip(images, plan, strict=True) if each.deleted]
    await asyncio.gather(
        *(records.mark_deleting(image.image_id, image.user_id, LATER) for image in doomed)
    )
    return [image for image, each in zip(images, plan, strict=True) if not each.deleted]


async def walk(
    records: ImageRecords, selection: Selection, limits: list[int], expected: list[Image]
) -> None:
    """Go through all pages and hold each against what must stand there."""
    ordered = sorted(expected, key=lambda image: image.position, reverse=selection.order == "desc")
    after: Position | None = None
    seen = 0
    for limit in cycle(limits):
        page = await records.page(selection, after, limit)
        assert page.images == tuple(ordered[seen : seen + limit])
        seen += len(page.images)
        assert (page.next is not None) == (seen < len(ordered))
        if page.next is None:
            break
        after = page.next


@modest
@given(plan=st.lists(made, max_size=20), order=orders, limits=limits)
async def test_a_users_pages_show_every_image_once(
    records: ImageRecords, plan: list[Made], order: Order, limits: list[int]
) -> None:
    user_id = f"user-{uuid4().hex}"
    shown = await fill(records, plan, own_second(), [user_id])
    await walk(records, Selection(user_id=user_id, order=order), limits, shown)


@modest
@given(
    plan=st.lists(made, max_size=20),
    order=orders,
    limits=limits,
    ends=st.tuples(*[st.none() | st.integers(-1, INSTANTS)] * 2),
    tag=st.none() | st.sampled_from(["sea", "city", "nothing"]),
)
async def test_a_users_pages_show_what_dates_and_tag_select(
    records: ImageRecords,
    plan: list[Made],
    order: Order,
    limits: list[int],
    ends: tuple[int | None, int | None],
    tag: str | None,
) -> None:
    user_id, second = f"user-{uuid4().hex}", own_second()
    earliest, latest = (
        None if end is None else timestamps.to_text(second + timedelta(microseconds=end))
        for end in ends
    )
    shown = await fill(records, plan, second, [user_id])
    selected = [
        image
        for image in shown
        if (earliest is None or image.upload_timestamp >= earliest)
        and (latest is None or image.upload_timestamp <= latest)
        and (tag is None or tag in image.tags)
    ]
    await walk(records, Selection(user_id, earliest, latest, tag, order), limits, selected)


@modest
@given(
    plan=st.lists(made, max_size=20),
    order=orders,
    limits=limits,
    tag=st.none() | st.sampled_from(["sea", "city"]),
)
async def test_the_timelines_pages_show_every_users_images_once(
    records: ImageRecords, plan: list[Made], order: Order, limits: list[int], tag: str | None
) -> None:
    second = own_second()
    shown = await fill(records, plan, second, [f"user-{uuid4().hex}" for _ in range(3)])
    selection = Selection(
        earliest=timestamps.to_text(second),
        latest=timestamps.to_text(second + timedelta(microseconds=INSTANTS)),
        tag=tag,
        order=order,
    )
    selected = [image for image in shown if tag is None or tag in image.tags]
    await walk(records, selection, limits, selected)


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_more_images_of_one_instant_than_a_page_or_a_read_holds(
    records: ImageRecords, order: Order
) -> None:
    user_id, second = f"user-{uuid4().hex}", own_second()
    shown = await fill(records, [Made(0, "sea", False)] * 60, second, [user_id])
    await walk(records, Selection(user_id=user_id, order=order), [7], shown)
    at_once = timestamps.to_text(second)
    timeline = Selection(earliest=at_once, latest=at_once, order=order)
    await walk(records, timeline, [25], shown)


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_page_goes_on_behind_an_image_that_was_deleted(
    records: ImageRecords, order: Order
) -> None:
    user_id = f"user-{uuid4().hex}"
    shown = await fill(
        records, [Made(n % 2, "sea", False) for n in range(6)], own_second(), [user_id]
    )
    ordered = sorted(shown, key=lambda image: image.position, reverse=order == "desc")
    selection = Selection(user_id=user_id, order=order)
    page = await records.page(selection, None, 3)
    assert page.next is not None
    await records.mark_deleting(ordered[2].image_id, user_id, LATER)
    rest = await records.page(selection, page.next, 10)
    assert rest.images == tuple(ordered[3:])


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_list_can_start_at_the_edge_of_an_instant(
    records: ImageRecords, order: Order
) -> None:
    user_id, second = f"user-{uuid4().hex}", own_second()
    plan = [Made(0, "sea", False), Made(1, "sea", False), Made(2, "sea", False)]
    first, middle, last = await fill(records, plan, second, [user_id])
    selection = Selection(user_id=user_id, order=order)
    before = Position(middle.upload_timestamp, LOWEST_ID if order == "asc" else HIGHEST_ID)
    page = await records.page(selection, before, 10)
    assert page.images == ((middle, last) if order == "asc" else (middle, first))


async def test_images_made_while_paging_do_not_disturb_what_was_there(
    records: ImageRecords,
) -> None:
    user_id, second = f"user-{uuid4().hex}", own_second()
    shown = await fill(records, [Made(1, "sea", False)] * 4, second, [user_id])
    ordered = sorted(shown, key=lambda image: image.position, reverse=True)
    selection = Selection(user_id=user_id)
    page = await records.page(selection, None, 2)
    newer = replace(
        an_image(user_id=user_id), upload_timestamp=timestamps.to_text(second + timedelta(1))
    )
    await records.create(newer)
    rest = await records.page(selection, page.next, 2)
    assert (page.images + rest.images, rest.next) == (tuple(ordered), None)


async def test_an_empty_list_has_no_next_page(records: ImageRecords) -> None:
    nowhere = timestamps.to_text(own_second())
    for selection in (
        Selection(user_id=f"user-{uuid4().hex}"),
        Selection(earliest=nowhere, latest=nowhere),
        Selection(earliest=LATER, latest="2000-01-01T00:00:00.000000Z"),
    ):
        page = await records.page(selection, None, 10)
        assert (page.images, page.next) == ((), None)


async def test_one_user_does_not_see_another_whose_name_begins_alike(
    records: ImageRecords,
) -> None:
    user_id = f"user-{uuid4().hex}"
    image = an_image(user_id=user_id)
    await records.create(image)
    await records.create(an_image(user_id=user_id + "x"))
    page = await records.page(Selection(user_id=user_id), None, 10)
    assert page.images == (image,)
