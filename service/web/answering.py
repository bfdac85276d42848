"""The requests of one connection: answered one after the other, in the order they came.

aiohttp parses what arrives; the rest of its server is made for handlers of any kind, with a task, a
request and a response object each. Here every request is an `ApiRequest` and every answer is there
whole, so that a connection's own task does it all.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http import HttpVersion10, RawRequestMessage

from service.errors import MalformedMessage
from service.exchange import ApiResponse
from service.web import messages

# What is left of a body after its answer is read for so long, so that the answer arrives.
LINGERING_SECONDS = 2

_log = logging.getLogger(__name__)


class AnsweringProtocol(ABC, web.RequestHandler):
    """aiohttp's connection, with answers that are made by `respond`."""

    __slots__ = ("_body", "_heard_all")

    def __init__(self, manager: web.Server, **options: Any) -> None:
        """`options` are those of aiohttp's own."""
        super().__init__(manager, **options)
        # Of the request under way, for as long as it may be read.
        self._body: StreamReader | None = None
        # Whether the client has said that it will send no more.
        self._heard_all = False

    @abstractmethod
    async def respond(
        self, message: RawRequestMessage, payload: StreamReader
    ) -> tuple[ApiResponse, bool]:
        """The answer to a request, and whether it is the last one of the connection."""

    @abstractmethod
    def refuse(self, error: Exception) -> ApiResponse:
        """The answer where there is no request that could be answered. Must not fail."""

    def done(self) -> None:
        """Called when an answer is made, or none will be."""

    async def start(self) -> None:
        """Answer what arrives, until either side has enough. aiohttp runs this as a task."""
        while not self._force_close:
            if not self._messages:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            message, payload = self._messages.popleft()
            if not await self._serve(message, payload):
                break
            self._keep()
        self._task_handler = None
        if self.transport is not None:
            self.transport.close()

    async def _serve(self, message: object, payload: StreamReader) -> bool:
        """Answer one message; whether there may be another."""
        whole = payload.is_eof()
        if whole:
            self._take_in_more()
        self._request_in_progress = True
        try:
            last = await self._answer(message, payload)
        except ConnectionError:
            return False  # nobody is there any more
        finally:
            self._body = None
            self._request_in_progress = False
            waiter = self._handler_waiter
            if waiter is not None and not waiter.done():  # aiohttp's shutdown waits for it
                waiter.set_result(None)
        if self._paused:
            await self._drained()
        if not payload.is_eof():  # which makes it the last
            await self._pass_over(payload)
            return False
        if last or self._close or self._force_close:
            return False
        if not whole:
            self._take_in_more()
        return not self._heard_all or bool(self._messages)

    async def _answer(self, message: object, payload: StreamReader) -> bool:
        """Send the answer; whether it is the last one. Raises ConnectionError."""
        last, old = True, False
        try:
            if isinstance(message, RawRequestMessage):
                self._body = payload
                answer, last = await self.respond(message, payload)
                old = message.version == HttpVersion10
                # Where a message of HTTP/1.0 in chunks ends is not certain (RFC 9112, 6.1).
                last = last or message.should_close or (old and bool(message.chunked))
            else:  # aiohttp could make no request of what arrived
                answer = self.refuse(MalformedMessage())
            sent = messages.answer_bytes(answer, last=last, old=old)
        except Exception as error:
            _log.exception("no answer could be made")
            last = True
            sent = messages.answer_bytes(self.refuse(error), last=True, old=False)
        finally:
            self.done()
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(sent)
        return last

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let a request that waits for the rest of its body know that there will be none."""
        if self._body is not None:
            self._body.set_exception(exc or ConnectionResetError("the client is gone"))
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio looks at it
        """Answer what was sent by a client that sends no more, but still listens."""
        if self._body is None and not self._messages and not self._paused:
            return None  # asyncio closes the connection
        if not all(payload.is_eof() for _, payload in self._messages):
            return None
        if self._body is not None and not self._body.is_eof():
            return None
        self._heard_all = True
        return True

    def _take_in_more(self) -> None:
        """Make room for more of what was sent ahead: one message has been whole."""
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _drained(self) -> None:
        """Wait until the client has taken in its answer, before there is another."""
        try:
            await self._drain_helper()
        except ConnectionError:
            self.force_close()

    async def _pass_over(self, payload: StreamReader) -> None:
        """Read what is left of a body, for a moment."""
        with suppress(TimeoutError, web.RequestPayloadError, ConnectionError):
            async with asyncio.timeout(LINGERING_SECONDS):
                while not payload.is_eof() and self.transport is not None:
                    await payload.readany()

    def _keep(self) -> None:
        """Keep the connection for the next request."""
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
