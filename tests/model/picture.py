"""What the API should know, kept as plainly as can be: the model that the real one is held against.

Nothing here is shared with the service: what it should do is written down a second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.support.real_images import RealImage


@dataclass
class Declared:
    """One form that was handed out, and what its holder said."""

    user: str
    image: RealImage
    tags: list[str]
    description: str | None
    ticket: Any

    @property
    def image_id(self) -> str:
        found: str = self.ticket["image_id"]
        return found


@dataclass
class Staged:
    """What lies where a form's bytes go: the bytes, and the form that they came with."""

    declared: Declared
    body: bytes

    @property
    def sound(self) -> bool:
        return self.body == self.declared.image.body


@dataclass
class Shown:
    """An image that everybody can see. `etag` as the service last told it."""

    user: str
    document: dict[str, Any]
    body: bytes
    etag: str

    @property
    def position(self) -> tuple[str, str]:
        return self.document["upload_timestamp"], self.document["image_id"]


@dataclass(frozen=True)
class Query:
    """What a list is asked for."""

    user: str | None
    tag: str | None
    order: str

    def matches(self, image: Shown) -> bool:
        return self.user in (None, image.user) and (
            self.tag is None or self.tag in image.document["tags"]
        )

    def parameters(self) -> dict[str, str]:
        given = {"user_id": self.user, "tag": self.tag, "order": self.order}
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class Walk:
    """A list that is read a page at a time while the world goes on."""

    query: Query
    limit: int
    throughout: set[str]
    """What matched when it began and did not stop to."""
    ever: set[str]
    """What matched at any time."""
    token: str | None = None
    seen: list[str] = field(default_factory=list)
    ended: bool = False


@dataclass
class Picture:
    """Everything that was done so far, as it should be seen."""

    declared: list[Declared] = field(default_factory=list)
    staged: dict[str, Staged] = field(default_factory=dict)
    images: dict[str, Shown] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    walks: list[Walk] = field(default_factory=list)

    def known_ids(self) -> list[str]:
        """Every id that was ever handed out."""
        return sorted({each.image_id for each in self.declared})

    def listed(self, query: Query) -> list[dict[str, Any]]:
        """The whole list."""
        found = [image for image in self.images.values() if query.matches(image)]
        found.sort(key=lambda image: image.position, reverse=query.order == "desc")
        return [image.document for image in found]

    def ids_of(self, query: Query) -> set[str]:
        return {name for name, image in self.images.items() if query.matches(image)}

    def moved_on(self) -> None:
        """Let every walk under way know of a change."""
        for walk in self.walks:
            matching = self.ids_of(walk.query)
            walk.throughout &= matching
            walk.ever |= matching

    def remove(self, image_ids: Iterable[str]) -> None:
        """Images that were deleted, with whatever is staged for them."""
        for image_id in image_ids:
            del self.images[image_id]
            self.staged.pop(image_id, None)
            self.gone.add(image_id)
        self.moved_on()
