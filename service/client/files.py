"""A download on disk: a part file that the next attempt goes on from, renamed when it is whole.

The part file stands beside the target, named by image and entity tag, so that only the same bytes
are ever continued. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from service.client.errors import AlreadyDownloading, ChecksumMismatch

_TAG = re.compile(r"[0-9A-Za-z-]{1,100}")
_CHUNK_BYTES = 1024 * 1024


class PartFile:
    """The first `size` bytes of one version of one image."""

    def __init__(self, path: Path, etag: str) -> None:
        """Opens it, and locks it against other processes. Raises AlreadyDownloading, OSError."""
        self.path = path
        self.etag = etag
        # Neither truncated, for what is in it counts, nor in append mode, for it can be void.
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            _lock(self._file.fileno(), path)
            self._md5 = hashlib.md5(usedforsecurity=False)
            self.size = 0
            while chunk := self._file.read(_CHUNK_BYTES):
                self._md5.update(chunk)
                self.size += len(chunk)
        except BaseException:
            self._file.close()
            raise

    def write(self, place: int, data: bytes) -> None:
        """Add bytes; from 0 on, all that is there is void."""
        if place != self.size:
            assert place == 0, "pieces come in order"
            self._file.seek(0)
            self._file.truncate()
            self._md5 = hashlib.md5(usedforsecurity=False)
            self.size = 0
        self._file.write(data)
        self._md5.update(data)
        self.size += len(data)

    def close(self) -> None:
        """Leave it for the next attempt."""
        self._file.close()

    def finish(self, target: Path, md5: str | None) -> None:
        """Make it the target, at once and for good. Raises ChecksumMismatch, and starts over."""
        self._settle(md5)
        self.path.replace(target)
        self.close()

    def finish_in(self, folder: Path, filename: str, image_id: str, md5: str | None) -> Path:
        """Make it a file of that folder, beside whatever is there. Raises ChecksumMismatch."""
        self._settle(md5)
        plain, with_id = (folder / name for name in names_for(filename, image_id))
        target = plain if self._take(plain) else with_id
        if target == with_id:
            self.path.replace(with_id)
        self.close()
        return target

    def _settle(self, md5: str | None) -> None:
        if md5 is not None and self._md5.hexdigest() != md5:
            self.path.unlink(missing_ok=True)
            self.close()
            raise ChecksumMismatch(f"{md5} was announced, and {self._md5.hexdigest()} arrived")
        self._file.flush()
        # Renamed before its bytes are on disk, a power cut would leave an empty target.
        os.fsync(self._file.fileno())

    def _take(self, target: Path) -> bool:
        """Rename to a name that nothing has; False if something has it."""
        try:
            # Renaming would replace what another process put there a moment ago.
            target.hardlink_to(self.path)
        except FileExistsError:
            return False
        except OSError:
            # A file system without links.
            if target.exists():
                return False
            self.path.replace(target)
        else:
            self.path.unlink()
        return True


def begun_part(folder: Path, image_id: str) -> PartFile | None:
    """The part file of an earlier attempt, if there is one."""
    found = sorted(_parts(folder, image_id), key=lambda path: path.stat().st_size)
    for path in found[:-1]:
        path.unlink(missing_ok=True)
    return PartFile(found[-1], _tag_of(found[-1])) if found else None


def new_part(folder: Path, image_id: str, etag: str) -> PartFile:
    """A part file for this version of the image."""
    # One that cannot be a name is one that no later attempt can ask for either.
    name = etag if _TAG.fullmatch(etag) else "none"
    part = PartFile(folder / f".mont-{image_id}.{name}.part", etag)
    part.write(0, b"")
    return part


def names_for(filename: str, image_id: str) -> tuple[str, str]:
    """Its name as a file, which cannot lead elsewhere; the one to take where that is taken."""
    # The name is whatever its uploader said.
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", filename).strip().lstrip(".")
    stem, dot, suffix = name.rpartition(".")
    if not dot or not re.fullmatch(r"\w{1,10}", suffix):
        stem, suffix = name, ""
    # 255 bytes is the most that file systems take.
    stem = stem.encode("utf-8", "ignore")[:180].decode("utf-8", "ignore") or "image"
    ending = f".{suffix}" if suffix else ""
    return f"{stem}{ending}", f"{stem}-{image_id}{ending}"


def found_in(
    folder: Path, filename: str, image_id: str, total: int, md5: str | None
) -> Path | None:
    """The file of that folder that is this image already, if there is one."""
    for path in (folder / name for name in names_for(filename, image_id)):
        if md5 is not None and path.is_file() and path.stat().st_size == total:
            digest = hashlib.md5(usedforsecurity=False)
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
            if digest.hexdigest() == md5:
                return path
    return None


def _parts(folder: Path, image_id: str) -> Iterator[Path]:
    # Ids come from callers, and a pattern would take their stars and brackets for its own.
    # The folder may hold thousands of images, so no path is made for each.
    for name in os.listdir(folder):  # noqa: PTH208
        if name.startswith(f".mont-{image_id}.") and name.endswith(".part"):
            yield folder / name


def _tag_of(path: Path) -> str:
    return path.name.rsplit(".", 2)[1]


def _lock(descriptor: int, path: Path) -> None:
    """Until the file is closed, or the process ends."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have renamed it just now: then this is a finished image.
        same = os.fstat(descriptor).st_ino == path.stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        same = False
    if not same:
        raise AlreadyDownloading(f"{path.parent} already gets this image from another process")
