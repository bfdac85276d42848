"""A Powertools resolver built from the endpoint table.

It parses events, matches routes and shapes responses. Every rule is the pipeline's, so whatever
the table does not hold goes there as well, to be refused as on every door.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from lambda_bridge.events import METHODS, to_request
from service.endpoints import Endpoint
from service.pipeline import Pipeline
from service.routing import IMAGE_ID

Handler = Callable[..., Awaitable[Response[str]]]


def build_resolver(endpoints: Iterable[Endpoint], pipeline: Pipeline) -> APIGatewayRestResolver:
    """A resolver that answers every event with the pipeline's answer."""
    resolver = APIGatewayRestResolver()

    async def answer(**_path: str) -> Response[str]:
        result = await pipeline.run(to_request(resolver.current_event.raw_event))
        return Response(
            status_code=result.status,
            headers=dict(result.headers),
            body=result.body.decode(),
        )

    for endpoint in endpoints:
        resolver.route(endpoint.path.replace(IMAGE_ID, "<image_id>"), endpoint.method)(answer)
    # Line breaks included, which no client can send but an invocation can.
    resolver.route("(?s:.*)", list(METHODS))(answer)
    return resolver
