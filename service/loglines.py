"""Where log lines go: each at once, and those that can wait together, when the loop's turn is over.

Alone, a line costs its request a system call and code that is cold by then. A busy loop answers
dozens of requests in one turn: all but one are spared both, and they get their answers first. What
a process that is killed (SIGKILL) has not written are the lines of one turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import TextIO

# Workers share one standard error. What is no longer than this stays in one piece where that is a
# pipe (pipe(7), PIPE_BUF).
_IN_ONE_PIECE = 4096


class LogLines(logging.StreamHandler[TextIO]):
    """Writes lines in the order in which they came, whether they waited or not."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        # Threads log, too: a list could lose a line between its writing and its emptying.
        self._waiting: deque[Callable[[], bytes]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record at once."""
        self.flush()
        try:
            self._write(f"{self.format(record)}\n")
        except Exception:  # whatever it is, no request may fail for it
            self.handleError(record)

    def soon(self, make: Callable[[], bytes]) -> None:
        """Write what `make` returns, a line with its end, when the running loop's turn is over.

        At once where none is running.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._waiting.append(make)
            self.flush()
            return
        # A loop that ended before its turn did has left its lines to whoever comes next.
        if not self._waiting or loop is not self._loop:
            self._loop = loop
            # In no request's context: the lines are not all about the one that came first.
            loop.call_soon(self.flush, context=Context())
        self._waiting.append(make)

    def flush(self) -> None:
        """Write what waits. `logging` asks for it when the process ends, too."""
        self.acquire()
        try:
            for piece in self._pieces():
                try:
                    self._write(piece.decode())
                except Exception:
                    self._complain()  # what could not be written is lost, what follows is not
        finally:
            self.release()

    def _pieces(self) -> Iterator[bytes]:
        """What waits, whole lines at a time."""
        piece = b""
        while self._waiting:
            make = self._waiting.popleft()
            try:
                line = make()
            except Exception:
                self._complain()
                continue
            if piece and len(piece) + len(line) > _IN_ONE_PIECE:
                yield piece
                piece = b""
            piece += line
        if piece:
            yield piece

    def _complain(self) -> None:
        self.handleError(logging.makeLogRecord({"msg": "lines of requests"}))

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
