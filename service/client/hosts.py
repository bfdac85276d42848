"""What a client knows of each host that it calls: whether it answers, and since when it does not.

While nobody answers there, one attempt at a time finds out whether that has passed, and everybody
else waits for it: many jobs do not knock at a host that is just starting many times as often. They
give up together, too, so that a thousand files do not wait a thousand times for what is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from yarl import URL

from service.client.errors import (
    ConnectionFailed,
    MontError,
    ServiceFailed,
    SourceChanged,
    StorageRefused,
)
from service.client.retries import Retries

T = TypeVar("T")


class Host:
    """One host. Attempts at calls of it, and waits between them."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._news = asyncio.Event()
        self._probing = False
        self._absent = ""
        """Why nobody answers; empty as long as somebody does, or nobody knows."""
        self._unwell_since: float | None = None
        self._failures = 0
        self._given_up = 0

    async def run(self, attempt: Callable[[], Awaitable[T]], *, transfer: bool = False) -> T:
        """The first result of `attempt` that is none of the passing failures; the last of those.

        A `transfer` may rightly take minutes: its time counts from its first failure on.
        """
        since = None if transfer else self.now()
        failures, wait = 0, 0.0
        while True:
            in_turn = await self._take_turn(wait)
            try:
                if in_turn:
                    await self._pause_alone()
                result = await attempt()
            except MontError as error:
                failures += 1
                since = self.now() if since is None else since
                self.failed(error, again=in_turn)
                again = self.wait_after(error, failures, since)
                if again is None:
                    raise
                wait = again
            else:
                self.answered()
                return result
            finally:
                if in_turn:
                    self._probing = False
                    self._tell()

    def answered(self) -> None:
        """It is well."""
        self.reached()
        self._unwell_since = None
        self._failures = 0

    def reached(self) -> None:
        """Somebody is there; whether that helps is another question."""
        if self._absent:
            self._absent = ""
            self._tell()

    def failed(self, error: MontError, *, again: bool = True) -> None:
        """An attempt failed. `again`: it was begun when nobody answered already."""
        if isinstance(error, ConnectionFailed):
            # Attempts that were under way together fail together, and are one failure.
            self._failures += again or not self._absent
            self._absent = str(error) or type(error).__name__
        elif isinstance(error, ServiceFailed | StorageRefused) and error.passing:
            self.reached()
        elif isinstance(error, SourceChanged):
            return  # of the host that says nothing
        else:
            self.answered()
            return
        if self._unwell_since is None:
            self._unwell_since = self.now()

    def wait_after(self, error: MontError, failures: int, since: float) -> float | None:
        """Seconds to wait after a call's failures since then, and the host's; None: give up."""
        elapsed = self.now() - min(since, self._since())
        wait = self._retries.wait_after(error, failures, elapsed)
        if wait is None:
            self._given_up += bool(self._absent)
        elif self._retries.waiting is not None:
            self._retries.waiting(error, elapsed + wait)
        return wait

    def _since(self) -> float:
        return self.now() if self._unwell_since is None else self._unwell_since

    def now(self) -> float:
        """Seconds on the clock that waits are counted by."""
        return self._retries.clock()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._retries.sleep(seconds)

    async def _take_turn(self, wait: float) -> bool:
        """Wait until an attempt may be made; whether it is the only one.

        Raises ConnectionFailed where those that were waited for gave up.
        """
        if wait and not self._absent:
            await self._retries.sleep(wait)
        while self._absent:
            if not self._probing:
                self._probing = True
                return True
            given_up = self._given_up
            await self._news.wait()
            if self._absent and given_up != self._given_up:
                raise ConnectionFailed(self._absent)
        return False

    async def _pause_alone(self) -> None:
        """Wait by the failures of everybody: one after another they are like one caller."""
        so_long = self.now() - self._since()
        await self._retries.sleep(self._retries.pause(max(1, self._failures), so_long))

    def _tell(self) -> None:
        """Let all who wait for it look again."""
        self._news.set()
        self._news = asyncio.Event()


class Hosts:
    """Each host by its address."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._hosts: dict[URL, Host] = {}

    def of(self, url: URL) -> Host:
        """The host behind this address."""
        return self._hosts.setdefault(url.origin(), Host(self._retries))
