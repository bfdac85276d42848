"""Opens the S3 and DynamoDB clients, and turns what botocore raises into what the core knows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from service.errors import StoreUnavailable
from service.settings import Settings
from service.storage import patience
from service.storage.calls import Caller, OnCall, Reach
from service.storage.dynamodb_client import DynamoDBClient
from service.storage.places import KeySource, Place, plain_bucket, plain_keys, plain_tables
from service.storage.presigning import Presigner
from service.storage.retries import Retries
from service.storage.s3_client import S3Client
from service.storage.signing import Clock

# Imported where it is used: a function that only signs starts without it.
if TYPE_CHECKING:
    from service.storage.transport import StoreSession


@dataclass(frozen=True, slots=True)
class Clients:
    """Open clients. `signer` signs S3 links for the host that clients of this service can reach."""

    s3: Any
    signer: Any
    dynamodb: Any


class _Stores(NamedTuple):
    """How the stores are reached, and the bucket as holders of links reach it."""

    s3: Reach
    dynamodb: Reach
    links: Place


@asynccontextmanager
async def open_clients(
    settings: Settings,
    environment: Mapping[str, str] | None = None,
    *,
    on_call: OnCall | None = None,
) -> AsyncIterator[Clients]:
    """Clients for the region and endpoint in the settings, with AWS's chain of credentials.

    They offer the calls that the service makes, by the names and with the keywords of the SDK's
    clients, and raise the same. Given the process's `environment`, they do without the SDK where
    that holds all there is to know: loading it would take a third of a Lambda function's start.
    Connections are made by the first call of each store.
    """
    async with AsyncExitStack() as stack:
        stores = _plain(settings, environment or {}, stack) or await _asked(settings, stack)
        clock = Clock()

        def caller(store: str, reach: Reach, clock: Clock) -> Caller:
            return Caller(store, reach, clock, Retries(patience.TRIES), on_call)

        yield Clients(
            s3=S3Client(caller("S3", stores.s3, clock)),
            signer=Presigner(stores.s3.keys, stores.links, clock),
            dynamodb=DynamoDBClient(caller("DynamoDB", stores.dynamodb, Clock())),
        )


@asynccontextmanager
async def open_caller(
    settings: Settings, environment: Mapping[str, str], name: str, place: Place
) -> AsyncIterator[Caller]:
    """What makes calls of another service at this place, with the keys of the stores."""
    async with AsyncExitStack() as stack:
        stores = _plain(settings, environment, stack) or await _asked(settings, stack)
        reach = _reach(settings, stores.dynamodb.keys, lambda _: place, stack)
        yield Caller(name, reach, Clock(), Retries(patience.TRIES), None)


@asynccontextmanager
async def open_admin_clients(settings: Settings) -> AsyncIterator[Clients]:
    """The SDK's own clients, with every call that there is, for what is done once in a while."""
    from service.storage.sdk import open_sdk_clients

    async with open_sdk_clients(settings) as (s3, signer, dynamodb):
        yield Clients(s3, signer, dynamodb)


def _plain(
    settings: Settings, environment: Mapping[str, str], stack: AsyncExitStack
) -> _Stores | None:
    """The stores where the environment says all; None where the SDK has to be asked."""
    region, endpoint, bucket = (
        settings.aws_region,
        settings.aws_endpoint_url,
        settings.s3_bucket_name,
    )
    keys = plain_keys(environment)
    place, tables = plain_bucket(region, endpoint, bucket), plain_tables(region, endpoint)
    links = plain_bucket(region, settings.s3_public_endpoint_url or endpoint, bucket)
    if keys is None or place is None or tables is None or links is None:
        return None

    def locate_bucket(name: str) -> Place:
        if (found := plain_bucket(region, endpoint, name)) is None:
            raise ParamValidationError(report=f"{name} is no name that a bucket here can have")
        return found

    return _Stores(
        s3=_reach(settings, keys, locate_bucket, stack),
        dynamodb=_reach(settings, keys, lambda _: tables, stack),
        links=links,
    )


def _reach(
    settings: Settings, keys: KeySource, place_of: Callable[[str], Place], stack: AsyncExitStack
) -> Reach:
    """A way to one store, with a connection pool of its own."""
    opened: list[StoreSession] = []

    async def locate(bucket: str) -> Place:
        return place_of(bucket)

    async def connect() -> StoreSession:
        if not opened:
            from service.storage.transport import StoreSession

            session = StoreSession(
                verify=patience.verified(settings.aws_endpoint_url),
                timeout=(patience.CONNECT_SECONDS, patience.READ_SECONDS),
                max_pool_connections=settings.max_connections,
            )
            opened.append(session)  # before anybody else gets to run
            await stack.enter_async_context(session)
        return opened[0]

    return Reach(keys, locate, connect)


async def _asked(settings: Settings, stack: AsyncExitStack) -> _Stores:
    """The stores as the SDK knows them."""
    from service.storage.sdk import Sdk

    sdk = Sdk(settings, stack)
    s3 = await sdk.reach("s3", settings.aws_endpoint_url)
    public = settings.s3_public_endpoint_url
    links = s3 if public is None else await sdk.reach("s3", public)
    return _Stores(
        s3=s3,
        dynamodb=await sdk.reach("dynamodb", settings.aws_endpoint_url),
        links=await links.locate(settings.s3_bucket_name),
    )


class translated:  # noqa: N801  # read as what it does
    """With it, StoreUnavailable is raised for whatever botocore or the network raises inside."""

    # A generator's context manager would cost each call of a store a microsecond.
    __slots__ = ("_store",)

    def __init__(self, store: str) -> None:
        self._store = store

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            _translate(self._store, error)


def _translate(store: str, error: BaseException) -> None:
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        code, message = str(details.get("Code")), str(details.get("Message"))
        # Told that a signature is wrong, one is also told all that was signed: session tokens too.
        told = "" if "Signature" in code else f": {message}"
        raise StoreUnavailable(store, f"{error.operation_name}: {code}{told}") from error
    if isinstance(error, (BotoCoreError, OSError, *_aiohttp_errors())):
        raise StoreUnavailable(store, f"{type(error).__name__}: {error}") from error


def _aiohttp_errors() -> tuple[type[Exception], ...]:
    """Imported when something failed, which is when it has been imported already."""
    import aiohttp

    return (aiohttp.ClientError,)


def error_code(error: ClientError) -> str:
    """The store's own code, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))
