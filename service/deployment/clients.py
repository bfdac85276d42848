"""Opens the clients that a deployment needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from service.settings import Settings

# A package of several megabytes goes through this; the service's own limits would cut it short.
_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 5, 120, 3


@dataclass(frozen=True, slots=True)
class DeploymentClients:
    """Open clients, all for one account and region."""

    cloudformation: Any
    s3: Any
    dynamodb: Any
    sts: Any


@asynccontextmanager
async def open_deployment_clients(settings: Settings) -> AsyncIterator[DeploymentClients]:
    """Clients for the region and endpoint in the settings, with AWS's chain of credentials."""
    session = get_session()
    endpoint = settings.aws_endpoint_url
    keys = {}
    if endpoint is not None and await session.get_credentials() is None:
        # Emulators ask for some.
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    config = AioConfig(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        s3={"addressing_style": "virtual" if endpoint is None else "path"},
    )
    async with AsyncExitStack() as stack:

        async def open_client(service: str) -> Any:
            return await stack.enter_async_context(
                session.create_client(
                    service,
                    region_name=settings.aws_region,
                    endpoint_url=endpoint,
                    config=config,
                    **keys,
                )
            )

        yield DeploymentClients(
            cloudformation=await open_client("cloudformation"),
            s3=await open_client("s3"),
            dynamodb=await open_client("dynamodb"),
            sts=await open_client("sts"),
        )
