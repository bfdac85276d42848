"""The gallery: plain files, no build step. Served by the aiohttp door alone."""

from __future__ import annotations

from importlib.resources import files
from pathlib import PurePosixPath

import orjson

from service.documents import file_endpoint, static_endpoint, type_of
from service.endpoints import Endpoint
from service.pagepolicy import gallery_policy
from service.schemas import Rules
from service.settings import AuthMode

_SERVED = {".html", ".js", ".css", ".svg"}
_SCHEMES: dict[AuthMode, str] = {"claimed": "", "api_key": "ApiKey", "jwt": "Bearer"}
# A block of data to the browser, and nothing that it would run.
_CONTRACT = b'<script id="contract" type="application/json">%s</script>'


def page_endpoints(rules: Rules, auth_mode: AuthMode = "claimed") -> tuple[Endpoint, ...]:
    """`/` for the page itself and `/pages/NAME` for what it loads.

    The page brings along what it has to know of the service, so that it need not ask first.
    """
    here = files(__name__)
    assets = sorted(
        (each for each in here.iterdir() if PurePosixPath(each.name).suffix in _SERVED),
        key=lambda each: each.name,
    )

    def page() -> bytes:
        contract = orjson.dumps(
            {
                "scheme": _SCHEMES[auth_mode],
                "types": rules.content_types,
                "maxBytes": rules.max_file_size,
            }
        )
        empty, filled = _CONTRACT % b"{}", _CONTRACT % contract
        return (here / "index.html").read_bytes().replace(empty, filled)

    return (
        static_endpoint("/", type_of("index.html"), page, gallery_policy),
        *(file_endpoint(f"/pages/{each.name}", each, gallery_policy) for each in assets),
    )
