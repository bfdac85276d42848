"""The endpoints that serve documents: OpenAPI and Swagger UI, and the means for more."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

import orjson

from service.compression import StaticDocument
from service.endpoints import ENDPOINTS, NO_STORE, Call, Endpoint, EndpointFunction, Reply
from service.etags import is_fresh
from service.exchange import JSON
from service.pagepolicy import HEADERS, Policy, docs_policy
from service.schemas import Rules
from service.settings import AuthMode

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


def file_endpoint(path: str, source: Traversable, policy: Policy = docs_policy) -> Endpoint:
    """An endpoint that serves one packaged file, read when it is first asked for."""
    return static_endpoint(path, type_of(source.name), source.read_bytes, policy)


def type_of(filename: str) -> str:
    """The Content-Type of a file by this name. Raises KeyError for a kind that no page uses."""
    return _TYPES[PurePosixPath(filename).suffix]


def static_endpoint(
    path: str, content_type: str, read: Callable[[], bytes], policy: Policy = docs_policy
) -> Endpoint:
    """An endpoint that serves bytes that do not change while the process lives."""
    document = StaticDocument(read)

    async def serve(call: Call[None, None]) -> Reply:
        body, etag, coding = await document.coded(call.headers.get("accept-encoding"))
        headers = {
            **HEADERS,
            "Content-Security-Policy": policy(call.desk),
            "Vary": "Accept-Encoding",
            "ETag": etag,
        }
        if is_fresh(call.headers.get("if-none-match"), etag):
            return Reply(status=304, headers=headers)
        return Reply(headers={**headers, **coding, "Content-Type": content_type}, body=body)

    return _document(path, serve)


def document_endpoints(rules: Rules, auth_mode: AuthMode = "claimed") -> tuple[Endpoint, ...]:
    """`/openapi.json`, and `/docs` with its assets."""

    def openapi() -> bytes:
        # Not needed before somebody asks, and slow to import where every start counts.
        from service.openapi import build_document

        return orjson.dumps(build_document(ENDPOINTS, rules, auth_mode))

    swagger = files("swagger_ui") / "static"
    docs = files("service") / "docs"
    return (
        static_endpoint("/openapi.json", JSON, openapi),
        file_endpoint("/docs", docs / "index.html"),
        *(
            file_endpoint(f"/docs/{name}", docs / name)
            for name in ("dark.css", "early.js", "start.js")
        ),
        file_endpoint("/docs/swagger-ui-bundle.js", swagger / "swagger-ui-bundle.js"),
        file_endpoint("/docs/swagger-ui.css", swagger / "swagger-ui.css"),
    )


def live_endpoint(path: str, content_type: str, read: Callable[[], bytes]) -> Endpoint:
    """An endpoint that serves what `read` returns at that moment."""

    async def serve(call: Call[None, None]) -> Reply:
        return Reply(headers={"Content-Type": content_type, **NO_STORE}, body=read())

    return _document(path, serve)


def _document(path: str, serve: EndpointFunction) -> Endpoint:
    name = path.strip("/") or "page"
    return Endpoint(name, "GET", path, f"Serve {path}", serve, limited=False, public=True)
