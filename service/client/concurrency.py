"""Working on many things, a few at once."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
)
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def as_done(
    items: Iterable[T] | AsyncIterable[T],
    work: Callable[[T], Coroutine[Any, Any, R]],
    limit: int,
) -> AsyncGenerator[R, None]:
    """The results of `work` on each item, as they come; never more than `limit` at once.

    Items are taken as they are needed, so there may be any number. Closing the iterator early
    cancels what is under way, and waits for it.
    """
    source = _each(items)
    running: set[asyncio.Task[R]] = set()
    taking: asyncio.Task[T] | None = asyncio.create_task(_next(source))
    try:
        while taking is not None or running:
            waited: set[asyncio.Task[Any]] = set(running)
            if taking is not None and len(running) < limit:
                waited.add(taking)
            done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if taking is not None and taking in done:
                try:
                    running.add(asyncio.create_task(work(taking.result())))
                    taking = asyncio.create_task(_next(source))
                except _Exhausted:
                    taking = None
            for task in [each for each in running if each in done]:
                running.discard(task)
                yield task.result()
    finally:
        left: list[asyncio.Task[Any]] = [*running, *([taking] if taking is not None else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await source.aclose()


class _Exhausted(Exception):
    """There is no further item. A task cannot end with StopAsyncIteration."""


async def _next(source: AsyncIterator[T]) -> T:
    try:
        return await anext(source)
    except StopAsyncIteration:
        raise _Exhausted from None


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
