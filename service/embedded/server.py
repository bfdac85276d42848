"""The HTTP server around moto: keep-alive, quiet, one request at a time.

It decides how bytes reach moto and nothing of what moto answers (see moto_gaps for that).
"""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.datastructures import Headers
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.test import run_wsgi_app

from service.embedded.moto_gaps import close_gaps

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_BODILESS = (204, 304)

# moto reads, checks a condition and writes without any lock, on live objects. One lock around
# each request makes every DynamoDB condition and every S3 precondition atomic, and hides
# half-written state from readers. It costs little: moto is pure Python and shares one
# interpreter lock anyway, and no network is touched while this one is held.
_one_at_a_time = threading.Lock()


def moto_server(listener: socket.socket) -> BaseWSGIServer:
    """Return a server of moto on this listening socket, its gaps closed, ready at once."""
    close_gaps()
    app = DomainDispatcherApplication(create_backend_app)
    for service in ("s3", "dynamodb"):
        app.app_instances[service] = create_backend_app(service)
    return http_server(listener, app)


def http_server(listener: socket.socket, app: WSGIApplication) -> BaseWSGIServer:
    """Return a server of this application: a thread for each connection, one request at a time."""
    host, port = listener.getsockname()
    return make_server(
        host, port, app, threaded=True, request_handler=_Handler, fd=listener.fileno()
    )


class _Handler(MotoRequestHandler):
    """Werkzeug's handler closes the connection after each answer; this one keeps it open.

    The reason there is that what an application left unread would be taken for the next
    request. Here the whole body is read first, and the whole answer is known before it is sent.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one packet

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        environ["wsgi.input"] = BytesIO(self._read_body(environ))
        try:
            with _one_at_a_time:
                chunks, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except Exception:
            # Whatever moto does not support: the caller gets an answer, the reason is on stderr.
            traceback.print_exc()
            chunks, status, headers = (), "500 Internal Server Error", Headers()
        self._send(status, headers, b"".join(chunks))

    def _read_body(self, environ: dict[str, Any]) -> bytes:
        if environ.get("wsgi.input_terminated"):  # chunked
            read: Callable[[], bytes] = environ["wsgi.input"].read
            return read()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            # Or moto would store the half of an upload that its sender gave up.
            raise ConnectionError("the client left before the end of its request")
        return body

    def _send(self, status: str, headers: Headers, body: bytes) -> None:
        code, _, reason = status.partition(" ")
        bodiless = int(code) in _BODILESS
        self.send_response(int(code), reason)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        if self.command == "HEAD":
            self.send_header("Content-Length", headers.get("Content-Length", "0"))
        elif not bodiless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and not bodiless:
            self.wfile.write(body)
        self.wfile.flush()

    def handle_expect_100(self) -> bool:
        """Flush "100 Continue": a client that asked for it sends nothing before it came."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the service logs its own requests."""
