"""The neutral request and answer: what a door hands to the pipeline and gets back.

A door turns its own messages into these and back, and does nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from service.values import value

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"


@value(frozen=True, slots=True)
class ApiRequest:
    """One request.

    `path` as it stood on the request line (percent-encoded, without the query), `query` the
    decoded pairs in order, `headers` by lower-case name, `body` the bytes as sent.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@value(frozen=True, slots=True)
class ApiResponse:
    """One answer. `headers` by their usual spelling; a door adds Content-Length and Date."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
