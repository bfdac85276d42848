"""Delivers webhooks beside a server, for as long as it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.events.delivery import Deliverer, Watch
from service.events.sending import webhook_sender
from service.ports import Clock, Outbox


@asynccontextmanager
async def delivering(
    outbox: Outbox, url: str, secrets: tuple[bytes, ...], *, now: Clock, watch: Watch, grace: float
) -> AsyncIterator[None]:
    """Deliver to this address inside the block.

    What is being sent when it is left gets `grace` seconds; cut short, it is sent again by whoever
    serves next.
    """
    stop = asyncio.Event()
    async with webhook_sender(url, secrets) as send:
        running = asyncio.create_task(Deliverer(outbox, send, now=now, watch=watch).run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait([running], timeout=grace)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
