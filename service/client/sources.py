"""What can be uploaded: a file by its path, bytes, or a stream; each readable more than once.

A form to S3 needs the size before the first byte, and an attempt that fails is made again. A file
has both by nature and is never held in memory; a stream is written to a temporary file first.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import re
import stat
import tempfile
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from service.client.errors import SourceChanged

_CHUNK_BYTES = 64 * 1024
# What a file is shows in its first bytes; its name may be wrong, and the service looks.
_SIGNATURES = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"BM"), "image/bmp"),
)
_HEAD_BYTES = 16
_reading = threading.Lock()


@runtime_checkable
class Readable(Protocol):
    """A binary file or anything with its `read`."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


Uploadable = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | Readable
    | AsyncIterable[bytes]
    | Iterable[bytes]
)
"""What can be uploaded. A text is a path."""


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes to upload. `chunks()` gives them from the first one, each time that it is called."""

    filename: str
    content_type: str
    size: int
    chunks: Callable[[], AsyncIterator[bytes]]


@asynccontextmanager
async def open_source(
    what: Uploadable, filename: str | None, content_type: str | None
) -> AsyncIterator[Source]:
    """The bytes behind `what`, as long as the block lasts; name and type guessed where not given.

    Raises OSError where a file cannot be read.
    """
    async with AsyncExitStack() as stack:
        if isinstance(what, bytes | bytearray | memoryview):
            data = bytes(what)
            size, chunks = len(data), partial(_memory_chunks, data)
        else:
            file = await _opened(what, stack)
            size, chunks = await asyncio.to_thread(_size_of, file), partial(_file_chunks, file)
        head = await _head(chunks(size))
        name = filename or _name_of(what)
        kind = content_type or _type_of(head, name)
        name = name or "image" + (mimetypes.guess_extension(kind) or "")
        yield Source(name, kind, size, partial(chunks, size))


async def _opened(
    what: str | os.PathLike[str] | Readable | AsyncIterable[bytes] | Iterable[bytes],
    stack: AsyncExitStack,
) -> BinaryIO:
    """A file that can be read from any place."""
    if isinstance(what, str | os.PathLike):
        file = await asyncio.to_thread(Path(what).open, "rb")
        stack.callback(file.close)
        mode = (await asyncio.to_thread(os.fstat, file.fileno())).st_mode
        if stat.S_ISREG(mode):
            return file
        what = file  # a pipe: what is read from it is gone
    spool = await asyncio.to_thread(tempfile.TemporaryFile)
    stack.callback(spool.close)
    async for chunk in _stream_chunks(what):
        await asyncio.to_thread(spool.write, chunk)
    return spool


async def _stream_chunks(
    stream: Readable | AsyncIterable[bytes] | Iterable[bytes],
) -> AsyncIterator[bytes]:
    if isinstance(stream, AsyncIterable):
        async for chunk in stream:
            yield chunk
    elif isinstance(stream, Readable):
        while chunk := await asyncio.to_thread(stream.read, _CHUNK_BYTES):
            yield chunk
    else:
        for chunk in stream:
            yield chunk


async def _memory_chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, _CHUNK_BYTES):
        yield data[start : start + _CHUNK_BYTES]


async def _file_chunks(file: BinaryIO, size: int) -> AsyncIterator[bytes]:
    """Exactly `size` bytes: the form is signed for that many. Raises SourceChanged."""
    place = 0
    while place < size:
        chunk = await asyncio.to_thread(_read_at, file, place, min(_CHUNK_BYTES, size - place))
        if not chunk:
            raise SourceChanged(f"it had {size} bytes when its upload began, and has {place} now")
        place += len(chunk)
        yield chunk


def _read_at(file: BinaryIO, place: int, count: int) -> bytes:
    # An attempt that was given up may still be reading: its place must not become ours.
    with _reading:
        file.seek(place)
        return file.read(count)


def _size_of(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


async def _head(chunks: AsyncIterator[bytes]) -> bytes:
    async for chunk in chunks:
        return chunk[:_HEAD_BYTES]
    return b""


def _name_of(what: Uploadable) -> str:
    if not isinstance(what, str | os.PathLike):
        what = getattr(what, "name", "")  # that of an open file; a number for a descriptor
    # A name that is no UTF-8 cannot be said in JSON.
    raw = Path(what).name if isinstance(what, str | os.PathLike) else ""
    return os.fsencode(raw).decode("utf-8", "replace")


def _type_of(head: bytes, name: str) -> str:
    for signature, content_type in _SIGNATURES:
        if signature.match(head):
            return content_type
    # Whatever it is, the service says what it takes.
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
