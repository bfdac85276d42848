"""The Lambda Runtime API: the HTTP that a runtime client speaks to fetch events and to answer.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. Knows nothing of LocalStack or of
processes.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from queue import SimpleQueue

_API = "/2018-06-01/runtime"
_ACCEPTED = b'{"status":"OK"}'


class InitFailed(Exception):
    """The function could not be loaded; `document` is the error as Lambda reports it."""

    def __init__(self, document: bytes) -> None:
        super().__init__(document.decode("utf-8", "replace"))
        self.document = document


class TimedOut(Exception):
    """The function did not answer in its time."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event on its way to the function."""

    request_id: str
    function_arn: str
    trace_id: str
    deadline_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event: the function's answer, or an error document."""

    document: bytes
    is_error: bool = False

    @classmethod
    def error(cls, kind: str, message: str) -> Outcome:
        """Make the document that Lambda itself answers in a function's stead."""
        return cls(dumps({"errorType": kind, "errorMessage": message}).encode(), is_error=True)


class RuntimeApi:
    """The API of one process, on a port of its own; it serves one event at a time."""

    def __init__(self) -> None:
        self._ready: Future[None] = Future()
        self._answer: Future[Outcome] = Future()
        self._closed: Outcome | None = None
        self._lock = threading.Lock()
        self._events: SimpleQueue[Invocation | None] = SimpleQueue()
        self._server = _Server(self)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_until_ready(self) -> None:
        """Return once the process has asked for its first event. Raises InitFailed."""
        self._ready.result()

    def invoke(self, event: Invocation, seconds: float) -> Outcome:
        """Offer the event to the process and wait for its answer. Raises TimedOut."""
        with self._lock:
            # The process can die between two events, and then nobody would answer this one.
            if self._closed:
                return self._closed
            self._answer = Future()
            self._events.put(event)
        try:
            return self._answer.result(seconds)
        except TimeoutError:
            raise TimedOut from None

    def close(self, reason: Outcome) -> None:
        """Stop serving; who still waits for the process learns the reason."""
        with self._lock:
            self._closed = reason
            self.answered(reason)
        self.init_failed(reason.document)
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()

    def next_event(self) -> Invocation | None:
        """Wait for the next event; None once closed."""
        with suppress(InvalidStateError):
            self._ready.set_result(None)
        return self._events.get()

    def answered(self, outcome: Outcome) -> None:
        """Take the answer to the event under way; one that comes too late is dropped."""
        with suppress(InvalidStateError):
            self._answer.set_result(outcome)

    def init_failed(self, document: bytes) -> None:
        """Take the process's word that it cannot load the function."""
        with suppress(InvalidStateError):
            self._ready.set_exception(InitFailed(document))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: RuntimeApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a connection that broke: its process was ended, and that is reported."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Head and body leave in two writes: without this the second waits 40 ms for an ACK.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path != f"{_API}/invocation/next":
            return self._reply(404, b"{}")
        event = self.server.api.next_event()
        if event is None:
            self.close_connection = True
            return None
        headers = {
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(event.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
            "Lambda-Runtime-Trace-Id": event.trace_id,
        }
        return self._reply(200, event.payload, headers)

    def do_POST(self) -> None:
        body = self._body()
        if self.path == f"{_API}/init/error":
            self.server.api.init_failed(body)
        elif self.path.endswith("/response"):
            self.server.api.answered(Outcome(body))
        elif self.path.endswith("/error"):
            self.server.api.answered(Outcome(body, is_error=True))
        else:
            return self._reply(404, b"{}")
        return self._reply(202, _ACCEPTED)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: LocalStack's log names every event already."""
