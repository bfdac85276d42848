"""Every implementation of `ports.ImageRecords` keeps its word about single records."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from service.errors import DeletionPending, ImageMissing, NotOwner, RevisionMismatch
from service.model import COMPLETED, DELETING, PENDING, Edit, Image, Revision, Selection
from service.ports import ImageRecords

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOON = "2026-02-13T12:00:00.000000Z"
LATER = "2026-02-14T00:00:00.000000Z"
LATER_STILL = "2026-02-14T00:00:01.000000Z"
LATEST = "2026-02-28T00:00:00.000000Z"


def an_image(**different: Any) -> Image:
    """An image of a user of its own."""
    image_id = str(uuid4())
    user_id = f"user-{uuid4().hex}"
    image = Image(
        image_id=image_id,
        user_id=user_id,
        filename="Zürich im März 🏔️.png",
        content_type="image/png",
        file_size=10_485_760,
        upload_timestamp=NOON,
        s3_key=f"images/{user_id}/{image_id}_Z_rich.png",
        etag="0123456789abcdef0123456789abcdef",
        width=4000,
        height=3000,
        tags=("b", "a", "ä"),
        description="A day\nout",
    )
    return replace(image, **different)


async def listed(records: ImageRecords, image: Image) -> bool:
    pages = [
        await records.page(Selection(user_id=image.user_id), None, 10),
        await records.page(
            Selection(earliest=image.upload_timestamp, latest=image.upload_timestamp), None, 1000
        ),
    ]
    found = {image.image_id in {each.image_id for each in page.images} for page in pages}
    assert len(found) == 1, "the two lists must agree"
    return found.pop()


@pytest.mark.parametrize(
    "different",
    [
        {},
        {"tags": (), "description": None},
        {"tags": tuple(f"{n:02}" + "ü" * 48 for n in range(20)), "description": "ß" * 500},
        {"filename": "a\x00b\r\n\"'\\/..", "width": 1, "height": 1, "file_size": 1},
        {"upload_timestamp": "0001-01-01T00:00:00.000000Z"},
        {"upload_timestamp": "9999-12-31T23:59:59.999999Z"},
    ],
)
async def test_a_record_is_found_exactly_as_created(
    records: ImageRecords, different: dict[str, Any]
) -> None:
    image = an_image(**different)
    assert await records.create(image) is None
    assert await records.find(image.image_id) == image
    assert await records.find_many([image.image_id]) == {image.image_id: image}
    page = await records.page(Selection(user_id=image.user_id), None, 10)
    assert (page.images, page.next) == ((image,), None)


async def test_a_record_that_was_never_created_is_not_found(records: ImageRecords) -> None:
    assert await records.find(str(uuid4())) is None
    assert await records.find_many([str(uuid4())]) == {}
    assert await records.find_many([]) == {}


async def test_an_id_that_is_taken_keeps_its_record(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    rival = replace(image, user_id="somebody-else", filename="other.png")
    assert await records.create(rival) == image
    assert await records.find(image.image_id) == image


async def test_creating_again_returns_what_is_in_place(records: ImageRecords) -> None:
    image = an_image()
    assert await records.create(image) is None
    assert await records.create(replace(image, upload_timestamp=LATER)) == image


async def test_an_id_that_is_being_deleted_is_taken_too(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    await records.mark_deleting(image.image_id, image.user_id, LATER)
    in_place = await records.create(image)
    assert in_place == replace(image, status=DELETING)


async def test_of_ten_creations_at_once_exactly_one_is_made(records: ImageRecords) -> None:
    image = an_image()
    rivals = [replace(image, user_id=f"rival-{n}") for n in range(10)]
    in_place = await asyncio.gather(*(records.create(rival) for rival in rivals))
    winners = [rival for rival, other in zip(rivals, in_place, strict=True) if other is None]
    assert len(winners) == 1
    assert await records.find(image.image_id) == winners[0]
    assert {other for other in in_place if other is not None} == {winners[0]}


async def test_a_pending_record_is_found_but_in_no_list(records: ImageRecords) -> None:
    pending = an_image(status=PENDING)
    assert await records.create(pending) is None
    assert await records.find(pending.image_id) == pending
    assert not await listed(records, pending)
    with pytest.raises(ImageMissing):
        await records.edit(pending.image_id, pending.user_id, Edit(tags=()), revisions=None)
    with pytest.raises(ImageMissing):
        await records.mark_deleting(pending.image_id, pending.user_id, LATER)


async def test_publishing_completes_a_pending_record_as_of_now(records: ImageRecords) -> None:
    pending = an_image(status=PENDING)
    await records.create(pending)
    published = await records.publish(pending, LATER)
    assert published == replace(pending, status=COMPLETED, upload_timestamp=LATER)
    assert await records.find(pending.image_id) == published
    assert await listed(records, published)
    assert await records.publish(pending, LATER_STILL) is None
    assert await records.find(pending.image_id) == published


async def test_of_ten_publications_at_once_exactly_one_is_made(records: ImageRecords) -> None:
    pending = an_image(status=PENDING)
    await records.create(pending)
    published = await asyncio.gather(*(records.publish(pending, LATER) for _ in range(10)))
    assert [each is None for each in published].count(False) == 1


async def test_a_pending_record_gives_way_to_another_once(records: ImageRecords) -> None:
    first = an_image(status=PENDING)
    second = replace(first, etag="f" * 32, width=7, upload_timestamp=LATER)
    third = replace(first, etag="e" * 32)
    await records.create(first)
    assert await records.replace_pending(first, second)
    assert not await records.replace_pending(first, third)
    assert await records.find(first.image_id) == second
    assert await records.publish(first, LATER) is None
    assert await records.publish(second, LATER) is not None
    assert not await records.replace_pending(second, third)


async def test_only_what_is_pending_can_be_abandoned(records: ImageRecords) -> None:
    pending = an_image(status=PENDING)
    await records.create(pending)
    await records.abandon(replace(pending, etag="f" * 32))
    assert await records.find(pending.image_id) == pending
    await records.abandon(pending)
    await records.abandon(pending)
    assert await records.find(pending.image_id) is None
    completed = an_image()
    await records.create(completed)
    await records.abandon(completed)
    assert await records.find(completed.image_id) == completed


async def test_many_are_found_at_once_with_repeats_and_gaps(records: ImageRecords) -> None:
    images = [an_image() for _ in range(99)]
    await asyncio.gather(*(records.create(image) for image in images))
    await records.mark_deleting(images[0].image_id, images[0].user_id, LATER)
    ids = [image.image_id for image in images]
    found = await records.find_many([*ids, str(uuid4())])
    assert found == {
        image.image_id: image for image in [replace(images[0], status=DELETING), *images[1:]]
    }
    assert set(await records.find_many([ids[3], ids[3]])) == {ids[3]}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (Edit(tags=("x", "y")), {"tags": ("x", "y")}),
        (Edit(tags=()), {"tags": ()}),
        (Edit(description="new"), {"description": "new"}),
        (Edit(description=None), {"description": None}),
        (Edit(tags=("x",), description=None), {"tags": ("x",), "description": None}),
        (Edit(), {}),
    ],
)
async def test_an_edit_changes_what_it_names_and_counts(
    records: ImageRecords, edit: Edit, expected: dict[str, Any]
) -> None:
    image = an_image()
    await records.create(image)
    edited = await records.edit(image.image_id, image.user_id, edit, revisions=None)
    assert edited == replace(image, revision=2, **expected)
    assert await records.find(image.image_id) == edited
    page = await records.page(Selection(user_id=image.user_id), None, 10)
    assert page.images == (edited,)


async def test_an_empty_description_is_not_the_same_as_none(
    records: ImageRecords, request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.params["records"] == "dynamodb-local":
        pytest.skip("this DynamoDB Local is older than DynamoDB's empty strings (May 2020)")
    image = an_image(description="")
    await records.create(image)
    assert await records.find(image.image_id) == image
    cleared = await records.edit(
        image.image_id, image.user_id, Edit(description=None), revisions=None
    )
    assert cleared.description is None
    emptied = await records.edit(
        image.image_id, image.user_id, Edit(description=""), revisions=None
    )
    assert emptied.description == ""


async def test_clearing_a_description_that_is_not_there_is_fine(records: ImageRecords) -> None:
    image = an_image(description=None)
    await records.create(image)
    edited = await records.edit(
        image.image_id, image.user_id, Edit(description=None), revisions=None
    )
    assert edited.description is None


async def test_an_edit_of_the_state_it_names_is_made_once(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    first = Revision(image.upload_timestamp, 1)
    await records.edit(image.image_id, image.user_id, Edit(tags=("x",)), revisions=(first,))
    with pytest.raises(RevisionMismatch):
        await records.edit(image.image_id, image.user_id, Edit(tags=("y",)), revisions=(first,))
    second = Revision(image.upload_timestamp, 2)
    edited = await records.edit(
        image.image_id, image.user_id, Edit(tags=("z",)), revisions=(second,)
    )
    assert (edited.tags, edited.revision) == (("z",), 3)


async def test_the_revision_of_another_instant_does_not_match(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    with pytest.raises(RevisionMismatch):
        await records.edit(
            image.image_id, image.user_id, Edit(tags=()), revisions=(Revision(LATER, 1),)
        )
    assert await records.find(image.image_id) == image


async def test_of_ten_edits_of_one_state_exactly_one_is_made(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    outcomes = await asyncio.gather(
        *(
            records.edit(
                image.image_id,
                image.user_id,
                Edit(description=str(n)),
                revisions=(Revision(NOON, 1),),
            )
            for n in range(10)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Image) for each in outcomes) == 1
    assert sum(isinstance(each, RevisionMismatch) for each in outcomes) == 9


async def test_nothing_missing_can_be_edited(records: ImageRecords) -> None:
    with pytest.raises(ImageMissing) as failure:
        await records.edit(str(uuid4()), "a", Edit(tags=()), revisions=None)
    assert not isinstance(failure.value, DeletionPending)


async def test_one_matching_state_of_several_is_enough(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    states = (Revision(LATER, 1), Revision(NOON, 7), Revision(image.upload_timestamp, 1))
    edited = await records.edit(image.image_id, image.user_id, Edit(tags=()), revisions=states)
    assert edited.revision == 2


@pytest.mark.parametrize("revisions", [None, (Revision(NOON, 1),), (Revision(LATER, 7),)])
async def test_nobody_elses_image_can_be_edited(
    records: ImageRecords, revisions: tuple[Revision, ...] | None
) -> None:
    image = an_image()
    await records.create(image)
    with pytest.raises(NotOwner):
        await records.edit(image.image_id, "somebody-else", Edit(tags=()), revisions=revisions)
    assert await records.find(image.image_id) == image


async def test_nothing_that_is_being_deleted_can_be_edited(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    await records.mark_deleting(image.image_id, image.user_id, LATER)
    for user_id in (image.user_id, "somebody-else"):
        with pytest.raises(ImageMissing):
            await records.edit(image.image_id, user_id, Edit(tags=()), revisions=None)


async def test_a_marked_image_is_found_but_in_no_list(records: ImageRecords) -> None:
    image = an_image(upload_timestamp="2031-02-13T12:00:00.000000Z")
    await records.create(image)
    assert await listed(records, image)
    marked = await records.mark_deleting(image.image_id, image.user_id, LATER)
    assert marked == image
    assert marked.status == COMPLETED
    assert await records.find(image.image_id) == replace(image, status=DELETING)
    assert not await listed(records, image)


async def test_a_second_mark_finds_the_first_and_what_it_marked(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    await records.mark_deleting(image.image_id, image.user_id, LATER)
    with pytest.raises(DeletionPending) as failure:
        await records.mark_deleting(image.image_id, image.user_id, LATER_STILL)
    assert failure.value.image == replace(image, status=DELETING)


async def test_nothing_missing_can_be_marked(records: ImageRecords) -> None:
    with pytest.raises(ImageMissing) as failure:
        await records.mark_deleting(str(uuid4()), "a", LATER)
    assert not isinstance(failure.value, DeletionPending)


async def test_nobody_elses_image_can_be_marked(records: ImageRecords) -> None:
    image = an_image(upload_timestamp="2032-02-13T12:00:00.000000Z")
    await records.create(image)
    with pytest.raises(NotOwner):
        await records.mark_deleting(image.image_id, "somebody-else", LATER)
    assert await records.find(image.image_id) == image
    assert await listed(records, image)


async def test_somebody_elses_image_is_gone_once_it_is_marked(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    await records.mark_deleting(image.image_id, image.user_id, LATER)
    with pytest.raises(ImageMissing) as failure:
        await records.mark_deleting(image.image_id, "somebody-else", LATER_STILL)
    assert not isinstance(failure.value, DeletionPending)


async def test_of_ten_marks_at_once_exactly_one_is_made(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    outcomes = await asyncio.gather(
        *(
            records.mark_deleting(image.image_id, image.user_id, f"2026-02-14T00:00:0{n}.000000Z")
            for n in range(10)
        ),
        return_exceptions=True,
    )
    assert [each for each in outcomes if isinstance(each, Image)] == [image]
    assert sum(isinstance(each, DeletionPending) for each in outcomes) == 9


async def test_of_marks_in_the_same_instant_exactly_one_is_made(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    outcomes = await asyncio.gather(
        *(records.mark_deleting(image.image_id, image.user_id, LATER) for _ in range(10)),
        return_exceptions=True,
    )
    assert [each for each in outcomes if isinstance(each, Image)] == [image]


async def test_an_old_mark_is_taken_over_by_exactly_one(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    await records.mark_deleting(image.image_id, image.user_id, LATER)
    takers = (records.take_over(image.image_id, LATER_STILL, LATEST) for _ in range(10))
    taken = [each for each in await asyncio.gather(*takers) if each is not None]
    assert taken == [replace(image, status=DELETING)]


async def test_a_young_mark_and_what_is_not_marked_are_not_taken_over(
    records: ImageRecords,
) -> None:
    image = an_image()
    assert await records.take_over(image.image_id, LATER, LATER_STILL) is None
    await records.create(image)
    assert await records.take_over(image.image_id, LATER, LATER_STILL) is None
    assert await records.find(image.image_id) == image
    await records.mark_deleting(image.image_id, image.user_id, LATER)
    assert await records.take_over(image.image_id, LATER, LATER_STILL) is None


async def test_a_marked_record_is_removed_and_its_id_is_free_again(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    await records.mark_deleting(image.image_id, image.user_id, LATER)
    await records.remove(image.image_id)
    assert await records.find(image.image_id) is None
    await records.remove(image.image_id)
    assert await records.create(image) is None
    assert await records.find(image.image_id) == image


async def test_a_record_that_is_not_marked_stays(records: ImageRecords) -> None:
    image = an_image()
    await records.create(image)
    await records.remove(image.image_id)
    assert await records.find(image.image_id) == image


async def test_removing_what_is_not_there_is_fine(records: ImageRecords) -> None:
    gone = str(uuid4())
    await records.remove(gone)
    assert await records.find(gone) is None


async def test_a_table_that_is_there_passes_the_check(records: ImageRecords) -> None:
    assert await records.check() is None  # type: ignore[func-returns-value]
