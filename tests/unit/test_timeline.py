"""Pages read from partitions are the list cut at every `limit`: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given
from hypothesis import settings as searching
from hypothesis import strategies as st

from service.errors import StoreUnavailable
from service.model import HIGHEST_ID, LOWEST_ID, Image, Page, Position, Selection
from service.storage.memory import MemoryImageRecords
from service.storage.timeline import Bounds, Chunk, Fetch, Reading, read_page
from tests.support.makers import an_id, an_image
from tests.support.partitions import FakeIndex

# Few instants, so that most images share theirs with others; the ends of the calendar among them.
INSTANTS = (
    "0001-01-01T00:00:00.000000Z",
    "2026-02-13T12:00:00.000000Z",
    "2026-02-13T12:00:00.000001Z",
    "2026-02-13T23:59:59.999999Z",
    "2026-02-14T00:00:00.000000Z",
    "9999-12-31T23:59:59.999999Z",
)
ORDERS = st.sampled_from(["desc", "asc"])
LIMITS = st.integers(1, 12)
PARTITIONS = st.one_of(st.just(1), st.integers(1, 16), st.just(16))


@st.composite
def some_images(draw: st.DrawFn, most: int = 40) -> list[Image]:
    instants = draw(st.lists(st.sampled_from(INSTANTS), max_size=most))
    tagged = draw(st.integers(0, (1 << most) - 1))
    return [
        an_image(
            image_id=an_id(number * 7919 % 10_007),
            upload_timestamp=instant,
            tags=("rare",) if tagged >> number & 1 else ("other",),
        )
        for number, instant in enumerate(instants)
    ]


@st.composite
def some_index(draw: st.DrawFn, most: int = 40) -> FakeIndex:
    return FakeIndex(
        draw(some_images(most)),
        partitions=draw(PARTITIONS),
        scramble=draw(st.integers(0, 1_000)),
        most=draw(st.sampled_from([1, 2, 5, 1_000])),
        tells_end=draw(st.booleans()),
    )


@st.composite
def some_selection(draw: st.DrawFn) -> Selection:
    bounds = st.none() | st.sampled_from(INSTANTS)
    return Selection(earliest=draw(bounds), latest=draw(bounds), order=draw(ORDERS))


def the_list(images: list[Image], selection: Selection) -> list[Image]:
    """What a list must show, told in the simplest way."""
    shown = [
        image
        for image in images
        if (selection.earliest or "") <= image.upload_timestamp <= (selection.latest or "A")
        and (selection.tag is None or selection.tag in image.tags)
    ]
    return sorted(
        shown,
        key=lambda image: (image.upload_timestamp, image.image_id),
        reverse=selection.order == "desc",
    )


async def walk(index: FakeIndex, selection: Selection, limit: int, reading: Reading) -> list[Page]:
    """All pages, first to last. Fails if a page does not lead on."""
    index.tag = selection.tag
    pages: list[Page] = []
    after: Position | None = None
    while True:
        page = await read_page(index.fetches(), selection, after, limit, reading)
        pages.append(page)
        if page.next is None:
            return pages
        if after is not None:
            onward = page.next < after if selection.order == "desc" else page.next > after
            assert onward, f"the page behind {after} leads to {page.next}"
        after = page.next


def shown_on(pages: list[Page]) -> list[Image]:
    return [image for page in pages for image in page.images]


@given(some_index(), some_selection(), LIMITS, st.integers(1, 15))
@searching(max_examples=150)
async def test_pages_are_the_list_in_slices_and_the_last_one_says_so(
    index: FakeIndex, selection: Selection, limit: int, rows: int
) -> None:
    expected = the_list(index.images, selection)
    pages = await walk(index, selection, limit, Reading(rows, None))
    cut = [expected[start : start + limit] for start in range(0, len(expected), limit)] or [[]]
    assert [list(page.images) for page in pages] == cut
    assert [page.next for page in pages[:-1]] == [page.images[-1].position for page in pages[:-1]]
    assert pages[-1].next is None


@given(some_index(), some_selection(), LIMITS, st.integers(1, 15))
async def test_pages_are_those_of_the_memory_store(
    index: FakeIndex, selection: Selection, limit: int, rows: int
) -> None:
    selection = replace(selection, tag="rare")
    records = MemoryImageRecords()
    for image in index.images:
        await records.create(image)
    for page in await _with_starts(index, selection, limit, Reading(rows, None)):
        assert page.made == await records.page(selection, page.start, limit)


@dataclass(frozen=True)
class _Made:
    start: Position | None
    made: Page


async def _with_starts(
    index: FakeIndex, selection: Selection, limit: int, reading: Reading
) -> list[_Made]:
    pages = await walk(index, selection, limit, reading)
    starts = [None, *(page.next for page in pages)]
    return [_Made(start, page) for start, page in zip(starts, pages, strict=False)]


@given(some_index(), some_selection(), LIMITS, st.integers(1, 15), st.integers(1, 30))
@searching(max_examples=150)
async def test_a_read_budget_makes_pages_short_but_loses_and_doubles_nothing(
    index: FakeIndex, selection: Selection, limit: int, rows: int, budget: int
) -> None:
    selection = replace(selection, tag="rare")
    pages = await walk(index, selection, limit, Reading(rows, budget))
    assert shown_on(pages) == the_list(index.images, selection)
    assert all(len(page.images) <= limit for page in pages)
    # Each page passes at least one instant, or shows at least one image.
    assert len(pages) <= len(INSTANTS) + len(index.images) + 2


@st.composite
def some_rare_matches(draw: st.DrawFn) -> FakeIndex:
    """Few matches, far apart: partitions run out of budget at different instants."""
    matches = draw(st.lists(st.booleans() | st.just(False), min_size=5, max_size=60))
    apart = draw(st.integers(1, 3))
    images = [
        an_image(
            image_id=an_id(number * 7919 % 10_007),
            upload_timestamp=f"2026-02-13T12:00:00.{number // apart:06}Z",
            tags=("rare",) if match else (),
        )
        for number, match in enumerate(matches)
    ]
    return FakeIndex(images, draw(st.integers(2, 4)), scramble=draw(st.integers(0, 9)))


@given(some_rare_matches(), ORDERS, LIMITS, st.integers(1, 4), st.integers(1, 8))
@searching(max_examples=200)
async def test_no_page_goes_past_what_a_partition_out_of_budget_may_still_hold(
    index: FakeIndex, order: str, limit: int, rows: int, budget: int
) -> None:
    selection = Selection(tag="rare", order="asc" if order == "asc" else "desc")
    pages = await walk(index, selection, limit, Reading(rows, budget))
    assert shown_on(pages) == the_list(index.images, selection)
    assert len(pages) <= 2 * len(index.images) + 1


@given(some_index(), ORDERS, LIMITS)
async def test_a_budget_that_is_not_used_up_leaves_pages_exact(
    index: FakeIndex, order: str, limit: int
) -> None:
    selection = Selection(tag="rare", order="asc" if order == "asc" else "desc")
    ample = await walk(index, selection, limit, Reading(10, 1_000))
    assert ample == await walk(index, selection, limit, Reading(10, None))


@given(some_index(), LIMITS, st.integers(1, 8), st.integers(1, 20))
async def test_a_short_page_means_that_some_partition_used_its_budget(
    index: FakeIndex, limit: int, rows: int, budget: int
) -> None:
    selection, index.tag, after = Selection(tag="rare"), "rare", None
    while True:
        index.reads.clear()
        page = await read_page(index.fetches(), selection, after, limit, Reading(rows, budget))
        if page.next is None:
            return
        if len(page.images) < limit:
            assert sum(index.reads) >= budget
        after = page.next


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("partitions", [1, 3, 16])
@pytest.mark.parametrize("budget", [None, 1, 40])
async def test_one_instant_with_more_images_than_anything_else_is_paged_through(
    order: str, partitions: int, budget: int | None
) -> None:
    tie = [an_image(image_id=an_id(number), tags=("rare",)) for number in range(200)]
    others = [
        an_image(image_id=an_id(1_000 + number), upload_timestamp=instant, tags=("rare",))
        for number, instant in enumerate(INSTANTS)
    ]
    index = FakeIndex(tie + others, partitions, scramble=5, most=20)
    selection = Selection(tag="rare", order="asc" if order == "asc" else "desc")
    pages = await walk(index, selection, 50, Reading(10, budget))
    assert shown_on(pages) == the_list(index.images, selection)


async def test_a_tie_larger_than_the_budget_that_no_tag_matches_is_got_past() -> None:
    tie = [an_image(image_id=an_id(number), tags=()) for number in range(500)]
    match = an_image(image_id=an_id(9_000), upload_timestamp=INSTANTS[0], tags=("rare",))
    index = FakeIndex([*tie, match], partitions=2)
    pages = await walk(index, Selection(tag="rare"), 10, Reading(5, 10))
    assert shown_on(pages) == [match]
    assert 1 < len(pages) <= 4


@given(st.data(), some_index(30), some_selection(), LIMITS, st.integers(1, 8))
@searching(max_examples=150)
async def test_what_comes_and_goes_between_pages_disturbs_nothing_else(
    data: st.DataObject, index: FakeIndex, selection: Selection, limit: int, rows: int
) -> None:
    budget = data.draw(st.none() | st.integers(1, 20), "budget")
    if budget is not None:
        selection = replace(selection, tag="rare")
    index.tag = selection.tag
    stayed = set(index.images)
    came: list[tuple[Image, Position | None]] = []
    shown: list[Image] = []
    after: Position | None = None
    while True:
        page = await read_page(index.fetches(), selection, after, limit, Reading(rows, budget))
        shown += page.images
        if page.next is None:
            break
        after = page.next
        if index.images and data.draw(st.booleans(), "delete one"):
            gone = data.draw(st.sampled_from(index.images), "deleted")
            index.images.remove(gone)
            stayed.discard(gone)
            came = [(image, since) for image, since in came if image is not gone]
        if len(came) < 6 and data.draw(st.booleans(), "insert one"):
            new = an_image(
                image_id=an_id(20_000 + data.draw(st.integers(0, 9), "id") * 10 + len(came)),
                upload_timestamp=data.draw(st.sampled_from(INSTANTS), "instant"),
                tags=("rare",),
            )
            if all(image.image_id != new.image_id for image in index.images):
                index.images.append(new)
                came.append((new, after))
    assert len(set(shown)) == len(shown)
    assert [image for image in shown if image in stayed] == the_list(list(stayed), selection)
    # What came ahead of where the walk stood is met, too; what came behind it is not.
    descending = selection.order == "desc"
    for image in the_list([image for image, _ in came], selection):
        since = dict(came)[image]
        assert since is not None
        assert (image in shown) == ((image.position < since) == descending)


@given(some_index(30), some_selection(), LIMITS, st.integers(1, 4), st.integers(0, 1 << 30))
async def test_what_goes_while_a_page_is_read_disturbs_nothing_else(
    index: FakeIndex, selection: Selection, limit: int, rows: int, fate: int
) -> None:
    doomed = [image for number, image in enumerate(index.images) if fate >> number & 1]
    stayed = [image for image in index.images if image not in doomed]
    waiting = list(doomed)

    def delete_one() -> None:
        if waiting:
            index.images.remove(waiting.pop())

    index.before_read = delete_one
    shown = shown_on(await walk(index, selection, limit, Reading(rows, None)))
    assert len(set(shown)) == len(shown)
    assert [image for image in shown if image in stayed] == the_list(stayed, selection)


@given(some_images(30), PARTITIONS, PARTITIONS, ORDERS, LIMITS)
async def test_a_position_holds_on_any_number_of_partitions(
    images: list[Image], before: int, behind: int, order: str, limit: int
) -> None:
    selection = Selection(order="asc" if order == "asc" else "desc")
    first = await read_page(
        FakeIndex(images, before).fetches(), selection, None, limit, Reading(3, None)
    )
    if first.next is None:
        return
    rest = await read_page(
        FakeIndex(images, behind, scramble=9).fetches(),
        selection,
        first.next,
        100,
        Reading(3, None),
    )
    assert [*first.images, *rest.images] == the_list(images, selection)


@given(some_images(30), some_selection(), st.sampled_from(INSTANTS), st.integers(0, 10_100))
@example([], Selection(), INSTANTS[0], 0)
async def test_a_page_may_start_behind_any_position_whether_an_image_is_there_or_not(
    images: list[Image], selection: Selection, instant: str, number: int
) -> None:
    after = Position(instant, an_id(number))
    page = await read_page(FakeIndex(images, 4).fetches(), selection, after, 100, Reading(3, None))
    descending = selection.order == "desc"
    assert list(page.images) == [
        image
        for image in the_list(images, selection)
        if image.position != after and (image.position < after) == descending
    ]


@pytest.mark.parametrize(("order", "edge"), [("desc", HIGHEST_ID), ("asc", LOWEST_ID)])
async def test_reading_goes_on_at_the_edge_of_the_instant_where_it_stopped(
    order: str, edge: str
) -> None:
    images = [an_image(image_id=an_id(number), tags=()) for number in range(9)]
    selection = Selection(tag="rare", order="asc" if order == "asc" else "desc")
    index = FakeIndex(images, tag="rare")
    page = await read_page(index.fetches(), selection, None, 5, Reading(3, 3))
    assert page == Page((), Position(images[0].upload_timestamp, edge))


async def test_bounds_that_exclude_everything_cost_no_read() -> None:
    index = FakeIndex([an_image()], partitions=4)
    selection = Selection(earliest=INSTANTS[2], latest=INSTANTS[4], order="desc")
    page = await read_page(
        index.fetches(), selection, Position(INSTANTS[1], an_id(1)), 5, Reading(3, None)
    )
    assert (page, index.reads) == (Page((), None), [])


async def test_a_page_asks_every_partition_at_once() -> None:
    asked: list[int] = []
    all_asked = asyncio.Event()

    def partition(number: int) -> Fetch:
        async def fetch(bounds: Bounds, descending: bool, rows: int, on: object | None) -> Chunk:
            asked.append(number)
            if len(asked) == 16:
                all_asked.set()
            await all_asked.wait()
            return Chunk((), 0, None)

        return fetch

    fetches = [partition(number) for number in range(16)]
    async with asyncio.timeout(5):
        page = await read_page(fetches, Selection(), None, 5, Reading(3, None))
    assert page == Page((), None)


async def test_a_page_reads_no_further_than_it_needs() -> None:
    images = [
        an_image(image_id=an_id(number), upload_timestamp=f"2026-02-13T12:00:00.{number:06}Z")
        for number in range(2_000)
    ]
    index = FakeIndex(images, partitions=16)
    await read_page(index.fetches(), Selection(), None, 50, Reading(7, None))
    assert sum(index.reads) <= 16 * 7 * 2


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_one_row_behind_a_page_is_enough_to_tell_that_more_follow(order: str) -> None:
    images = [
        an_image(image_id=an_id(number), upload_timestamp=f"2026-02-13T12:00:00.{number:06}Z")
        for number in range(25)
    ]
    index = FakeIndex(images)
    selection = Selection(order="asc" if order == "asc" else "desc")
    expected = the_list(images, selection)
    first = await read_page(index.fetches(), selection, None, 10, Reading(11, None))
    # The row that a page starts behind is read once more.
    second = await read_page(index.fetches(), selection, first.next, 10, Reading(12, None))
    assert [first.images, second.images] == [tuple(expected[:10]), tuple(expected[10:20])]
    assert [first.next, second.next] == [expected[9].position, expected[19].position]
    assert index.reads == [11, 12]


async def test_a_failing_partition_fails_the_page_as_itself() -> None:
    async def fail(bounds: Bounds, descending: bool, rows: int, on: object | None) -> Chunk:
        raise StoreUnavailable("DynamoDB", "down")

    fetches = [*FakeIndex([an_image()], partitions=2).fetches(), fail]
    with pytest.raises(StoreUnavailable):
        await read_page(fetches, Selection(), None, 5, Reading(3, None))
