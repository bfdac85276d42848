"""The images that the run made: which ones can be used, and which must be gone in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

_LOOKS = 8


@dataclass(frozen=True, slots=True)
class Made:
    """An image of this run. `user_id` is None where the credentials say whose it is."""

    image_id: str
    user_id: str | None
    size: int


class Pool:
    """Nobody uses an image while another deletes it: a 404 would be the tester's own doing."""

    def __init__(self) -> None:
        self._ready: list[Made] = []
        self._uses: Counter[str] = Counter()
        self._asked: dict[str, str | None] = {}
        self._settled: set[str] = set()
        self.made = 0

    def asked(self, image_id: str, user_id: str | None) -> None:
        """An image may be there from now on, whatever is heard of it."""
        self.made += 1
        self._asked[image_id] = user_id

    def completed(self, image_id: str) -> None:
        """It is there."""
        self._settled.add(image_id)

    def ready(self, image: Made) -> None:
        """Anybody may use it."""
        self._ready.append(image)

    def gone(self, image: Made) -> None:
        """It is certainly not there any more."""
        self._asked.pop(image.image_id, None)
        self._settled.discard(image.image_id)

    @property
    def remaining(self) -> dict[str, str | None]:
        """Image id -> user of all that may be there; last those that were not heard of again."""
        return {**{each: self._asked[each] for each in self._settled}, **self.unsettled}

    @property
    def unsettled(self) -> dict[str, str | None]:
        """Those that the service may be completing just now."""
        return {each: user for each, user in self._asked.items() if each not in self._settled}

    @contextmanager
    def use(self, random: Random) -> Iterator[Made | None]:
        """Any one, kept from being deleted as long as the block lasts; None where there is none."""
        if not self._ready:
            yield None
            return
        image = random.choice(self._ready)
        self._uses[image.image_id] += 1
        try:
            yield image
        finally:
            self._uses[image.image_id] -= 1
            if not self._uses[image.image_id]:
                del self._uses[image.image_id]

    def take(self, random: Random) -> Made | None:
        """One to be deleted, which nobody gets from now on; None where all are in use."""
        for _ in range(min(_LOOKS, len(self._ready))):
            place = random.randrange(len(self._ready))
            image = self._ready[place]
            if not self._uses[image.image_id]:
                self._ready[place] = self._ready[-1]
                self._ready.pop()
                return image
        return None
