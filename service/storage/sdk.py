"""What the SDK is asked: for keys, for places, and for its own clients where speed is no matter.

Keys come from its chain of credentials and are refreshed by it; places follow from its rules for
endpoints with all that has a say in them (variables, profiles, FIPS, dual-stack); connections have
its settings for proxies and certificates. Of a client only that is used here, so it is made of a
description without operations: the whole one of S3 and DynamoDB takes 90 ms and 20 MB to load.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import UnsupportedSignatureVersionError
from botocore.loaders import Loader

from service.settings import Settings
from service.storage import patience
from service.storage.calls import Reach
from service.storage.places import FixedKeys, KeySource, NoKeys, Place
from service.storage.transport import StoreSession

_OPERATION = "AnyCall"
# As in botocore's own descriptions, as far as an endpoint depends on it; the tests compare.
_SERVICES: dict[str, dict[str, Any]] = {
    "s3": {
        "apiVersion": "2006-03-01",
        "endpointPrefix": "s3",
        "globalEndpoint": "s3.amazonaws.com",
        "protocol": "rest-xml",
        "protocols": ["rest-xml"],
        "serviceId": "S3",
        "signatureVersion": "s3",
        "uid": "s3-2006-03-01",
        "auth": ["aws.auth#sigv4"],
    },
    "dynamodb": {
        "apiVersion": "2012-08-10",
        "endpointPrefix": "dynamodb",
        "jsonVersion": "1.0",
        "protocol": "json",
        "protocols": ["json"],
        "serviceId": "DynamoDB",
        "signatureVersion": "v4",
        "targetPrefix": "DynamoDB_20120810",
        "uid": "dynamodb-2012-08-10",
        "auth": ["aws.auth#sigv4"],
    },
}


class _Descriptions:
    """botocore's loader of data, but for the two services that need no description."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """See botocore.loaders.Loader."""
        if type_name != "service-2" or service_name not in _SERVICES:
            return self._loader.load_service_model(service_name, type_name, api_version)
        return {
            "metadata": _SERVICES[service_name],
            "operations": {
                _OPERATION: {
                    "name": _OPERATION,
                    "http": {"method": "POST", "requestUri": "/"},
                    "input": {"shape": "Input"},
                }
            },
            "shapes": {
                # All that an endpoint ever depends on: the bucket's name.
                "Input": {
                    "type": "structure",
                    "members": {"Bucket": {"shape": "Name", "contextParam": {"name": "Bucket"}}},
                },
                "Name": {"type": "string"},
            },
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class Sdk:
    """One session of the SDK; `stack` closes what it opens."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._session: AioSession = get_session()
        loader = self._session.get_component("data_loader")
        self._session.register_component("data_loader", _Descriptions(loader))

    async def reach(self, service: str, endpoint: str | None) -> Reach:
        """How to reach a service. Raises what botocore raises for settings that make no sense."""
        given = await _given_keys(self._session, self._settings)
        client = await self._stack.enter_async_context(
            _create_client(self._session, self._settings, service, endpoint, given, StoreSession)
        )

        async def locate(bucket: str) -> Place:
            return await _place(client, bucket)

        async def connect() -> StoreSession:
            return session

        session: StoreSession = client._endpoint.http_session
        keys: KeySource = given or await self._session.get_credentials() or NoKeys()
        return Reach(keys, locate, connect)


async def _place(client: Any, bucket: str) -> Place:
    """Where the SDK would send a request about this bucket, or about any table."""
    model = client.meta.service_model
    endpoint = await client._ruleset_resolver.construct_endpoint(
        model.operation_model(_OPERATION),
        {"Bucket": bucket} if bucket else {},
        {"client_region": client.meta.region_name, "client_config": client.meta.config},
    )
    schemes = endpoint.properties.get("authSchemes") or [{"name": "sigv4"}]
    scheme = next((each for each in schemes if each["name"] == "sigv4"), None)
    if scheme is None:
        names = ", ".join(each["name"] for each in schemes)
        raise UnsupportedSignatureVersionError(signature_version=names)
    return Place(
        endpoint.url.rstrip("/"),
        scheme.get("signingRegion") or client.meta.region_name,
        scheme.get("signingName") or model.signing_name,
    )


def _create_client(
    session: AioSession,
    settings: Settings,
    service: str,
    endpoint: str | None,
    keys: FixedKeys | None,
    http_session: type,
) -> Any:
    given = {}
    if keys is not None:
        given = {"aws_access_key_id": keys.access_key, "aws_secret_access_key": keys.secret_key}
    config = AioConfig(
        # Never httpx, which takes more than twice as long.
        http_session_cls=http_session,
        # Presigning falls back to the old signature in some regions unless told otherwise.
        signature_version="s3v4",
        # Emulators and other S3 servers answer under one host name; AWS wants the bucket's own.
        s3={"addressing_style": "virtual" if endpoint is None else "path"},
        connect_timeout=patience.CONNECT_SECONDS,
        read_timeout=patience.READ_SECONDS,
        max_pool_connections=settings.max_connections,
        retries={"mode": "standard", "total_max_attempts": patience.TRIES},
    )
    return session.create_client(
        service,
        region_name=settings.aws_region,
        endpoint_url=endpoint,
        config=config,
        verify=None if patience.verified(endpoint) else False,
        **given,
    )


async def _given_keys(session: AioSession, settings: Settings) -> FixedKeys | None:
    """Explicit keys only for an endpoint of one's own without any: emulators ask for some."""
    if settings.aws_endpoint_url is None or await session.get_credentials() is not None:
        return None
    return FixedKeys("test", "test")


@asynccontextmanager
async def open_sdk_clients(settings: Settings) -> AsyncIterator[tuple[Any, Any, Any]]:
    """The SDK's own clients with every call that there is: S3, S3 for signing, DynamoDB."""
    session = get_session()
    keys = await _given_keys(session, settings)
    public = settings.s3_public_endpoint_url
    async with AsyncExitStack() as stack:

        async def open_client(service: str, endpoint: str | None) -> Any:
            return await stack.enter_async_context(
                _create_client(session, settings, service, endpoint, keys, AIOHTTPSession)
            )

        s3 = await open_client("s3", settings.aws_endpoint_url)
        signer = s3 if public is None else await open_client("s3", public)
        yield s3, signer, await open_client("dynamodb", settings.aws_endpoint_url)
