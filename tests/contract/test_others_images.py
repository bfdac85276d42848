"""Somebody else's image costs the store the same calls as one that does not exist.

Or the time that an answer takes would tell what its body keeps quiet about.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest

from service.auth.callers import Caller
from service.auth.scope import OwnRecords, as_seen_by
from service.errors import ImageMissing, NotAllowed, NotOwner, RevisionMismatch
from service.model import Edit, Image, Revision, Selection
from service.ports import ImageRecords
from service.storage.dynamodb import DynamoDBImageRecords, names_of
from tests.support.makers import NOON, an_image
from tests.support.stores import provisioned, random_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

Probe = Callable[[ImageRecords, str], Awaitable[object]]


class Counted:
    """A client that notes its calls."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(**asked: Any) -> Any:
            self.calls.append(name)
            return getattr(self._client, name)(**asked)

        return call


async def find(records: ImageRecords, image_id: str) -> object:
    return await records.find(image_id)


async def find_many(records: ImageRecords, image_id: str) -> object:
    return await records.find_many([image_id])


async def edit(records: ImageRecords, image_id: str) -> object:
    return await records.edit(image_id, "bob", Edit(tags=("x",)), revisions=None)


async def delete(records: ImageRecords, image_id: str) -> object:
    return await records.mark_deleting(image_id, "bob", NOON)


async def outcome(probe: Probe, records: ImageRecords, image_id: str) -> object:
    try:
        return await probe(records, image_id)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("probe", [find, find_many, edit, delete])
async def test_what_belongs_to_someone_else_is_missing_in_as_many_calls(
    embedded: str, probe: Probe
) -> None:
    settings = random_settings(embedded)
    async with provisioned(settings) as clients:
        client = Counted(clients.dynamodb)
        names = names_of(settings)
        records = DynamoDBImageRecords(client, names)
        anns, going = (an_image(image_id=str(uuid4())) for _ in range(2))
        for image in (anns, going):
            await records.create(image)
        await records.mark_deleting(going.image_id, "ann", NOON)
        bobs = OwnRecords(records, "bob")
        client.calls.clear()
        seen = []
        for image_id in (str(uuid4()), anns.image_id, going.image_id):
            seen.append((await outcome(probe, bobs, image_id), tuple(client.calls)))
            client.calls.clear()
        assert seen[0] == seen[1] == seen[2]
        assert seen[0][1]
        assert await records.find(anns.image_id) == anns


async def test_a_user_does_everything_with_its_own_images(records: ImageRecords) -> None:
    user = f"user-{uuid4().hex}"
    own = OwnRecords(records, user)
    image = an_image(image_id=str(uuid4()), user_id=user)
    assert await own.create(image) is None
    assert await own.find(image.image_id) == image
    assert await own.find_many([image.image_id]) == {image.image_id: image}
    assert (await own.page(Selection(user), None, 10)).images == (image,)
    with pytest.raises(RevisionMismatch):
        await own.edit(image.image_id, user, Edit(), revisions=(Revision(NOON, 99),))
    assert (await own.edit(image.image_id, user, Edit(tags=()), revisions=None)).tags == ()
    assert (await own.mark_deleting(image.image_id, user, NOON)).image_id == image.image_id
    await own.remove(image.image_id)
    assert await records.find(image.image_id) is None
    await own.check()


async def test_an_endpoint_that_forgot_whom_it_works_for_gets_nowhere(
    records: ImageRecords,
) -> None:
    own = OwnRecords(records, "bob")
    image: Image = an_image(image_id=str(uuid4()))
    for work in (
        own.create(image),
        own.replace_pending(image, image),
        own.publish(image, NOON),
        own.abandon(image),
        own.edit(image.image_id, "ann", Edit(), revisions=None),
        own.mark_deleting(image.image_id, "ann", NOON),
        own.page(Selection("ann"), None, 10),
        own.page(Selection(), None, 10),
    ):
        with pytest.raises(NotAllowed):
            await work


@pytest.mark.parametrize(
    ("caller", "seen"),
    [
        (Caller(None, any_user=True, verified=False), NotOwner),
        (Caller("bob", any_user=False, verified=True), ImageMissing),
        (Caller(None, any_user=True, verified=True), NotAllowed),
    ],
)
async def test_not_the_owner_is_what_the_caller_may_know_of_it(caller: Caller, seen: type) -> None:
    assert type(as_seen_by(caller, NotOwner())) is seen
    assert type(as_seen_by(caller, RevisionMismatch())) is RevisionMismatch
