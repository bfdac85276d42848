"""What endpoints answer, for the OpenAPI document: statuses, problems and headers.

Follows from the endpoint table and the table of problems; knows no schema but by its name.
Common examples are components of the document, named like their problems.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service import errors, problems
from service.endpoints import Endpoint
from service.exchange import JSON, PROBLEM_JSON
from service.openapi_examples import Examples, invalid_fields
from service.openapi_texts import OPERATIONS

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
        "schema": {"type": "string", "pattern": '^"[^"]+"$', "example": '"1-64ab70c20e440"'},
    },
    "RateLimit": {
        "description": "What is left of each limit (`r`) and seconds until there is more (`t`); "
        "where the service itself keeps to one.",
        "schema": {"type": "string", "example": '"burst";r=499;t=1'},
    },
    "RateLimit-Policy": {
        "description": "The limits: requests (`q`) in so many seconds (`w`); "
        "where the service itself keeps to one.",
        "schema": {"type": "string", "example": '"burst";q=500;w=1'},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again. Sooner is refused again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "example": 2},
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
_ADVICE = {
    "400": "Do not repeat it as it is.",
    "401": "Show other credentials, or name the owner.",
    "412": "Get the image again; its new `ETag` will do.",
    "429": "Wait `Retry-After` seconds, then try again.",
    "500": "Try again later; if it stays, report `instance`.",
    "503": "Wait `Retry-After` seconds, then try again.",
}


def responses(
    endpoint: Endpoint,
    own_problems: Iterable[type[errors.MontError]],
    request_headers: set[str],
    examples: Examples,
) -> dict[str, Any]:
    """The responses of an operation; `examples` are of its 200.

    `request_headers` are the conditions that it knows of.
    """
    conditional = bool(request_headers & {CONDITIONAL, "If-Match"})
    tagged = ("ETag",) if conditional else ()
    found = {
        "200": {
            "description": OPERATIONS[endpoint.name].answer,
            "headers": _headers(endpoint, "Cache-Control", *tagged),
            "content": {JSON: {"schema": endpoint.answer, "examples": examples}},
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
        by_status.setdefault(str(kind.status), {})[kind.slug] = kind.title
    return {
        status: {
            "description": _told(status, titles),
            "headers": _headers(endpoint, "Cache-Control", *_OF_STATUS.get(status, ())),
            "content": {
                PROBLEM_JSON: {
                    "schema": "ProblemSchema",
                    "examples": {slug: _example(endpoint, slug) for slug in titles},
                }
            },
        }
        for status, titles in sorted(by_status.items())
    }


def _told(status: str, titles: dict[str, str]) -> str:
    kinds = "; ".join(f"{title} (`{problems.TYPE_PREFIX}{slug}`)" for slug, title in titles.items())
    return f"{kinds}. {_ADVICE[status]}" if status in _ADVICE else f"{kinds}."


def _example(endpoint: Endpoint, slug: str) -> dict[str, Any]:
    if slug == problems.KINDS[errors.InvalidFields].slug:
        return invalid_fields(endpoint.name)
    return {"$ref": f"#/components/examples/{slug}"}


def _headers(endpoint: Endpoint, *more: str) -> dict[str, dict[str, str]]:
    limits = ("RateLimit", "RateLimit-Policy") if endpoint.limited else ()
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*_ALWAYS, *more, *limits)}
