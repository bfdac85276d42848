"""Reads partitions of an index in list order and merges them into one page.

An index orders a partition by timestamp; images of one instant come in an order of the store's
own. A list is ordered by (timestamp, id), so a partition holds back the last instant of a chunk
until it has seen the next one, and sorts each instant by id. That makes a position a place in
every partition of every index, whatever the number of shards.

Knows neither botocore nor items: a partition is read through a `Fetch`.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from service import timestamps
from service.model import HIGHEST_ID, LOWEST_ID, Image, Page, Position, Selection
from service.together import together
from service.values import value

_BEFORE_ALL = "0"
# About what one answer of DynamoDB can hold (1 MB); more would only be cut.
_MOST_ROWS = 1_000
# A position as a pair of texts: pages compare hundreds.
_Place = tuple[str, str]
_place = attrgetter("upload_timestamp", "image_id")


@value(frozen=True, slots=True)
class Bounds:
    """Inclusive timestamps between which a partition is read."""

    earliest: str
    latest: str


@value(frozen=True, slots=True)
class Chunk:
    """What one read returned: matching images in index order, how many rows were evaluated.

    `resume` is the store's own continuation with the timestamp of the last row evaluated, or
    None when the partition ended.
    """

    images: Sequence[Image]
    evaluated: int
    resume: tuple[str, object] | None


Fetch = Callable[[Bounds, bool, int, object | None], Awaitable[Chunk]]
"""(bounds, descending, rows to evaluate at most, store's continuation) -> Chunk"""


@dataclass(frozen=True, slots=True)
class Reading:
    """How much to read: `rows` at first and `budget` rows in all, for each partition.

    Each further read of a partition asks for twice as many rows: the first ones did not do, be it
    that few rows match or that many share one instant. None is no budget: right where every row
    read is a row shown.
    """

    rows: int
    budget: int | None


class _Partition:
    """One partition's images behind a position, in list order."""

    def __init__(
        self,
        fetch: Fetch,
        bounds: Bounds,
        descending: bool,
        after: Position | None,
        reading: Reading,
    ) -> None:
        self._fetch = fetch
        self._descending = descending
        self._after = after
        self._bounds = bounds
        self._reading = reading
        self._evaluated = 0
        self._rows = reading.rows
        self._held: list[Image] = []
        self._continuation: object | None = None
        self.ready: list[Image] = []
        self.ended = False
        # Everything before this instant, in list order, is in `ready` or was taken from it.
        self.frontier: str | None = None

    @property
    def goes_on(self) -> bool:
        """Whether images that are known of follow those that were taken."""
        return bool(self.ready or self._held)

    async def fill(self) -> None:
        """Read on until an image is ready, the partition ends, or the budget does."""
        while not self.ready and not self.ended and not self._spent():
            chunk = await self._fetch(
                self._bounds, self._descending, self._rows, self._continuation
            )
            self._evaluated += chunk.evaluated
            self._rows = min(2 * self._rows, _MOST_ROWS)
            self._held += self._ahead(chunk.images)
            if chunk.resume is None:
                self.ended = True
                self._settle(None)
            else:
                self.frontier, self._continuation = chunk.resume
                self._settle(self.frontier)

    def _spent(self) -> bool:
        if self._reading.budget is None or self._evaluated < self._reading.budget:
            return False
        # An instant with more images than the budget would otherwise never be got past.
        return self.frontier is not None and (
            self._after is None or self.frontier != self._after.timestamp
        )

    def take(self, most: int, other: _Place | None) -> list[Image]:
        """The next image, and as many more, up to `most`, as come before `other`."""
        ready = self.ready
        count = min(most, len(ready))
        if other is not None:
            nearer = 1
            while nearer < count and self._is_first(_place(ready[nearer]), other):
                nearer += 1
            count = nearer
        taken = ready[:count]
        del ready[:count]
        return taken

    def _is_first(self, place: _Place, other: _Place) -> bool:
        return place > other if self._descending else place < other

    def _ahead(self, images: Sequence[Image]) -> Sequence[Image]:
        """Those behind the position where the page starts."""
        after = self._after
        if after is None:
            return images
        # The bounds leave out all but those of its own instant.
        instant, behind = after.timestamp, (after.timestamp, after.image_id)
        return [
            image
            for image in images
            if image.upload_timestamp != instant or self._is_first(behind, _place(image))
        ]

    def _settle(self, unfinished: str | None) -> None:
        """Move held images to `ready`, but for those of the instant that may go on."""
        images = self._held
        end = len(images)
        while end and images[end - 1].upload_timestamp == unfinished:
            end -= 1
        self._held = images[end:]
        del images[end:]
        # The store's order is the list's but among images of one instant, of which few have any.
        if len({image.upload_timestamp for image in images}) < end:
            images.sort(key=_place, reverse=self._descending)
        self.ready += images


async def read_page(
    fetches: Sequence[Fetch],
    selection: Selection,
    after: Position | None,
    limit: int,
    reading: Reading,
) -> Page:
    """The first `limit` images behind `after` over all partitions, ordered by position.

    All partitions are asked at once; a partition is asked again only when the page needs more of
    it. One image more than the page holds is looked for, so `Page.next` is exact. Only where the
    budget ends first is the page short, and continues where reading stopped.
    """
    bounds, descending = _bounds(selection, after), selection.order == "desc"
    if bounds.earliest > bounds.latest:
        return Page((), None)
    partitions = [_Partition(fetch, bounds, descending, after, reading) for fetch in fetches]
    if len(partitions) == 1:
        await partitions[0].fill()  # which takes no task
    else:
        await together(partition.fill() for partition in partitions)
    queue = _Queue(descending)
    for partition in partitions:
        queue.push(partition)
    images: list[Image] = []
    while nearest := queue.pop():
        if len(images) == limit:
            return Page(tuple(images), images[-1].position)
        # One at a time where the rest of a stalled partition may be in between.
        most = limit - len(images) if queue.edge is None else 1
        images += nearest.take(most, queue.next_place)
        if len(images) == limit and any(partition.goes_on for partition in partitions):
            return Page(tuple(images), images[-1].position)
        await nearest.fill()
        queue.push(nearest)
    if queue.edge is None:
        return Page(tuple(images), None)
    edge_id = HIGHEST_ID if descending else LOWEST_ID
    return Page(tuple(images), Position(queue.edge, edge_id))


class _Queue:
    """The partitions by their next image; never goes past what a stalled one might hold.

    One is stalled when it is out of budget with nothing to show, and may have more that matches.
    """

    def __init__(self, descending: bool) -> None:
        self._descending = descending
        self._heap: list[tuple[_Rank, int, _Partition]] = []
        self.edge: str | None = None

    def push(self, partition: _Partition) -> None:
        if partition.ready:
            rank = _Rank(_place(partition.ready[0]), self._descending)
            heapq.heappush(self._heap, (rank, id(partition), partition))
        elif not partition.ended and partition.frontier is not None:
            edges = [edge for edge in (self.edge, partition.frontier) if edge is not None]
            self.edge = max(edges) if self._descending else min(edges)

    @property
    def next_place(self) -> _Place | None:
        """Where the nearest of the partitions left goes on."""
        return self._heap[0][0].place if self._heap else None

    def pop(self) -> _Partition | None:
        if not self._heap:
            return None
        partition = self._heap[0][2]
        instant = partition.ready[0].upload_timestamp
        if self.edge is not None and (
            instant <= self.edge if self._descending else instant >= self.edge
        ):
            return None
        heapq.heappop(self._heap)
        return partition


@value(frozen=True, slots=True)
class _Rank:
    place: _Place
    descending: bool

    def __lt__(self, other: _Rank) -> bool:
        if self.descending:
            return other.place < self.place
        return self.place < other.place


def _bounds(selection: Selection, after: Position | None) -> Bounds:
    earliest = selection.earliest or _BEFORE_ALL
    latest = selection.latest or timestamps.LATEST
    if after is not None and selection.order == "desc":
        latest = min(latest, after.timestamp)
    elif after is not None:
        earliest = max(earliest, after.timestamp)
    return Bounds(earliest, latest)
