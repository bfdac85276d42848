"""Deleting what a run made, in bounded time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import aclosing

from service.client import ImageNotFound, MontClient, MontError
from service.client.calls import LARGEST_BATCH
from service.client.concurrency import as_done
from service.load.results import Cleaned

_AT_ONCE = 16


async def clean(
    mont: MontClient, images: Mapping[str, str | None], made: int, seconds: float
) -> Cleaned:
    """Delete these (image id -> user) within so many seconds; what became of them."""
    left = dict(images)
    why = ""

    async def delete(batch: tuple[str | None, list[str]]) -> str:
        user, ids = batch
        try:
            outcomes = await mont.delete_many(ids, user_id=user)
        except MontError as error:
            return str(error)
        trouble = ""
        for outcome in outcomes:
            if outcome.error is None or isinstance(outcome.error, ImageNotFound):
                left.pop(outcome.image_id, None)
            else:
                trouble = str(outcome.error)
        return trouble

    try:
        async with asyncio.timeout(seconds):
            async with aclosing(as_done(_batches(images), delete, _AT_ONCE)) as troubles:
                async for trouble in troubles:
                    why = trouble or why
    except TimeoutError:
        why = why or f"the {seconds:g} seconds for it were over"
    remaining = tuple((user, image_id) for image_id, user in left.items())
    return Cleaned(made, len(images) - len(left), remaining, why if remaining else "")


def _batches(images: Mapping[str, str | None]) -> list[tuple[str | None, list[str]]]:
    by_user: dict[str | None, list[str]] = defaultdict(list)
    for image_id, user in images.items():
        by_user[user].append(image_id)
    return [
        (user, ids[start : start + LARGEST_BATCH])
        for user, ids in by_user.items()
        for start in range(0, len(ids), LARGEST_BATCH)
    ]
