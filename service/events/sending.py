"""Sends one event to one receiver, by HTTP POST."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp

from service import __version__
from service.events.delivery import Send, Verdict
from service.events.signing import sign
from service.model import Event

# What Standard Webhooks asks receivers to keep to.
_SECONDS = 15
_GONE = 410


@asynccontextmanager
async def webhook_sender(
    url: str, secrets: tuple[bytes, ...], *, clock: Callable[[], float] = time.time
) -> AsyncIterator[Send]:
    """What sends events to this address, signed with each of these secrets.

    Redirects are failures: they would carry images' metadata where nobody configured it to go.
    """
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:

        async def send(event: Event) -> Verdict:
            payload, sent_at = event.payload.encode(), int(clock())
            headers = {
                "Content-Type": "application/json",
                "User-Agent": f"mont/{__version__}",
                "webhook-id": event.event_id,
                "webhook-timestamp": str(sent_at),
                "webhook-signature": sign(secrets, event.event_id, sent_at, payload),
            }
            try:
                async with session.post(
                    url, data=payload, headers=headers, allow_redirects=False
                ) as answer:
                    return _verdict(answer.status, answer.headers.get("Retry-After"))
            except TimeoutError:
                return Verdict("failed", f"no answer within {_SECONDS} s")
            except (aiohttp.ClientError, OSError) as error:
                return Verdict("failed", f"{type(error).__name__}: {error}")

        yield send


def _verdict(status: int, retry_after: str | None) -> Verdict:
    if 200 <= status < 300:
        return Verdict("delivered")
    reason = f"answered {status}"
    if status == _GONE:
        return Verdict("gone", reason)
    # The other form is a date, which nobody sends to machines; the schedule does then.
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return Verdict("failed", reason, seconds)
