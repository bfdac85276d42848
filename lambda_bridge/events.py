"""API Gateway's proxy events as neutral requests.

A direct invocation may carry nothing but a body or path parameters; whatever else is missing or
null is filled in from the endpoint that the invoked function is for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from service.endpoints import Endpoint
from service.exchange import ApiRequest
from service.routing import IMAGE_ID

Event = Mapping[str, Any]

ID_HEADER = "x-request-id"


def completed(event: Event, endpoint: Endpoint, invocation_id: str) -> dict[str, Any]:
    """The event with the members that routing needs; those of `endpoint` where it has none.

    Its `headers` are one value a lower-case name, and always name the request: by the id that
    the client gave it, else the gateway's, else that of the invocation.
    """
    context = event.get("requestContext") or {}
    headers = _headers(event)
    headers.setdefault(ID_HEADER, context.get("requestId") or invocation_id)
    method = event.get("httpMethod") or context.get("httpMethod") or endpoint.method
    return {
        **event,
        "httpMethod": method,
        "path": _path(event, endpoint),
        "headers": headers,
        "multiValueHeaders": None,
        "requestContext": context,
    }


def to_request(event: Event) -> ApiRequest:
    """The neutral request of a completed event."""
    return ApiRequest(
        method=event["httpMethod"],
        path=event["path"],
        query=_query(event),
        headers=event["headers"],
        body=_body(event),
    )


def _path(event: Event, endpoint: Endpoint) -> str:
    """The path as the client sent it, without a stage or a base path in front.

    Built from the resource that API Gateway matched: `path` itself begins with the base path
    under a custom domain.
    """
    sent = event.get("path") or ""
    path = str(event.get("resource") or ("" if sent else endpoint.path) or sent)
    parameters = event.get("pathParameters") or {}
    path = path.replace("{proxy+}", str(parameters.get("proxy", "")))
    if IMAGE_ID in path:
        # Left as it is where encoded already; a slash in it must not become a path part.
        path = path.replace(IMAGE_ID, quote(str(parameters.get("image_id", "")), safe="%"))
    if sent.endswith("/") and not path.endswith("/"):
        # API Gateway takes it for the path without; here as on every door it is another one.
        path += "/"
    return path


def _headers(event: Event) -> dict[str, str]:
    several = event.get("multiValueHeaders")
    if several:
        return {name.lower(): ", ".join(values or ()) for name, values in several.items()}
    single = event.get("headers") or {}
    return {name.lower(): value for name, value in single.items() if value is not None}


def _query(event: Event) -> tuple[tuple[str, str], ...]:
    """The pairs; API Gateway has decoded them already."""
    several = event.get("multiValueQueryStringParameters")
    if several:
        return tuple((name, value) for name, values in several.items() for value in values or ())
    return tuple((event.get("queryStringParameters") or {}).items())


def _body(event: Event) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        # A direct invocation may carry the document itself instead of its text.
        import orjson

        return orjson.dumps(body)
    if event.get("isBase64Encoded"):
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            return b"\xff"  # no JSON, as the pipeline will say
    # A lone surrogate cannot be UTF-8; encoded anyway, it is refused like any other bad byte.
    return body.encode("utf-8", "surrogatepass")
