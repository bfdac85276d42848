"""What pages may load and whom they may ask: the headers that hold browsers to it.

No inline script or style anywhere, and no host but those that the service itself names in links.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from service.operations.desk import Desk

Policy = Callable[[Desk], str]
"""The Content-Security-Policy of a page of this service."""

HEADERS = {
    "Referrer-Policy": "no-referrer",
    # Nothing of this is used, so nothing that gets in could ask for it either.
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
    # Whoever opens the page in a window gets no hold on it.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Of every page and all that it loads, beside its policy."""

# What the grammar of policies takes for a host: names, and addresses of four numbers.
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.?", re.ASCII)


def docs_policy(desk: Desk) -> str:
    """For Swagger UI: it calls this service alone, and draws its icons from data: links."""
    return _policy(images=("'self'", "data:"), connections=("'self'",))


def gallery_policy(desk: Desk) -> str:
    """For the gallery: files go to the store, pictures come from there or from imgproxy."""
    store = source_of(desk.objects.address)
    thumbnails = () if desk.thumbnails is None else (source_of(desk.thumbnails.url),)
    return _policy(
        images=("'self'", "blob:", store, *thumbnails),  # blob: is a file that is being uploaded
        connections=("'self'", store),
    )


def source_of(url: str) -> str:
    """The origin of a URL as policies name it (CSP 3, 2.3.1).

    Their grammar has no words for IPv6 addresses and names in other scripts: for those it is the
    scheme.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if not _HOST.fullmatch(host):
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{host}" if port is None else f"{parts.scheme}://{host}:{port}"


def _policy(*, images: tuple[str, ...], connections: tuple[str, ...]) -> str:
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        f"img-src {' '.join(dict.fromkeys(images))}; connect-src {' '.join(connections)}; "
        "manifest-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
