"""Uploading many files from disk so that it can be interrupted anywhere and done again.

What is uploaded goes into a journal at once. A file that the journal knows is not even read, once
the service has said that its image is there; one that was moved or touched is known by its
content. What was under way is sent again under a key made from its content, so it becomes the
image that it may have become already.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

from service.client.calls import LARGEST_BATCH
from service.client.concurrency import as_done
from service.client.content import ContentKey, image_files, sha256_of
from service.client.errors import (
    ConnectionFailed,
    ImageNotFound,
    InvalidFields,
    MontError,
    NotAllowed,
    NotFound,
    ServiceFailed,
    StorageQuotaExceeded,
    Throttled,
    Unauthorized,
    UnexpectedAnswer,
)
from service.client.forms import Progress
from service.client.journal import Entry, Journal
from service.client.mont import MontClient
from service.client.values import Linked

_HOPELESS = (
    ConnectionFailed,
    NotAllowed,
    ServiceFailed,
    StorageQuotaExceeded,
    Throttled,
    Unauthorized,
    UnexpectedAnswer,
)
_SAID_OF_ALL = re.compile(r"body\.(user_id|tags|description)\b")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Files to upload with their sizes; what cannot be, as (path, why)."""

    files: tuple[tuple[Path, int], ...]
    problems: tuple[tuple[Path, OSError], ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size in self.files)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file. `known`: it had been uploaded before."""

    path: Path
    image_id: str | None = None
    known: bool = False
    error: MontError | OSError | None = None


def choose(paths: Iterable[Path], *, recursive: bool) -> Chosen:
    """Each file once; folders stand for the image files in them. Never raises OSError."""
    files: dict[Path, tuple[Path, int]] = {}
    problems: list[tuple[Path, OSError]] = []
    for given in paths:
        found: list[Path | OSError] = [given]
        if given.is_dir():
            found = [*image_files(given, recursive=recursive)]
        if not found:
            # Whoever named it takes silence for success.
            problems.append((given, _nothing_in(given, recursive=recursive)))
        for path in found:
            try:
                if isinstance(path, OSError):
                    raise path
                files.setdefault(path.resolve(), (path, path.stat().st_size))
            except OSError as error:
                problems.append((Path(error.filename or given), error))
    return Chosen(tuple(files.values()), tuple(problems))


def _nothing_in(folder: Path, *, recursive: bool) -> OSError:
    deeper = not recursive and any(image_files(folder, recursive=True))
    return OSError("no image files" + ("; --recursive looks into its folders" if deeper else ""))


@dataclass(frozen=True, slots=True)
class FolderUpload:
    """How to upload each file. `bar` gives what to tell how far a file of this name is."""

    mont: MontClient
    journal: Journal
    tags: Sequence[str]
    description: str | None
    bar: Callable[[str], AbstractContextManager[Progress | None]]

    async def run(self, paths: Iterable[Path], jobs: int) -> AsyncGenerator[Result, None]:
        """The result of each file as it comes; after one that is hopeless no other is begun.

        Those under way come to their ends, but what they fail with for the same reason is not
        said again. Raises MontError where the service cannot say what it has.
        """
        paths, turns = list(paths), _Turns()
        there = await self._ask_for_known(paths, jobs)
        hopeless = False

        async def upload(path: Path) -> Result | None:
            if hopeless:
                return None
            try:
                return await self._one(path, turns, there)
            except (MontError, OSError) as error:
                return Result(path, error=error)

        async with aclosing(as_done(paths, upload, jobs)) as results:
            async for result in results:
                fails_too = result is not None and is_hopeless(result.error)
                if result is not None and not (hopeless and fails_too):
                    hopeless = hopeless or fails_too
                    yield result

    async def _ask_for_known(self, paths: list[Path], jobs: int) -> set[str]:
        """The images of known files that the service has; the journal forgets the others."""

        async def ask(ids: list[str]) -> list[Linked]:
            return await self.mont.links(ids)

        known = await asyncio.to_thread(self._known, paths)
        chunks = [
            known[start : start + LARGEST_BATCH] for start in range(0, len(known), LARGEST_BATCH)
        ]
        gone: set[str] = set()
        async with aclosing(as_done(chunks, ask, jobs)) as answers:
            async for answer in answers:
                gone |= {each.image_id for each in answer if isinstance(each.error, ImageNotFound)}
        self.journal.forget(gone)
        return {*known} - gone

    def _known(self, paths: list[Path]) -> list[str]:
        found: dict[str, None] = {}
        for path in paths:
            with suppress(OSError):  # said when its turn comes
                if image_id := self.journal.find_file(*_identity(path)):
                    found[image_id] = None
        return list(found)

    async def _one(self, path: Path, turns: _Turns, there: set[str]) -> Result:
        place, size, touched = await asyncio.to_thread(_identity, path)
        if known := self.journal.find_file(place, size, touched):
            return Result(path, known, known=True)
        sha256 = await sha256_of(path)
        # Copies of one file would all be sent, to become one image.
        async with turns.of(path.name, sha256):
            image_id = self.journal.find_content(path.name, sha256)
            if image_id is not None and image_id not in there:
                image_id = await self._still_there(image_id)
            known_content = image_id is not None
            if image_id is None:
                with self.bar(path.name) as progress:
                    uploaded = await self.mont.upload(
                        path,
                        tags=self.tags,
                        description=self.description,
                        idempotency_key=ContentKey.of(sha256),
                        progress=progress,
                    )
                image_id = uploaded.image_id
            there.add(image_id)
            self.journal.add(Entry(place, size, touched, sha256, path.name, image_id))
        return Result(path, image_id, known=known_content)

    async def _still_there(self, image_id: str) -> str | None:
        try:
            return (await self.mont.get(image_id)).image_id
        except ImageNotFound:
            return None


def _identity(path: Path) -> tuple[str, int, int]:
    """What tells that a file is still the same, without reading it."""
    real = path.resolve()
    facts = real.stat()
    return str(real), facts.st_size, facts.st_mtime_ns


def is_hopeless(error: BaseException | None) -> bool:
    """Whether the next file would fare no better; all retries are used up already."""
    if isinstance(error, InvalidFields):
        return any(_SAID_OF_ALL.match(each.location) for each in error.errors)
    return isinstance(error, _HOPELESS) or type(error) is NotFound


class _Turns:
    """Lets those with the same name and content work one after another."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    def of(self, filename: str, sha256: str) -> asyncio.Lock:
        return self._locks.setdefault((filename, sha256), asyncio.Lock())
