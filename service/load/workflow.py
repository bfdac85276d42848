"""What users do, call by call, each timed and judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from service.client import MontError
from service.load.mix import (
    COMPLETE,
    DELETE,
    DOWNLOAD_URL,
    EDIT,
    GET,
    LIST,
    S3_GET,
    S3_POST,
    UPLOAD_URL,
)
from service.load.pictures import Picture
from service.load.pool import Made, Pool
from service.load.service import Service
from service.load.verdicts import GOOD, UNFINISHED, Verdict, verdict_of

T = TypeVar("T")

_NEXT_PAGE = 0.25
_BY_TAG = 0.1


class Ended(Exception):
    """An action cannot go on: one of its calls failed."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.name)
        self.verdict = verdict


@dataclass(slots=True)
class Turn:
    """One action under way. `due`: when its next call was due, which for the first is its own.

    `tell` hears of each call: its name, when it was due and ended, and what came of it.
    """

    due: float
    tell: Callable[[str, float, float, Verdict], None]
    now: Callable[[], float]
    seconds: float

    async def call(self, name: str, work: Awaitable[T]) -> T:
        """Do one call. Raises Ended where it does not end well."""
        try:
            async with asyncio.timeout(self.seconds):
                result = await work
        except (MontError, TimeoutError) as error:
            verdict = verdict_of(error)
            self._told(name, verdict)
            raise Ended(verdict) from error
        except asyncio.CancelledError:
            self._told(name, UNFINISHED)
            raise
        self._told(name, GOOD)
        return result

    def _told(self, name: str, verdict: Verdict) -> None:
        ended = self.now()
        self.tell(name, self.due, ended, verdict)
        # What follows an answer is due as soon as that is there.
        self.due = ended


@dataclass(frozen=True, slots=True)
class Workflow:
    """Every action. `users` whose images they are about, `made_up`: told of a need for an image."""

    service: Service
    pool: Pool
    users: Sequence[str | None]
    pictures: Sequence[Picture]
    random: Random
    made_up: Callable[[], None]

    async def act(self, action: str, turn: Turn) -> None:
        """Do one. Raises Ended, NotAllowedThere."""
        match action:
            case "upload":
                self.pool.ready(await self.upload(turn))
            case "list":
                await self._list(turn)
            case "delete":
                image = self.pool.take(self.random) or await self._another(turn)
                await turn.call(DELETE, self.service.delete(image.image_id, image.user_id))
                self.pool.gone(image)
            case _:
                with self.pool.use(self.random) as found:
                    image = found or await self._another(turn)
                    await self._look_or_change(action, turn, image)
                if found is None:
                    self.pool.ready(image)

    async def upload(self, turn: Turn) -> Made:
        """A new image, which nobody else knows yet. Raises Ended, NotAllowedThere."""
        user, picture = self.random.choice(self.users), self.random.choice(self.pictures)
        name = f"load {self.random.randrange(10**6):06}"
        ticket = await turn.call(UPLOAD_URL, self.service.ticket(user, name, picture))
        await turn.call(S3_POST, self.service.send(ticket, picture))
        self.pool.asked(ticket.image_id, user)
        await turn.call(COMPLETE, self.service.complete(ticket, user))
        self.pool.completed(ticket.image_id)
        return Made(ticket.image_id, user, len(picture.body))

    async def _another(self, turn: Turn) -> Made:
        """An image for an action that finds none free."""
        self.made_up()
        return await self.upload(turn)

    async def _list(self, turn: Turn) -> None:
        user, tagged = self.random.choice(self.users), self.random.random() < _BY_TAG
        after = await turn.call(LIST, self.service.page(user, tagged=tagged))
        if after and self.random.random() < _NEXT_PAGE:
            await turn.call(LIST, self.service.page(user, tagged=tagged, after=after))

    async def _look_or_change(self, action: str, turn: Turn, image: Made) -> None:
        service = self.service
        match action:
            case "get":
                await turn.call(GET, service.get(image.image_id))
            case "edit":
                text = f"Edited {self.random.randrange(10**6)}"
                await turn.call(EDIT, service.edit(image.image_id, image.user_id, text))
            case _:
                link = await turn.call(DOWNLOAD_URL, service.link(image.image_id))
                if action == "download":
                    await turn.call(S3_GET, service.fetch(link, image.size))
