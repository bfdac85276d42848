"""One exchange with a store, over aiobotocore's session and pool of connections.

Everything that can go wrong leaves here as what the SDK raises for it. It sends once: trying again
is decided elsewhere. Redirects are not followed, for a signature is good for one host alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
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


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; names of headers are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StoreSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """aiobotocore's session with a way around the objects that it makes for each request."""

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        most: int | None = None,
    ) -> Reply:
        """Send, and read the answer; of a longer one its first `most` bytes.

        The URL is sent as it is, so it is encoded already.
        Raises what the SDK raises where there is no whole answer.
        """
        proxy: str | None = self._proxy_config.proxy_url_for(url)
        try:
            session: aiohttp.ClientSession = await self._get_session(proxy)
            async with session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
                proxy=proxy,
            ) as response:
                return Reply(response.status, response.headers, await _body(response, most))
        except Exception as error:
            raise _as_the_sdk_says(error, url, proxy) from error


async def _body(response: aiohttp.ClientResponse, most: int | None) -> bytes:
    length = response.content_length
    if most is None or response.status >= 300 or (length is not None and length <= most):
        return await response.read()
    # Somebody sends more than was asked for. What is not read would be in the way of the next
    # answer on this connection, so the connection goes.
    try:
        return await response.content.readexactly(most)
    except asyncio.IncompleteReadError as end:
        return end.partial
    finally:
        response.close()


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
        case aiohttp.ClientConnectionError() | socket.gaierror():
            kind = EndpointConnectionError
    return kind(endpoint_url=url, error=error)
