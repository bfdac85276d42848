"""From a reader of an image to a file: begun parts continued, finished ones checked and renamed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from service.client.downloads import Piece, Reader
from service.client.errors import ChecksumMismatch
from service.client.files import PartFile, begun_part, found_in, new_part
from service.client.forms import Progress


async def save(reader: Reader, target: Path, progress: Progress | None) -> Path:
    """Save what `reader` reads as `target`, or under its own name in that folder; where it is.

    Raises MontError, OSError.
    """
    try:
        return await _saved(reader, target, progress)
    except ChecksumMismatch:
        # What was begun before may have been damaged since. That part is gone now.
        return await _saved(reader, target, progress)


async def _saved(reader: Reader, target: Path, progress: Progress | None) -> Path:
    link = await reader.link()
    into_folder = await asyncio.to_thread(target.is_dir)
    folder = target if into_folder else target.parent
    part = await asyncio.to_thread(begun_part, folder, link.image_id)
    md5 = None
    try:
        place, etag = (part.size, part.etag) if part is not None else (0, None)
        async with aclosing(reader.pieces(place, etag)) as pieces:
            async for piece in pieces:
                if part is None and into_folder:
                    there = await asyncio.to_thread(
                        found_in, folder, link.filename, link.image_id, piece.total, piece.md5
                    )
                    if there is not None:
                        return there
                part = await asyncio.to_thread(_part_for, piece, part, folder, link.image_id)
                await asyncio.to_thread(part.write, piece.place, piece.data)
                md5 = piece.md5
                if progress is not None:
                    progress(piece.place + len(piece.data), piece.total)
        assert part is not None, "there is always a piece"
        if into_folder:
            return await asyncio.to_thread(
                part.finish_in, folder, link.filename, link.image_id, md5
            )
        await asyncio.to_thread(part.finish, target, md5)
    finally:
        if part is not None:
            part.close()
    return target


def _part_for(piece: Piece, part: PartFile | None, folder: Path, image_id: str) -> PartFile:
    """The part file that these bytes belong to."""
    if part is not None and (piece.place or part.etag == piece.etag):
        return part
    if part is not None:
        part.path.unlink(missing_ok=True)
        part.close()
    return new_part(folder, image_id, piece.etag)
