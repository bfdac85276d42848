"""Opens the S3 and DynamoDB clients, and turns what botocore raises into what the core knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from service.errors import StoreUnavailable
from service.settings import Settings

# Three tries of at most four seconds would outlive the request's own time limit; the limit wins.
_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 2, 4, 3


@dataclass(frozen=True, slots=True)
class Clients:
    """Open clients. `signer` signs S3 links for the host that clients of this service can reach."""

    s3: Any
    signer: Any
    dynamodb: Any


@asynccontextmanager
async def open_clients(settings: Settings) -> AsyncIterator[Clients]:
    """Clients for the region and endpoint in the settings, with AWS's chain of credentials."""
    session = get_session()
    keys = await _keys(session, settings)
    async with AsyncExitStack() as stack:

        async def open_client(service: str, endpoint: str | None) -> Any:
            return await stack.enter_async_context(
                session.create_client(
                    service,
                    region_name=settings.aws_region,
                    endpoint_url=endpoint,
                    config=_config(endpoint, settings.max_connections),
                    **keys,
                )
            )

        s3 = await open_client("s3", settings.aws_endpoint_url)
        public = settings.s3_public_endpoint_url
        yield Clients(
            s3=s3,
            signer=s3 if public is None else await open_client("s3", public),
            dynamodb=await open_client("dynamodb", settings.aws_endpoint_url),
        )


def _config(endpoint: str | None, max_connections: int) -> AioConfig:
    return AioConfig(
        # Presigning falls back to the old signature in some regions unless told otherwise.
        signature_version="s3v4",
        # Emulators and other S3 servers answer under one host name; AWS wants the bucket's own.
        s3={"addressing_style": "virtual" if endpoint is None else "path"},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=max_connections,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
    )


async def _keys(session: AioSession, settings: Settings) -> dict[str, str]:
    """Explicit keys only for an endpoint of one's own without any: emulators ask for some."""
    if settings.aws_endpoint_url is None or await session.get_credentials() is not None:
        return {}
    return {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@contextmanager
def translated(store: str) -> Iterator[None]:
    """Raise StoreUnavailable for whatever botocore or the network raises inside."""
    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        cause = f"{error.operation_name}: {details.get('Code')}: {details.get('Message')}"
        raise StoreUnavailable(store, cause) from error
    except (BotoCoreError, HTTPClientError, aiohttp.ClientError, OSError) as error:
        raise StoreUnavailable(store, f"{type(error).__name__}: {error}") from error


def error_code(error: ClientError) -> str:
    """The store's own code, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))
