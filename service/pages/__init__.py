"""The gallery: plain files, no build step. Served by the aiohttp door alone."""

from __future__ import annotations

from importlib.resources import files

from service.documents import file_endpoint
from service.endpoints import Endpoint

_SERVED = {".html", ".js", ".css", ".svg"}


def page_endpoints() -> tuple[Endpoint, ...]:
    """`/` for the page itself and `/pages/NAME` for what it loads."""
    here = files(__name__)
    assets = sorted(
        (each for each in here.iterdir() if any(each.name.endswith(end) for end in _SERVED)),
        key=lambda each: each.name,
    )
    return (
        file_endpoint("/", here / "index.html"),
        *(file_endpoint(f"/pages/{each.name}", each) for each in assets),
    )
