"""Opens the S3 and DynamoDB clients, and turns what botocore raises into what the core knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from service.errors import StoreUnavailable
from service.settings import Settings
from service.storage.presigning import presigner

# The SDK itself is imported where it is used: a function that only signs starts without it.
if TYPE_CHECKING:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import AioSession

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
    async with AsyncExitStack() as stack:
        opener = _Opener(settings, stack)
        s3 = await opener.open("s3", settings.aws_endpoint_url)
        public = settings.s3_public_endpoint_url
        yield Clients(
            s3=s3,
            signer=s3 if public is None else await opener.open("s3", public),
            dynamodb=await opener.open("dynamodb", settings.aws_endpoint_url),
        )


@asynccontextmanager
async def open_clients_on_first_use(
    settings: Settings, environment: Mapping[str, str]
) -> AsyncIterator[Clients]:
    """The same for a process that may never need all of them: each is opened by its first call.

    Such clients offer calls alone, no paginators or waiters. Where the keys in `environment` and
    the settings are all there is to signing, the signer is none of the SDK's.
    """
    async with AsyncExitStack() as stack:
        opener = _Opener(settings, stack)

        def client(service: str, endpoint: str | None) -> _OnFirstUse:
            return _OnFirstUse(lambda: opener.open(service, endpoint))

        s3 = client("s3", settings.aws_endpoint_url)
        public = settings.s3_public_endpoint_url
        signer = presigner(
            environment,
            settings.aws_region,
            public or settings.aws_endpoint_url,
            settings.s3_bucket_name,
        )
        yield Clients(
            s3=s3,
            signer=signer or (s3 if public is None else client("s3", public)),
            dynamodb=client("dynamodb", settings.aws_endpoint_url),
        )


class _Opener:
    """Opens clients of one session; `stack` closes them."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._session: AioSession | None = None

    async def open(self, service: str, endpoint: str | None) -> Any:
        if self._session is None:
            from aiobotocore.session import get_session

            self._session = get_session()
        return await self._stack.enter_async_context(
            self._session.create_client(
                service,
                region_name=self._settings.aws_region,
                endpoint_url=endpoint,
                config=_config(endpoint, self._settings.max_connections),
                verify=_verify(endpoint),
                **await _keys(self._session, self._settings),
            )
        )


class _OnFirstUse:
    """A client that is opened by the first call of it, once, also when calls come together."""

    def __init__(self, opened: Callable[[], Awaitable[Any]]) -> None:
        self._opened = opened
        self._opening = asyncio.Lock()
        self._client: Any = None

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **keywords: Any) -> Any:
            async with self._opening:
                if self._client is None:
                    self._client = await self._opened()
            method = getattr(self._client, name)
            setattr(self, name, method)  # from now on found before this is asked
            return await method(*arguments, **keywords)

        return call


def _verify(endpoint: str | None) -> bool | None:
    """Whether to load certificate authorities; None leaves it to the environment.

    Each client would read all of them (20 ms) before its first request, also where there is no
    TLS that they could verify.
    """
    return False if endpoint is not None and endpoint.startswith("http://") else None


def _config(endpoint: str | None, max_connections: int) -> AioConfig:
    from aiobotocore.config import AioConfig

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
    except (BotoCoreError, HTTPClientError, OSError, *_aiohttp_errors()) as error:
        raise StoreUnavailable(store, f"{type(error).__name__}: {error}") from error


def _aiohttp_errors() -> tuple[type[Exception], ...]:
    """Imported when something failed, which is when it has been imported already."""
    import aiohttp

    return (aiohttp.ClientError,)


def error_code(error: ClientError) -> str:
    """The store's own code, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))
