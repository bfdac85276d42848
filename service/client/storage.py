"""S3 as clients meet it: forms sent, links followed. No credentials of the API ever go there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from service.client.errors import ChecksumMismatch, StorageRefused
from service.client.forms import FormBody, Progress
from service.client.sources import Source
from service.client.transport import TIMEOUT, connection_errors, proxy_for
from service.client.values import Ticket

_MD5 = re.compile(r"[0-9a-f]{32}")
_ERROR_BYTES = 4096
_CONNECT_SECONDS = 10
# A slow line still moves; after the last byte it may have megabytes in its buffers.
_STALLED_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What arrived. `md5` is of the bytes sent; `verified`, whether S3 confirmed it."""

    md5: str
    verified: bool


async def send_form(
    session: aiohttp.ClientSession, ticket: Ticket, source: Source, progress: Progress | None
) -> Sent:
    """Send the bytes with their form, once. Sending the same form again is harmless.

    Raises StorageRefused, ConnectionFailed, ChecksumMismatch, SourceChanged, OSError.
    """
    url = URL(ticket.url, encoded=True)
    loop = asyncio.get_running_loop()
    stalled = _STALLED_SECONDS

    def moved(sent: int, total: int) -> None:
        if not deadline.expired():
            deadline.reschedule(loop.time() + (stalled if sent < total else 2 * stalled))
        if progress is not None:
            progress(sent, total)

    form = FormBody(ticket.fields, source, moved)
    try:
        with connection_errors(url):
            # Without it, a line that went dead would be waited for as long as the system likes.
            async with asyncio.timeout(stalled) as deadline:
                async with session.post(
                    url,
                    data=form.chunks(),
                    headers=form.headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                    proxy=proxy_for(url),
                ) as response:
                    await _check(response)
                    confirmed = checksum_of(response.headers)
    except Exception:
        if form.failure is not None:
            raise form.failure from None
        raise
    sent = form.md5.hexdigest()
    if confirmed not in (None, sent):
        raise ChecksumMismatch(f"{sent} was sent, and {confirmed} arrived")
    return Sent(sent, confirmed is not None)


@asynccontextmanager
async def opened_link(
    session: aiohttp.ClientSession, link: str, headers: Mapping[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer behind a link, not read yet. Raises StorageRefused, ConnectionFailed."""
    url = URL(link, encoded=True)
    with connection_errors(url):
        # Compressed bytes would have other places and another sum than the image.
        named = {"Accept-Encoding": "identity", **headers}
        async with session.get(
            url, headers=named, timeout=TIMEOUT, proxy=proxy_for(url)
        ) as response:
            await _check(response)
            yield response


def checksum_of(headers: Mapping[str, str]) -> str | None:
    """The MD5 that an answer of S3 tells (as entity tag), None where the tag is something else.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    tag = headers.get("ETag", "").strip('"').lower()
    other_key = "x-amz-server-side-encryption-customer-algorithm" in headers
    by_kms = headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
    return tag if _MD5.fullmatch(tag) and not other_key and not by_kms else None


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status in range(200, 300):
        return
    body = (await response.content.read(_ERROR_BYTES)).decode("utf-8", "replace")
    code = re.search("<Code>(.*?)</Code>", body)
    message = re.search("<Message>(.*?)</Message>", body, re.DOTALL)
    raise StorageRefused(
        response.status, code[1] if code else "", message[1] if message else response.reason or ""
    )
