"""API Gateway's proxy events as neutral requests.

A direct invocation may carry nothing but a body or path parameters; whatever else is missing, null
or of another type is filled in or passed over. Events of HTTP APIs and function URLs (format 2.0)
name method and path elsewhere; they are read too, so that no such event is taken for a direct one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from service.endpoints import Endpoint
from service.exchange import ApiRequest
from service.pipeline import is_request_id

Event = Mapping[str, Any]

ID_HEADER = "x-request-id"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
"""What routes are made for."""

_PLACEHOLDER = re.compile(r"\{([^{}+]+)\+?\}")


def completed(event: object, endpoint: Endpoint, invocation_id: str) -> dict[str, Any]:
    """The event with the members that routing needs; those of `endpoint` where it has none.

    Its `headers` are one value a lower-case name, without codings that the client would take, and
    always name the request: by the id that the client gave it, else the gateway's, else that of
    the invocation. `method` is the real one,
    `httpMethod` one that there are routes for.
    """
    given = _mapping(event)
    context = _mapping(given.get("requestContext"))
    http = _mapping(context.get("http"))
    headers = _headers(given)
    if not is_request_id(headers.get(ID_HEADER, "")):
        headers[ID_HEADER] = _text(context.get("requestId")) or invocation_id
    # An answer leaves as text: what compresses it is the gateway, where it is told to.
    headers.pop("accept-encoding", None)
    method = (
        _text(given.get("httpMethod"))
        or _text(http.get("method"))
        or _text(context.get("httpMethod"))
        or endpoint.method
    )
    query = _query(given)
    return {
        **given,
        "method": method,
        "httpMethod": method if method in METHODS else "TRACE",
        "path": _path_of_format_2(given, context) if http else _path(given, endpoint),
        "headers": headers,
        "multiValueHeaders": None,
        "query": query,
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": None,
        "requestContext": dict(context),
    }


def to_request(event: Event) -> ApiRequest:
    """The neutral request of a completed event."""
    return ApiRequest(
        method=event["method"],
        path=event["path"],
        query=event["query"],
        headers=event["headers"],
        body=_body(event),
    )


def _path(event: Event, endpoint: Endpoint) -> str:
    """The path as the client sent it, without a stage or a base path in front.

    Built from the resource that API Gateway matched: `path` itself begins with the base path
    under a custom domain.
    """
    sent = _text(event.get("path"))
    template = _text(event.get("resource")) or ("" if sent else endpoint.path)
    parameters = _mapping(event.get("pathParameters"))
    path = _PLACEHOLDER.sub(lambda found: _parameter(parameters, found), template)
    if not path or (sent and (_PLACEHOLDER.search(path) or path == f"/{sent}")):
        return sent or path
    if sent.endswith("/") and not path.endswith("/"):
        # API Gateway takes it for the path without; here as on every door it is another one.
        path += "/"
    return path


def _parameter(parameters: Event, found: re.Match[str]) -> str:
    """A path parameter's value; by whatever name where there is just one of them."""
    value = parameters.get(found[1])
    if value is None and len(parameters) == 1:
        value = next(iter(parameters.values()))
    if value is None:
        return found[0]
    if found[0].endswith("+}"):
        return str(value)
    # Left as it is where encoded already; a slash in it must not become a path part.
    return quote(str(value), safe="%", errors="surrogatepass")


def _path_of_format_2(event: Event, context: Event) -> str:
    path = _text(event.get("rawPath")) or "/"
    stage = _text(context.get("stage"))
    return path.removeprefix(f"/{stage}") or "/" if stage != "$default" else path


def _headers(event: Event) -> dict[str, str]:
    several = _mapping(event.get("multiValueHeaders"))
    headers: dict[str, str] = {}
    for name, value in (several or _mapping(event.get("headers"))).items():
        values = value if isinstance(value, list) else [value]
        present = [str(each) for each in values if each is not None]
        if present:
            headers[str(name).lower()] = ", ".join(present)
    return headers


def _query(event: Event) -> tuple[tuple[str, str], ...]:
    """The pairs; API Gateway has decoded them already, but for format 2.0."""
    raw = event.get("rawQueryString")
    if isinstance(raw, str):
        return tuple(parse_qsl(raw, keep_blank_values=True))
    several = _mapping(event.get("multiValueQueryStringParameters"))
    pairs: list[tuple[str, str]] = []
    for name, value in (several or _mapping(event.get("queryStringParameters"))).items():
        values = value if isinstance(value, list) else [value]
        pairs += [(str(name), str(each)) for each in values if each is not None]
    return tuple(pairs)


def _body(event: Event) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        # A direct invocation may carry the document itself instead of its text.
        body = json.dumps(body)
    elif event.get("isBase64Encoded") is True:
        try:
            return base64.b64decode(body.strip(), validate=True)
        except (binascii.Error, ValueError):
            return b"\xff"  # no JSON, as the pipeline will say
    # A lone surrogate cannot be UTF-8; encoded anyway, it is refused like any other bad byte.
    return body.encode("utf-8", "surrogatepass")


def _mapping(value: object) -> Event:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
