"""One Lambda container: one event loop, one set of clients, one event at a time."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from lambda_bridge.observation import EmfObserver
from lambda_bridge.resolver import build_resolver
from service.endpoints import ENDPOINTS
from service.settings import load_settings
from service.wiring import open_services

# Containers come and go, and what one has not used of a lease goes with it.
_FIRST_LEASE = 5


class Container:
    """Answers events for as long as the process lives.

    The loop lives as long, because the clients are bound to it; Lambda ends both with the process.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` holds the settings; they are read when the first event comes."""
        self._environment = environment
        self._runner = asyncio.Runner()
        self._held_open = AsyncExitStack()
        self._resolver: APIGatewayRestResolver | None = None

    def answer(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """API Gateway's answer to a completed event."""
        # Without a context of its own, an event would see the context variables of the one before.
        return self._runner.run(self._resolve(event, context), context=contextvars.copy_context())

    def close(self) -> None:
        """End the clients and the loop. Lambda does not ask for it: it ends the process."""
        self._runner.run(self._held_open.aclose())
        self._runner.close()

    async def _resolve(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        if self._resolver is None:
            # API Gateway throttles before anything gets here, for all containers together.
            observer = EmfObserver()
            pipeline = await self._held_open.enter_async_context(
                # A function that only lists never needs S3, one that only signs no DynamoDB.
                open_services(
                    load_settings(self._environment),
                    first_lease=_FIRST_LEASE,
                    observers=[observer],
                    limit_observers=[observer],
                    store_observers=[observer.store_called],
                    environment=self._environment,
                )
            )
            self._resolver = build_resolver(ENDPOINTS, pipeline)
        return await self._resolver.resolve_async(event, context)
