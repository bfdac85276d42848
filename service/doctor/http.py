"""The two plain requests that the checks make: a preflight, and a look at the answer's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from service.client import ConnectionFailed
from service.client.transport import connection_errors, proxy_for
from service.doctor.findings import Finding, cors_finding

_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """Status, Date header and body of an answer."""

    status: int
    date: str | None
    body: bytes


@asynccontextmanager
async def open_browser() -> AsyncIterator[aiohttp.ClientSession]:
    """What makes requests without credentials."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as browser:
        yield browser


async def look(browser: aiohttp.ClientSession, url: str) -> Seen:
    """What is behind an address. Raises ConnectionFailed."""
    address = URL(url, encoded=True)
    with connection_errors(address):
        async with browser.get(address, proxy=proxy_for(address)) as answer:
            return Seen(answer.status, answer.headers.get("Date"), await answer.read())


async def check_cors(
    browser: aiohttp.ClientSession, url: str, origin: str, check: str = "CORS"
) -> Finding:
    """Ask as a browser does before it sends a form from a page of this origin."""
    address = URL(url, encoded=True)
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    try:
        with connection_errors(address):
            async with browser.options(
                address, headers=headers, proxy=proxy_for(address)
            ) as answer:
                return cors_finding(
                    check,
                    str(address.origin()),
                    origin,
                    answer.status,
                    answer.headers.get("Access-Control-Allow-Origin"),
                    answer.headers.get("Access-Control-Allow-Methods", ""),
                )
    except ConnectionFailed as error:
        return Finding(check, "failed", str(error))
