"""Listening sockets: how the server comes by them, and how it leaves without losing a request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager

from service.web.connections import Server
from service.web.newcomers import let_in_no_more

# Connections that the kernel completes while the server is busy; and how many of them are let in
# before requests have their turn again.
_BACKLOG, _AT_ONCE = 1024, 16
# Of the grace: how long a connection without a request is kept, for the one that is on its way.
_LAST_CALL = 0.1
_LOOK_SECONDS = 0.02
# For what the kernel has begun with to get to the queue.
_LOOKS = 2
_FORCED_SECONDS = 0.1


async def bound_sockets(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """A socket for each address of the host, all with one port. Raises OSError.

    Port 0 takes any free one.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, proto=socket.IPPROTO_TCP
    )
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            bound = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(bound)
            bound.setblocking(False)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            port = port or sockets[0].getsockname()[1]
            bound.bind((address[0], port, *address[2:]))
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


@asynccontextmanager
async def listening(
    server: Server,
    host: str,
    port: int,
    *,
    grace: float,
    sockets: Sequence[socket.socket] | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """Serve inside the block; yields the address really listened on.

    On `sockets` where they are bound already. Leaving the block stops listening, answers whoever
    is connected by then, and gives requests under way `grace` seconds. Raises OSError when the
    address cannot be had.
    """
    loop = asyncio.get_running_loop()
    bound = list(sockets) if sockets is not None else await bound_sockets(host, port)
    listeners = [await loop.create_server(server, sock=each, backlog=_AT_ONCE) for each in bound]
    for each in bound:
        each.listen(_BACKLOG)  # for asyncio both are one number
    address = bound[0].getsockname()
    try:
        yield address[0], address[1]
    finally:
        server.draining = True
        if sockets is None:  # else they may be others' to listen on
            let_in_no_more(bound)
        await _stop_listening(server, listeners, bound)
        await _drain(server, grace)


async def _stop_listening(
    server: Server, listeners: Sequence[asyncio.Server], bound: Sequence[socket.socket]
) -> None:
    """Let in who is connected already: closing a socket would reset their connections."""
    with ExitStack() as stack:
        last = [stack.enter_context(each.dup()) for each in bound]
        for listener in listeners:
            listener.close()
        for _ in range(_LOOKS):
            for each in last:
                await _let_in_all(server, each)
            await asyncio.sleep(_LOOK_SECONDS)
        for each in last:
            await _let_in_all(server, each)


async def _let_in_all(server: Server, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(_BACKLOG):
        try:
            accepted, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            continue  # gone again, or no descriptor left: the next may be luckier
        accepted.setblocking(False)
        await loop.connect_accepted_socket(server, accepted)


async def _drain(server: Server, grace: float) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while server.open:
        waited = loop.time() - began
        if waited >= grace:
            break
        if waited >= grace * _LAST_CALL and not any(each.busy for each in server.open):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    server.pre_shutdown()
    await server.shutdown(_FORCED_SECONDS)
