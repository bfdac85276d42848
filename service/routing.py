"""Which endpoint answers a request: one set of rules for every door.

HEAD is answered where GET is, a wrong method is told which are right, OPTIONS is answered
everywhere, and a path is what it is: a trailing slash makes another one, and so does an escape
outside of an id.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from service.endpoints import Endpoint
from service.errors import ImageMissing, MethodRefused, RouteMissing
from service.schemas import UUID_PATTERN
from service.values import value

IMAGE_ID = "{image_id}"


@value(frozen=True, slots=True)
class Route:
    """An endpoint, with the id in the path ("" where it has none)."""

    endpoint: Endpoint
    image_id: str


class Router:
    """Finds endpoints by method and path."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        # A path with an id is filed under the part before and behind it.
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._with_id: dict[tuple[str, str], dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            before, marker, behind = endpoint.path.partition(IMAGE_ID)
            methods = (
                self._with_id.setdefault((before, behind), {})
                if marker
                else self._fixed.setdefault(before, {})
            )
            methods[endpoint.method] = endpoint
            if endpoint.method == "GET":
                methods["HEAD"] = endpoint

    def find(self, method: str, path: str) -> Route:
        """The route of a request; `path` percent-encoded.

        Raises RouteMissing, MethodRefused, or ImageMissing for an id that is no UUID.
        """
        methods, image_id = self._methods(path)
        endpoint = methods.get(method)
        if endpoint is None:
            raise MethodRefused(_allowed(methods))
        if image_id and not UUID_PATTERN.fullmatch(image_id):
            raise ImageMissing
        return Route(endpoint, image_id.lower())

    def allowed(self, path: str) -> tuple[str, ...]:
        """The methods that a path answers. Raises RouteMissing."""
        return _allowed(self._methods(path)[0])

    def _methods(self, path: str) -> tuple[dict[str, Endpoint], str]:
        # A fixed path goes first: `/images/complete` is not the image called "complete".
        if methods := self._fixed.get(path):
            return methods, ""
        for (before, behind), methods in self._with_id.items():
            if path.startswith(before) and path.endswith(behind):
                sent = path[len(before) : len(path) - len(behind)]
                if sent and "/" not in sent:
                    if "%" not in sent:
                        return methods, sent
                    image_id = unquote(sent)
                    # Only an id may be escaped: a gateway in front routes by the text as sent, so
                    # `%63omplete` would come to whatever may answer for an image.
                    if f"{before}{image_id}{behind}" in self._fixed:
                        break
                    return methods, image_id
        raise RouteMissing


def _allowed(methods: dict[str, Endpoint]) -> tuple[str, ...]:
    return (*sorted(methods), "OPTIONS")
