"""Calls of the API: JSON out and in, problems as exceptions, retries.

Every call of this API may be repeated, so every call is, as far as its `Runner` allows.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from service.client.errors import ConnectionFailed, MontProblem, UnexpectedAnswer, problem_of
from service.client.retries import Runner
from service.client.values import Document, read_problem

Credentials = Callable[[], Awaitable[Mapping[str, str]]]
"""The headers that say who is asking, as of now."""

# For each attempt, in seconds. Nothing limits a whole transfer: it may be large and still moving.
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_ANSWER_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer. `revision` is its ETag header; `repeated`: an attempt before it was lost."""

    document: Document
    revision: str | None
    repeated: bool


class Transport:
    """Calls the API at one address."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        credentials: Credentials,
        attempts: Runner,
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._credentials = credentials
        self._attempts = attempts

    async def call(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer. Raises MontProblem, ConnectionFailed, UnexpectedAnswer."""
        url = URL(self._base_url + path).extend_query(list(query))
        # With ASCII alone a lone surrogate, as odd file names have, cannot break the encoding.
        data = None if body is None else json.dumps(body).encode("ascii")
        lost = False

        async def attempt() -> Answer:
            nonlocal lost
            named = {**(headers or {}), **await self._credentials()}
            if data is not None:
                named["Content-Type"] = "application/json"
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await self._ask(method, url, data, named, lost)
            except MontProblem as problem:
                problem.repeated = lost
                # A throttled request did not get anywhere; any other failure may have half-way.
                lost = lost or (problem.passing and problem.status != 429)
                raise
            except TimeoutError as error:
                lost = True
                raise ConnectionFailed(f"{url.host} did not answer in time") from error
            except ConnectionFailed:
                lost = True
                raise

        return await self._attempts.run(attempt)

    async def _ask(
        self, method: str, url: URL, data: bytes | None, headers: Mapping[str, str], repeated: bool
    ) -> Answer:
        with connection_errors(url):
            # Credentials are for this address: they must not follow a redirect to another one.
            async with self._session.request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=TIMEOUT,
                proxy=proxy_for(url),
            ) as response:
                body = await response.read()
        document = _document(body)
        if response.status >= 400:
            raise problem_of(
                read_problem(
                    document or {},
                    response.status,
                    request_id=response.headers.get("X-Request-Id"),
                    retry_after=read_retry_after(response.headers.get("Retry-After")),
                )
            )
        if document is None or response.status >= 300:
            raise UnexpectedAnswer(
                f"{url.origin()} answered {response.status} without a JSON object; "
                "is the address right?"
            )
        return Answer(document, response.headers.get("ETag"), repeated)


def proxy_for(url: URL) -> str | None:
    """The proxy that the environment names for this address, if any.

    aiohttp's own way would also take passwords from ~/.netrc, and S3 refuses links that come with
    any.
    """
    proxy = getproxies().get(url.scheme)
    return None if proxy is None or proxy_bypass(url.host or "") else proxy


@contextmanager
def connection_errors(url: URL) -> Iterator[None]:
    """Raise ConnectionFailed for whatever the network raises inside."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ConnectionFailed(f"{url.origin()}: {_said(error)}") from error


def _said(error: Exception) -> str:
    """What happened, in the system's words where there are some."""
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        # Names that are not found have numbers of their own, below 0.
        return os.strerror(number) if number > 0 else str(error.os_error.strerror or error)
    return str(error) or type(error).__name__


def read_retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3: seconds or a date); None for neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _document(body: bytes) -> Document | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
