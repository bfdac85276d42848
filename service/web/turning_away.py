"""Answers to requests that are turned away: made beforehand, since they must cost next to nothing.

What a server spends on refusing under overload it lacks for answering.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp.http import HttpVersion11, RawRequestMessage

from service.errors import Overloaded
from service.exchange import ApiRequest, ApiResponse
from service.pipeline import Answerer, is_request_id, new_request_id

# Whoever asks these wants to know how things are, and needs to most when they are bad.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})

_MARK = "0" * 32
_SIMPLE = frozenset({"GET", "POST", "PATCH", "DELETE"})


class TurnedAway:
    """The answer `overloaded`, as bytes for one connection."""

    def __init__(self, pipeline: Answerer) -> None:
        # An origin that may read answers is told so by name: then each request has its own answer.
        anywhere = pipeline.turned_away(ApiRequest("GET", "/"), Overloaded(), _MARK)
        self._for_any_origin = anywhere.headers.get("Access-Control-Allow-Origin") == "*"
        self._body = anywhere.body.decode().split(_MARK)
        self._length = len(anywhere.body) - len(_MARK)
        self._head = _head(anywhere)

    def answer(self, message: RawRequestMessage) -> bytes | None:
        """The whole answer to this request; None where it takes more than these few bytes."""
        if (
            message.method not in _SIMPLE
            or message.should_close
            or message.upgrade
            or message.version != HttpVersion11
            or ("Origin" in message.headers and not self._for_any_origin)
        ):
            return None
        given = message.headers.get("X-Request-Id", "")
        return self.bytes_for(given if is_request_id(given) else new_request_id())

    def bytes_for(self, this_id: str, *, last: bool = False) -> bytes:
        """The answer under this id; the `last` one of its connection says so."""
        before, after = self._body
        closing = "Connection: close\r\n" if last else ""
        length = self._length + len(this_id)
        return (
            f"{self._head}{closing}X-Request-Id: {this_id}\r\nContent-Length: {length}\r\n\r\n"
            f"{before}{this_id}{after}"
        ).encode()


def _head(answer: ApiResponse) -> str:
    status = HTTPStatus(answer.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Server: mont"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items() if value != _MARK]
    return "\r\n".join(lines) + "\r\n"
