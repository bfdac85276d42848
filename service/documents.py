"""The endpoints that serve documents: OpenAPI and Swagger UI, and the means for more."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

import orjson

from service.endpoints import ENDPOINTS, NO_STORE, Call, Endpoint, EndpointFunction, Reply
from service.etags import is_fresh
from service.exchange import JSON
from service.schemas import Rules
from service.settings import AuthMode

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
# No inline script or style anywhere. Images and connections may go to the presigned links' hosts,
# which the page cannot know beforehand; Swagger UI draws its icons from data: links.
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' blob: data: http: https:; connect-src 'self' http: https:; "
        "manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    # Nothing of this is used, so nothing that gets in could ask for it either.
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
    # Whoever opens the page in a window gets no hold on it.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def file_endpoint(path: str, source: Traversable) -> Endpoint:
    """An endpoint that serves one packaged file, read when it is first asked for."""
    suffix = PurePosixPath(source.name).suffix
    return static_endpoint(path, _TYPES[suffix], source.read_bytes)


def static_endpoint(path: str, content_type: str, read: Callable[[], bytes]) -> Endpoint:
    """An endpoint that serves bytes that do not change while the process lives."""
    cached: list[tuple[bytes, str]] = []

    async def serve(call: Call[None, None]) -> Reply:
        if not cached:
            body = read()
            cached.append((body, f'"{hashlib.sha256(body).hexdigest()[:16]}"'))
        body, etag = cached[0]
        headers = {**PAGE_HEADERS, "ETag": etag}
        if is_fresh(call.headers.get("if-none-match"), etag):
            return Reply(status=304, headers=headers)
        return Reply(headers={**headers, "Content-Type": content_type}, body=body)

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
        file_endpoint("/docs/start.js", docs / "start.js"),
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
