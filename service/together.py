"""Doing several things at once, with every task owned and errors raised bare."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def together(work: Iterable[Coroutine[Any, Any, A]]) -> list[A]:
    """All results, in order. The first failure ends the rest and is raised as itself.

    A TaskGroup alone would raise an ExceptionGroup, which no caller here expects.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raise _first(failures) from failures
    return [task.result() for task in tasks]


async def both(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Two results of different types, worked out at once; failures as in `together`."""
    left, right = await together([_tagged(first), _tagged(second)])
    return left, right  # type: ignore[return-value]  # together keeps order, not types


async def _tagged(work: Coroutine[Any, Any, object]) -> object:
    return await work


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
