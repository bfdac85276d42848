"""Where load may go: this machine, unless somebody said otherwise."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from yarl import URL

from service.client.transport import proxy_for


class NotAllowedThere(Exception):
    """Load would leave this machine, and nobody allowed that; the message says where to."""


class Places:
    """Knows the addresses that were looked at already. Links of S3 may lead anywhere, too."""

    def __init__(self, *, anywhere: bool) -> None:
        self._anywhere = anywhere
        self._known: set[URL] = set()

    async def check(self, url: str, what: str) -> None:
        """Raises NotAllowedThere unless load may go to this address."""
        if self._anywhere:
            return
        origin = URL(url, encoded=True).origin()
        if origin in self._known:
            return
        if proxy_for(origin) is not None or not await _is_here(origin.host or ""):
            raise NotAllowedThere(f"{what} is not on this machine: {origin}")
        self._known.add(origin)


async def _is_here(host: str) -> bool:
    """Whether every address of a host is this machine's own."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    addresses = {str(each[4][0]).partition("%")[0] for each in found}
    return bool(addresses) and all(
        ipaddress.ip_address(address).is_loopback for address in addresses
    )
