"""Files known by their content: keys that make uploading again harmless, and finding images."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

_CHUNK_BYTES = 1024 * 1024
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp"})


class ContentKey(str):
    """An idempotency key made from the bytes: the same file, under the same name, is one image."""

    __slots__ = ()

    @classmethod
    def of(cls, sha256: str) -> ContentKey:
        """The key of bytes with this SHA-256 (hexadecimal)."""
        return cls(f"sha256:{sha256}")


async def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        # A piece at a time, so that it can be interrupted.
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            await asyncio.to_thread(digest.update, chunk)
    return digest.hexdigest()


def image_files(folder: Path, *, recursive: bool) -> Iterator[Path | OSError]:
    """The files in a folder whose names are those of images, in order; below it if `recursive`.

    Hidden ones are left out, and linked folders, which could lead round in circles. A folder that
    cannot be read is an OSError among the files.
    """
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        yield error
        return
    below: list[Path] = []
    for path in paths:
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if recursive and not path.is_symlink():
                below.append(path)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield path
    for path in below:
        yield from image_files(path, recursive=True)
