"""What endpoints answer, for the OpenAPI document: statuses, problems and headers.

Follows from the endpoint table and the table of problems; knows no schema but by its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service import errors, problems
from service.endpoints import Endpoint
from service.exchange import JSON, PROBLEM_JSON

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Names this request in problems and logs; yours, if you sent a fitting one.",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "X-Content-Type-Options": {
        "description": "No browser may take an answer for something else than it is.",
        "required": True,
        "schema": {"type": "string", "const": "nosniff"},
    },
    "Cache-Control": {
        "description": "Whether the answer may be kept.",
        "required": True,
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Names this state of the image, for `If-Match` and `If-None-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[^"]+"$'},
    },
    "RateLimit": {
        "description": "What is left of the limit; where the service itself keeps to one.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "The limit itself; where the service itself keeps to one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "What to show. API Gateway calls it `x-amzn-remapped-www-authenticate`.",
        "schema": {"type": "string"},
    },
}
"""Every header of an answer, by name: a component of the document."""

CONDITIONAL = "If-None-Match"

_ALWAYS = ("X-Request-Id", "X-Content-Type-Options")
_OF_STATUS = {
    "401": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def responses(
    endpoint: Endpoint, own_problems: Iterable[type[errors.MontError]], request_headers: set[str]
) -> dict[str, Any]:
    """The responses of an operation. `request_headers` are the conditions that it knows of."""
    conditional = bool(request_headers & {CONDITIONAL, "If-Match"})
    tagged = ("ETag",) if conditional else ()
    found = {
        "200": {
            "description": "As asked.",
            "headers": _headers(endpoint, "Cache-Control", *tagged),
            "content": {JSON: {"schema": endpoint.answer}},
        }
    }
    if CONDITIONAL in request_headers:
        found["304"] = {
            "description": f"As `{CONDITIONAL}` has it already.",
            "headers": _headers(endpoint, "Cache-Control", *tagged),
        }
    return found | _failures(endpoint, own_problems)


def _failures(
    endpoint: Endpoint, own_problems: Iterable[type[errors.MontError]]
) -> dict[str, dict[str, Any]]:
    """The problems of an endpoint by status, with the types that each can have."""
    kinds = [problems.KINDS[error] for error in own_problems]
    by_status: dict[str, dict[str, str]] = {}
    for kind in (*kinds, problems.UNEXPECTED):
        titles = by_status.setdefault(str(kind.status), {})
        titles[problems.TYPE_PREFIX + kind.slug] = kind.title
    return {
        status: {
            "description": "; ".join(f"{title} (`{type_}`)" for type_, title in titles.items()),
            "headers": _headers(endpoint, "Cache-Control", *_OF_STATUS.get(status, ())),
            "content": {PROBLEM_JSON: {"schema": "ProblemSchema"}},
        }
        for status, titles in sorted(by_status.items())
    }


def _headers(endpoint: Endpoint, *more: str) -> dict[str, dict[str, str]]:
    limits = ("RateLimit", "RateLimit-Policy") if endpoint.limited else ()
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *more, *limits)}
