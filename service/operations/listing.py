"""Lists of images, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass

from service.model import Image, Selection
from service.operations.desk import Desk
from service.values import value


@dataclass(frozen=True, slots=True)
class ListImages:
    """Which images, how many of them, and where to go on (`next_token` of the page before)."""

    selection: Selection
    limit: int
    next_token: str | None = None


@value(frozen=True, slots=True)
class ImageList:
    """One page. `next_token` is None on the last one."""

    images: tuple[Image, ...]
    next_token: str | None


async def list_images(desk: Desk, request: ListImages) -> ImageList:
    """One page of a list. Raises CursorForged."""
    selection, token = request.selection, request.next_token
    after = None if token is None else desk.sealer.open(token, selection)
    page = await desk.records.page(selection, after, request.limit)
    return ImageList(
        page.images, None if page.next is None else desk.sealer.seal(page.next, selection)
    )
