"""One exchange with a store, over aiobotocore's session and pool of connections.

Everything that can go wrong leaves here as what the SDK raises for it. Trying again is decided
elsewhere, but for connections that a store closed while they were idle. Redirects are not followed,
for a signature is good for one host alone.

A signed request is all there when it is sent, and its answer is read at once. So this takes the
pool, the connections and the parser of aiohttp's client, and not the rest of it, which takes as
long as these: cookies, redirects, a task to send a body, objects for requests and responses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import mask_proxy_url
from yarl import URL

# Without a body, too, they say how long it is (RFC 9110, 8.6).
_WITH_BODY = frozenset({"POST", "PUT"})
# May arrive twice (RFC 9110, 9.2.2). Any but these is for those to repeat who know what it does.
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; names of headers are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Way(NamedTuple):
    """How to get to an origin: found out once.

    `request` stands for all that go there: the pool asks nothing else of one. `named` is what a
    proxy has to be told of each request where there is no tunnel through it.
    """

    connector: aiohttp.BaseConnector
    timeout: aiohttp.ClientTimeout
    request: aiohttp.ClientRequest
    named: tuple[str, ...] | None


class StoreSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """aiobotocore's session with a way around the objects that it makes for each request."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._ways: dict[str, _Way] = {}

    async def __aexit__(self, *raised: object) -> None:
        """Close the pool. What was found out about ways through it is gone with it."""
        self._ways.clear()
        await super().__aexit__(*raised)

    async def exchange(
        self,
        method: str,
        origin: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        most: int | None = None,
    ) -> Reply:
        """Send, and read the answer; of a longer one its first `most` bytes.

        `origin` is a URL without a path; `target`, path and query, is sent as it is, so it is
        encoded already. The host is among the headers.
        Raises what the SDK raises where there is no whole answer.
        """
        try:
            way = self._ways.get(origin) or await self._way(origin)
            request = _request(way, method, origin, target, headers, body)
            try:
                return await _exchanged(way, method, request, most)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                # As aiohttp's client has it: stores close what was idle for long, and one that
                # does so just now says nothing about how well it is.
                if method not in _REPEATABLE or isinstance(error, aiohttp.ClientConnectorError):
                    raise
            return await _exchanged(way, method, request, most)
        except Exception as error:
            proxy: str | None = self._proxy_config.proxy_url_for(origin)
            raise _as_the_sdk_says(error, origin + target, proxy) from error

    async def _way(self, origin: str) -> _Way:
        proxy: str | None = self._proxy_config.proxy_url_for(origin)
        session: aiohttp.ClientSession = await self._get_session(proxy)
        assert session.connector is not None  # until it is closed
        request = aiohttp.ClientRequest(
            "GET",
            URL(origin, encoded=True),
            loop=asyncio.get_running_loop(),
            proxy=None if proxy is None else URL(proxy),
        )
        named = None
        if proxy is not None and not request.is_ssl():
            known = self._proxy_config.proxy_headers_for(proxy)
            named = tuple([f"{name}: {value}" for name, value in known.items()])
        way = _Way(session.connector, session.timeout, request, named)
        self._ways[origin] = way
        return way


def _request(
    way: _Way, method: str, origin: str, target: str, headers: Mapping[str, str], body: bytes
) -> bytes:
    """All that is sent, at once."""
    lines = [f"{method} {target if way.named is None else origin + target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if way.named is not None:
        lines += way.named
    if method in _WITH_BODY:
        lines.append(f"content-length: {len(body)}")
    elif body:
        raise ValueError(f"a body for {method}, which would be taken for a request of its own")
    head = "\r\n".join(lines)
    if head.count("\r") + head.count("\n") != 2 * (len(lines) - 1) or "\0" in head:
        # Nothing that comes here has one. If something had, it would go on as a header of its own.
        raise ValueError("a line break in a header")
    return f"{head}\r\n\r\n".encode() + body


async def _exchanged(way: _Way, method: str, request: bytes, most: int | None) -> Reply:
    connection = await _connected(way)
    try:
        reply = await _answer(connection, way, method, request, most)
    except BaseException:
        connection.close()
        raise
    # This closes it where something was left unread, which would be in the way of the next answer.
    connection.release()
    return reply


async def _connected(way: _Way) -> Connection:
    """A connection on which nothing has been said yet that could be taken for an answer."""
    try:
        while True:
            connection = await way.connector.connect(way.request, [], way.timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            # It has said something while it was idle: read as the answer to this, it would be
            # somebody else's, and so would be each that follows.
            connection.close()
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError("Connection timeout") from error


async def _answer(
    connection: Connection, way: _Way, method: str, request: bytes, most: int | None
) -> Reply:
    protocol = connection.protocol
    assert protocol is not None  # until the connection is released
    assert protocol.transport is not None  # the pool has looked, and nobody had a turn since
    protocol.set_response_params(
        skip_payload=method == "HEAD",
        read_until_eof=True,
        auto_decompress=False,
        read_timeout=way.timeout.sock_read,
    )
    protocol.transport.write(request)
    protocol.start_timeout()
    message, payload = await protocol.read()
    while message.code < 200:  # that the answer will come
        if message.code == HTTPStatus.SWITCHING_PROTOCOLS:
            raise aiohttp.ClientPayloadError("another protocol, which nobody asked for")
        protocol.start_timeout()  # the parser has ended it with the message
        message, payload = await protocol.read()
    if _is_longer(message, most):
        try:
            body = await payload.readexactly(most or 0)
        except asyncio.IncompleteReadError as end:
            body = end.partial
    else:
        body = await payload.read()
    return Reply(message.code, message.headers, body)


def _is_longer(message: RawResponseMessage, most: int | None) -> bool:
    """Whether somebody may send more than was asked for."""
    if most is None or message.code >= 300:
        return False
    length = message.headers.get("content-length")
    return length is None or int(length) > most


def _as_the_sdk_says(error: Exception, url: str, proxy: str | None) -> BotoCoreError:
    """As `AIOHTTPSession.send` has it."""
    kind: type[BotoCoreError] = HTTPClientError
    match error:
        case aiohttp.ClientSSLError():
            kind = SSLError
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return ProxyConnectionError(proxy_url=mask_proxy_url(proxy), error=error)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            kind = ConnectionClosedError
        case aiohttp.ServerTimeoutError() if str(error).lower().startswith("connect"):
            kind = ConnectTimeoutError
        case TimeoutError():
            kind = ReadTimeoutError
        case aiohttp.ClientConnectionError() | OSError():
            kind = EndpointConnectionError
    return kind(endpoint_url=url, error=error)
