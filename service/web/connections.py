"""Connections: what each may take of the server's time and memory, and how many there may be.

A connection is idle, or has work at hand: a request that has begun to arrive or waits for its
answer. Over the limit, the one that has been idle for longest makes room; where none is, a newcomer
is heard only if it asks how the server is.
"""

from __future__ import annotations

import asyncio
import time

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage

from service.errors import Overloaded
from service.exchange import ApiResponse
from service.pipeline import MAX_BODY_BYTES, Answerer, new_request_id
from service.shedding import Gate, arrival
from service.web import messages
from service.web.answering import AnsweringProtocol
from service.web.turning_away import PROBES, TurnedAway

# For the head of a first request, and between two requests of one connection.
HEADER_SECONDS = 10
KEEPALIVE_SECONDS = 75
# A client that takes its answer in slower than 1 KB/s holds a connection, not a download.
WRITE_SECONDS, WRITE_BYTES = 10, 10_240
MOST_SENT_AHEAD = 8
# Beyond the limit, so that probes find a way in.
RESERVE = 64
MAX_CLIENT_CONNECTIONS = 4096


def make_server(
    pipeline: Answerer,
    gate: Gate | None = None,
    *,
    max_connections: int = MAX_CLIENT_CONNECTIONS,
) -> Server:
    """A server that hands every request to the pipeline, whatever its method and path.

    `gate` turns requests away; without one, none is. `max_connections` open at once.
    """
    return Server(pipeline, gate or Gate(float("inf"), time.perf_counter), max_connections)


class Server(web.Server):
    """aiohttp's server with connections of ours."""

    def __init__(self, pipeline: Answerer, gate: Gate, max_connections: int) -> None:
        # Cancelling a task whose client went away could stop an operation between two writes.
        super().__init__(_never, handler_cancellation=False)
        self.pipeline = pipeline
        self.gate = gate
        self.turned_away = TurnedAway(pipeline)
        self.max_connections = max_connections
        self.draining = False
        self.open: set[Connection] = set()
        self.idle: dict[Connection, None] = {}  # the one that has been idle for longest first

    def __call__(self) -> web.RequestHandler:
        """The protocol of one connection."""
        return Connection(self)


async def _never(request: web.BaseRequest) -> web.StreamResponse:
    """What aiohttp's server wants to be given, and its connections would call."""
    raise NotImplementedError(request)


class Connection(AnsweringProtocol):
    """aiohttp's connection, with an end to everything that a client can draw out."""

    __slots__ = (
        "_arrived",
        "_busy",
        "_handling",
        "_server",
        "_silence",
        "_stalled",
        "_unsent",
        "refused",
    )

    def __init__(self, server: Server) -> None:
        # Access logging is the pipeline's; aiohttp's own is switched off by None. Compressed
        # bodies are refused, not decompressed: a few of their bytes can be gigabytes.
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_SECONDS,
            access_log=None,
            auto_decompress=False,
            # Twice as much is what a body may wait with, before no more is read.
            read_bufsize=MAX_BODY_BYTES // 2,
        )
        # Nor is it where so many requests were sent ahead, each with its body.
        self._max_msg_queue_size, self._msg_queue_resume_size = (
            MOST_SENT_AHEAD,
            MOST_SENT_AHEAD // 2,
        )
        self._server = server
        self._silence: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._arrived = 0.0
        self._busy = self._handling = False
        self.refused: str | None = None

    @property
    def busy(self) -> bool:
        """Whether a request waits for its rest or its answer, or an answer to be taken in."""
        return self._busy or self._paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room for the connection, and give the client a while to say what it wants."""
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        # Whatever the client does not take in stops us and starts a timer, however little it is.
        transport.set_write_buffer_limits(high=0)
        server = self._server
        server.open.add(self)
        patience: float = HEADER_SECONDS
        excess = len(server.open) - server.max_connections
        if excess > 0 and server.idle:
            longest = next(iter(server.idle))
            del server.idle[longest]
            server.open.discard(longest)
            longest.force_close()
        elif excess > RESERVE:
            server.gate.turned_away("connections")
            transport.write(server.turned_away.bytes_for(new_request_id(), last=True))
            self.force_close()
            return
        elif excess > 0:
            self.refused = "connections"
            patience = 1
        if self.refused is None:
            server.idle[self] = None
        # aiohttp itself would wait for ever for the first request.
        self._silence = asyncio.get_running_loop().call_later(patience, transport.close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection and its timers."""
        self._heard()
        self._flows()
        self._server.open.discard(self)
        self._server.idle.pop(self, None)
        if self._busy and not self._handling:
            self._busy = False
            self._server.gate.under_way -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a request on, or turn it away before anything is spent on it."""
        waiter, self._waiter = self._waiter, None
        super().data_received(data)
        self._waiter = waiter
        if not self._messages:
            return
        self._heard()
        if self._busy or waiter is None:
            return  # sent ahead: it has its turn after the one before, and its answer taken in
        if not self._server.gate.has_room() and self._turn_away():
            return
        self._begin()
        if not waiter.done():
            waiter.set_result(None)

    def _turn_away(self) -> bool:
        """Answer the one request that is there at once, where that is all there is to do."""
        message, payload = self._messages[0]
        server, transport = self._server, self.transport
        if (
            transport is None
            or self._parser is None
            or len(self._messages) > 1
            or not isinstance(message, RawRequestMessage)
            or not payload.is_eof()
            or self._reading_paused
            or self._buffer_paused
            or server.draining
            or self.refused == "connections"
            or message.path in PROBES
            or (answer := server.turned_away.answer(message)) is None
        ):
            return False
        self._messages.popleft()
        self._parser.message_consumed()
        transport.write(answer)
        self._next_keepalive_close_time = self._loop.time() + KEEPALIVE_SECONDS
        server.idle.pop(self, None)
        server.idle[self] = None
        server.gate.turned_away("overloaded")
        return True

    def _begin(self) -> None:
        gate = self._server.gate
        self._server.idle.pop(self, None)
        if self.refused != "connections":
            self.refused = None if gate.has_room() else "overloaded"
        self._busy = True
        gate.under_way += 1
        self._arrived = time.perf_counter()

    async def respond(
        self, message: RawRequestMessage, payload: StreamReader
    ) -> tuple[ApiResponse, bool]:
        """See `AnsweringProtocol`: a request's turn has come."""
        if not self._busy:  # it was sent ahead, and waited for its own client's requests
            self._begin()
        self._handling = True
        server = self._server
        reason = self.refused or ("overloaded" if server.gate.is_stale(self._arrived) else None)
        if reason is not None and message.url.raw_path not in PROBES:
            server.gate.turned_away(reason)
            neutral = messages.without_body(message)
            answer = server.pipeline.turned_away(neutral, Overloaded())
            return answer, reason == "connections" or not payload.is_eof()
        arrival.set(self._arrived)
        began = time.perf_counter()
        neutral, problem = await messages.read(message, payload, self.transport)
        waited = time.perf_counter() - began
        answer = await server.pipeline.run(neutral, problem, waited=waited)
        last = (
            # What is left of the body is not worth reading, and without it the connection is lost.
            problem is not None
            or server.draining
            or self.refused == "connections"
            # Offered another protocol, aiohttp reads no further request, though none was taken up.
            or message.upgrade
        )
        return answer, last

    def refuse(self, error: Exception) -> ApiResponse:
        """See `AnsweringProtocol`."""
        return self._server.pipeline.refuse(error)

    def done(self) -> None:
        """See `AnsweringProtocol`."""
        if not self._busy:
            return  # it could not even be taken for a request
        self._busy = self._handling = False
        self._server.gate.under_way -= 1
        if self.transport is not None and self.refused != "connections":
            self._server.idle[self] = None

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on, where reading was paused; aiohttp has it parse anew after every body."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def pause_writing(self) -> None:
        """The client does not take in what is sent: wait, but not for ever."""
        super().pause_writing()
        self._watch_flow()

    def resume_writing(self) -> None:
        """It has taken in everything."""
        self._flows()
        super().resume_writing()

    def _watch_flow(self) -> None:
        transport = self.transport
        if transport is None:
            return
        self._unsent = transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(WRITE_SECONDS, self._check_flow, transport)

    def _check_flow(self, transport: asyncio.Transport) -> None:
        self._stalled = None
        unsent = transport.get_write_buffer_size()
        if self._unsent - unsent < WRITE_BYTES:
            transport.abort()
        else:
            self._unsent = unsent
            loop = asyncio.get_running_loop()
            self._stalled = loop.call_later(WRITE_SECONDS, self._check_flow, transport)

    def _heard(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _flows(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
