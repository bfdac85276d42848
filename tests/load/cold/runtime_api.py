"""The Lambda Runtime API for one process, with a clock: when it asked and when it answered.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. A process is started, given its
events one by one and ended; what the events are is no business of this module.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast
from uuid import uuid4

_ARN = "arn:aws:lambda:us-east-1:000000000000:function:bench"
_SECONDS = 30


class FunctionFailed(Exception):
    """The process ended, could not load its handler or raised; the message says which."""


class Function:
    """A started process. Times are `time.perf_counter()` of this one."""

    def __init__(self, server: _Server, started: float) -> None:
        self._server = server
        self.started = started

    def wait_until_ready(self) -> float:
        """When it asked for its first event."""
        return self._server.asked.get(timeout=_SECONDS)

    def invoke(self, event: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """The answer to an event, and when it came. Raises FunctionFailed."""
        self._server.events.put(json.dumps(event).encode())
        failed, body, moment = self._server.answers.get(timeout=_SECONDS)
        if failed:
            raise FunctionFailed(body.decode())
        return cast("dict[str, Any]", json.loads(body)), moment


@contextmanager
def running_function(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> Iterator[Function]:
    """Start `command` with a Runtime API of its own, and end it on the way out."""
    server = _Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    with log.open("ab") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": server.address},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Function(server, started)
    finally:
        process.kill()
        process.wait()
        server.events.put(None)
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.asked: SimpleQueue[float] = SimpleQueue()
        self.events: SimpleQueue[bytes | None] = SimpleQueue()
        self.answers: SimpleQueue[tuple[bool, bytes, float]] = SimpleQueue()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: the process was ended while it waited for an event."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or the second waits for an ACK

    def do_GET(self) -> None:
        self.server.asked.put(time.perf_counter())
        event = self.server.events.get()
        if event is None:
            self.close_connection = True
            return
        self._reply(
            200,
            event,
            {
                "Lambda-Runtime-Aws-Request-Id": str(uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + _SECONDS) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": _ARN,
                "Lambda-Runtime-Trace-Id": "Root=1-5e1b4151-5ac6c58f3e2d6f1a2b3c4d5e;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self._body()
        self.server.answers.put((not self.path.endswith("/response"), body, time.perf_counter()))
        self._reply(202, b'{"status":"OK"}', {})

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a line for each event would be part of what is measured."""
