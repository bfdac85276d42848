"""What a caller gets to see. An image of somebody else looks like one that does not exist.

Held here, around the records, so that every use case keeps to it, those to come included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from service.auth.callers import Caller
from service.errors import ImageMissing, MontError, NotAllowed, NotOwner
from service.model import Edit, Image, Page, Position, Revision, Selection
from service.operations.desk import Desk
from service.ports import ImageRecords


def desk_for(desk: Desk, caller: Caller) -> Desk:
    """The desk as this caller sees it: with its own images alone, unless it may act for any."""
    if caller.user_id is None:
        return desk
    return replace(desk, records=OwnRecords(desk.records, caller.user_id))


def as_seen_by(caller: Caller, error: MontError) -> MontError:
    """The error as this caller may know it.

    "Not the owner" tells that the image exists. Whoever only claims to be somebody may try again
    as somebody else, a user must not learn it, and a service that named the wrong user may.
    """
    if not caller.verified or not isinstance(error, NotOwner):
        return error
    if caller.any_user:
        return NotAllowed("This image belongs to another user_id.")
    return ImageMissing()


class OwnRecords:
    """`ports.ImageRecords` with those of one user only.

    Costs no call of its own: what the store finds for others is left out after the same call.
    """

    __slots__ = ("_records", "_user_id")

    def __init__(self, records: ImageRecords, user_id: str) -> None:
        self._records = records
        self._user_id = user_id

    async def demand_room(self, user_id: str, size: int) -> None:
        """See `ports.ImageRecords`."""
        self._demand(user_id)
        await self._records.demand_room(user_id, size)

    async def create(self, image: Image) -> Image | None:
        """See `ports.ImageRecords`."""
        self._demand(image.user_id)
        return await self._records.create(image)

    async def replace_pending(self, pending: Image, image: Image) -> bool:
        """See `ports.ImageRecords`."""
        self._demand(pending.user_id)
        self._demand(image.user_id)
        return await self._records.replace_pending(pending, image)

    async def publish(self, pending: Image, upload_timestamp: str) -> Image | None:
        """See `ports.ImageRecords`."""
        self._demand(pending.user_id)
        return await self._records.publish(pending, upload_timestamp)

    async def abandon(self, pending: Image) -> None:
        """See `ports.ImageRecords`."""
        self._demand(pending.user_id)
        await self._records.abandon(pending)

    async def find(self, image_id: str) -> Image | None:
        """See `ports.ImageRecords`."""
        image = await self._records.find(image_id)
        return image if image is not None and image.user_id == self._user_id else None

    async def find_many(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """See `ports.ImageRecords`."""
        found = await self._records.find_many(image_ids)
        return {name: image for name, image in found.items() if image.user_id == self._user_id}

    async def edit(
        self,
        image_id: str,
        user_id: str,
        edit: Edit,
        *,
        revisions: tuple[Revision, ...] | None,
    ) -> Image:
        """See `ports.ImageRecords`; raises ImageMissing instead of NotOwner."""
        self._demand(user_id)
        try:
            return await self._records.edit(image_id, user_id, edit, revisions=revisions)
        except NotOwner as error:
            raise ImageMissing from error

    async def mark_deleting(self, image_id: str, user_id: str, since: str) -> Image:
        """See `ports.ImageRecords`; raises ImageMissing instead of NotOwner."""
        self._demand(user_id)
        try:
            return await self._records.mark_deleting(image_id, user_id, since)
        except NotOwner as error:
            raise ImageMissing from error

    async def take_over(self, image_id: str, before: str, since: str) -> Image | None:
        """See `ports.ImageRecords`. Only what this user marked gets here."""
        return await self._records.take_over(image_id, before, since)

    async def remove(self, image_id: str) -> None:
        """See `ports.ImageRecords`. Only what this user marked gets here."""
        await self._records.remove(image_id)

    async def page(self, selection: Selection, after: Position | None, limit: int) -> Page:
        """See `ports.ImageRecords`."""
        self._demand(selection.user_id)
        return await self._records.page(selection, after, limit)

    async def check(self) -> None:
        """See `ports.ImageRecords`."""
        await self._records.check()

    def _demand(self, user_id: str | None) -> None:
        # The pipeline has seen to it already. An endpoint that forgot its user_id ends here.
        if user_id != self._user_id:
            raise NotAllowed
