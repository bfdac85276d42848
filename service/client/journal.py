"""What was uploaded to one place before, so that doing it again sends nothing twice.

A file of JSON lines, one for each upload, only ever added to: a crash costs at most its last line,
and several processes can write it at once. It saves time and is no more: uploads are keyed by
their content, so that without any journal they still make no second image.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that was uploaded. `mtime` in nanoseconds."""

    path: str
    size: int
    mtime: int
    sha256: str
    filename: str
    image_id: str


class Journal:
    """What was uploaded to one service for one user; kept in memory alone where `file` is None."""

    def __init__(self, file: Path | None) -> None:
        """Reads what is there. Raises OSError."""
        self._by_file: dict[tuple[str, int, int], str] = {}
        self._by_content: dict[tuple[str, str], str] = {}
        self._descriptor: int | None = None
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        # Names of private pictures are nobody else's business.
        self._descriptor = os.open(file, flags, 0o600)
        written = file.read_bytes()
        for line in written.splitlines():
            if entry := _read(line):
                self._know(entry)
        if written and not written.endswith(b"\n"):
            # A line was cut by a crash: the next one must not become part of it.
            os.write(self._descriptor, b"\n")

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def find_file(self, path: str, size: int, mtime: int) -> str | None:
        """The image that this file was uploaded as, if it has not been touched since."""
        return self._by_file.get((path, size, mtime))

    def find_content(self, filename: str, sha256: str) -> str | None:
        """The image that these bytes were uploaded as under this name."""
        return self._by_content.get((filename, sha256))

    def forget(self, image_ids: set[str]) -> None:
        """Know these images no more; until they are added again, in this process."""
        for known in (self._by_file, self._by_content):
            for key in [key for key, image_id in known.items() if image_id in image_ids]:
                del known[key]  # type: ignore[arg-type]

    def add(self, entry: Entry) -> None:
        """Remember an upload that is complete. Raises OSError."""
        self._know(entry)
        if self._descriptor is not None:
            # In one write, so that lines of several processes do not mix.
            os.write(self._descriptor, json.dumps(asdict(entry)).encode() + b"\n")

    def _know(self, entry: Entry) -> None:
        self._by_file[entry.path, entry.size, entry.mtime] = entry.image_id
        self._by_content[entry.filename, entry.sha256] = entry.image_id


def journal_file(
    folder: Path, url: str, *, user_id: str | None, api_key: str | None, token: str | None
) -> Path:
    """The journal for uploads to this service, by whoever these credentials are."""
    who = user_id or (_subject(token) if token else api_key) or ""
    name = hashlib.sha256(json.dumps([url.rstrip("/"), who]).encode()).hexdigest()[:32]
    return folder / f"{name}.jsonl"


def _subject(token: str) -> str:
    """Whose token it is: tokens change every hour. Only names a file, so nothing is verified."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return json.dumps([claims["iss"], claims["sub"]])
    except (ValueError, KeyError, IndexError, TypeError):
        return token


def _read(line: bytes) -> Entry | None:
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
