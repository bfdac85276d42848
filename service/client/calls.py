"""Calls on images by their ids that take more than one request, or more than one look.

An attempt whose answer was lost may have done its work. What the next attempt is then told (gone
already, changed already) is its success, and is not passed on as a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from service.client.errors import ImageNotFound, MontError, RevisionMismatch, problem_of
from service.client.transport import Answer, Transport
from service.client.values import (
    Deleted,
    Document,
    Image,
    Keep,
    Linked,
    objects,
    read_image,
    read_link,
    read_problem,
    text,
)

LARGEST_BATCH = 100
_RETAG_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Change:
    """What to change; `if_match` is the revision that must not have changed."""

    tags: Sequence[str] | Keep | None
    description: str | Keep | None
    if_match: str | None = None

    @property
    def document(self) -> dict[str, object]:
        """Only what is changed."""
        change: dict[str, object] = {}
        if not isinstance(self.tags, Keep):
            change["tags"] = None if self.tags is None else list(self.tags)
        if not isinstance(self.description, Keep):
            change["description"] = self.description
        return change

    def is_made_in(self, image: Image) -> bool:
        """Whether the image is as this makes it."""
        same_tags = isinstance(self.tags, Keep) or tuple(self.tags or ()) == image.tags
        return same_tags and (
            isinstance(self.description, Keep) or self.description == image.description
        )


def path_of(image_id: str) -> str:
    """An image's path. An id from who knows where must not become another one."""
    return f"/images/{quote(image_id, safe='')}"


async def find_image(transport: Transport, image_id: str) -> Image:
    """One image with its revision. Raises MontError."""
    return _image(await transport.call("GET", path_of(image_id)))


async def edit_image(transport: Transport, image_id: str, change: Change, who: Document) -> Image:
    """Change it; the image as it is now. Raises MontError."""
    headers = {} if change.if_match is None else {"If-Match": change.if_match}
    body = {**change.document, **who}
    try:
        return _image(await transport.call("PATCH", path_of(image_id), body, headers=headers))
    except RevisionMismatch as mismatch:
        if not mismatch.repeated:
            raise
        image = await find_image(transport, image_id)
        if not change.is_made_in(image):
            raise
        return image


async def retag_image(
    transport: Transport, image_id: str, add: list[str], remove: set[str], who: Document
) -> Image:
    """Add and remove tags of what is there then. Raises MontError."""
    for attempt in range(1, _RETAG_ATTEMPTS + 1):
        image = await find_image(transport, image_id)
        kept = [tag for tag in image.tags if tag not in remove]
        tags = tuple(dict.fromkeys([*kept, *add]))
        if tags == image.tags:
            return image
        try:
            change = Change(tags, Keep.KEEP, image.revision)
            return await edit_image(transport, image_id, change, who)
        except RevisionMismatch:
            if attempt == _RETAG_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


async def delete_image(transport: Transport, image_id: str, who: Document) -> None:
    """Delete it. Raises MontError."""
    try:
        await transport.call("DELETE", path_of(image_id), who)
    except ImageNotFound as missing:
        if not missing.repeated:
            raise


async def delete_images(transport: Transport, image_ids: list[str], who: Document) -> list[Deleted]:
    """Delete all of these; the outcome of each, in order. Raises MontError."""
    return [
        Deleted(image_id, None if isinstance(error, ImageNotFound) and error.repeated else error)
        for image_id, _, error in await _batch(transport, "/images/delete", image_ids, who)
    ]


async def link_images(transport: Transport, image_ids: list[str], who: Document) -> list[Linked]:
    """Links to all of these; the outcome of each, in order. Raises MontError."""
    results = await _batch(transport, "/images/download-urls", image_ids, who)
    return [
        Linked(image_id, error=error)
        if error is not None
        else Linked(image_id, link=read_link(result))
        for image_id, result, error in results
    ]


async def _batch(
    transport: Transport, path: str, image_ids: list[str], who: Document
) -> list[tuple[str, Document, MontError | None]]:
    results: list[tuple[str, Document, MontError | None]] = []
    for start in range(0, len(image_ids), LARGEST_BATCH):
        body = {"image_ids": image_ids[start : start + LARGEST_BATCH], **who}
        answer = await transport.call("POST", path, body)
        results += [
            (text(each, "image_id"), each, _item_error(each, answer.repeated))
            for each in objects(answer.document, "results")
        ]
    return results


def _item_error(result: Document, repeated: bool) -> MontError | None:
    # A good answer's status is a word, a problem's is a number.
    status = result.get("status")
    if not isinstance(status, int):
        return None
    problem = problem_of(read_problem(result, status, request_id=None, retry_after=None))
    problem.repeated = repeated
    return problem


def _image(answer: Answer) -> Image:
    return read_image(answer.document, answer.revision)
