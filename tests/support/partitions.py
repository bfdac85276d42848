"""An index in a list: partitions that answer reads the way DynamoDB does."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from service.model import Image
from service.storage.timeline import Bounds, Chunk, Fetch

_Key = tuple[str, int, str]


@dataclass
class FakeIndex:
    """Images spread over partitions by id.

    Rows of one instant come in an order of the store's own, decided by `scramble`. A read stops
    after `rows` or `most` rows, whichever is less. `tells_end`: whether a read that stops exactly
    at the last row says so, or hands out a continuation that leads to nothing.
    """

    images: list[Image]
    partitions: int = 1
    tag: str | None = None
    scramble: int = 0
    most: int = 1_000_000
    tells_end: bool = False
    reads: list[int] = field(default_factory=list)
    before_read: Callable[[], None] = lambda: None

    def fetches(self) -> list[Fetch]:
        return [self._fetch(number) for number in range(self.partitions)]

    def _fetch(self, number: int) -> Fetch:
        async def fetch(
            bounds: Bounds, descending: bool, rows: int, continuation: object | None
        ) -> Chunk:
            self.before_read()
            ahead = [
                (key, image)
                for key, image in sorted(self._rows(number), reverse=descending)
                if bounds.earliest <= image.upload_timestamp <= bounds.latest
                and (continuation is None or _behind(key, continuation, descending))
            ]
            evaluated = ahead[: min(rows, self.most)]
            self.reads.append(len(evaluated))
            stopped = len(ahead) > len(evaluated) or (len(evaluated) == rows and not self.tells_end)
            return Chunk(
                [image for _, image in evaluated if self.tag is None or self.tag in image.tags],
                len(evaluated),
                (evaluated[-1][0][0], evaluated[-1][0]) if stopped else None,
            )

        return fetch

    def _rows(self, number: int) -> Iterable[tuple[_Key, Image]]:
        for image in self.images:
            if self.partition_of(image) == number:
                own = zlib.crc32(image.image_id.encode(), self.scramble)
                yield (image.upload_timestamp, own, image.image_id), image

    def partition_of(self, image: Image) -> int:
        return zlib.crc32(image.image_id.encode()) % self.partitions


def _behind(key: _Key, continuation: object, descending: bool) -> bool:
    assert isinstance(continuation, tuple)
    return key < continuation if descending else key > continuation
