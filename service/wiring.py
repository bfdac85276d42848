"""open_services(): the one place that knows every part."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from service import naming
from service.auth.api_keys import ApiKeyIdentity
from service.auth.callers import Authenticator, ClaimedIdentity
from service.cursor import CursorSealer
from service.dailyquota import LARGEST_LEASE, DailyQuota
from service.documents import document_endpoints
from service.endpoints import ENDPOINTS, Endpoint
from service.limits import NO_LIMITS, Limits
from service.model import StorageQuota
from service.operations.desk import Desk
from service.operations.readiness import Readiness
from service.pipeline import Pipeline
from service.ports import ImageObjects, ImageRecords
from service.ratelimit import CallerBuckets, TokenBucket
from service.schemas import Rules
from service.settings import Settings, SettingsInvalid
from service.storage.api_keys import DynamoDBApiKeys
from service.storage.calls import OnCall
from service.storage.clients import Clients, open_clients
from service.storage.dynamodb import DynamoDBImageRecords, names_of
from service.storage.outbox import DynamoDBOutbox, announcements_of
from service.storage.requestcounts import DynamoDBRequestCounts
from service.storage.s3 import S3ImageObjects
from service.telemetry import AccessLog, LimitObserver, Observer, WebhookObserver
from service.thumbnails import Thumbnails
from service.trail import note_call

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    overall: TokenBucket | None = None,
    callers: CallerBuckets | None = None,
    first_lease: int = LARGEST_LEASE,
    observers: Sequence[Observer] = (),
    limit_observers: Sequence[LimitObserver] = (),
    store_observers: Sequence[OnCall] = (),
    webhooks: WebhookObserver | None = None,
    extra: Sequence[Endpoint] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Pipeline]:
    """A pipeline on the stores that the settings name, with what a door adds to it.

    Given the process's `environment`, the SDK is not loaded where that holds all there is to know
    about keys and places.

    `overall` and `callers` throttle, where no gateway in front does. `first_lease` of a daily quota
    in requests: fewer for a process that may not live long.

    `observers` hear of each request, `limit_observers` of refusals by limits, `store_observers` of
    each call of a store.

    A door that lives long enough to deliver events says who is told of them (`webhooks`).

    Raises SettingsInvalid where callers could not be told as the settings say.
    """
    async with (
        open_clients(
            settings, environment, on_call=_all_of([note_call, *store_observers])
        ) as clients,
        _open_daily_quota(settings, clients, first_lease, limit_observers) as daily,
        _delivering(settings, clients, webhooks),
    ):
        yield build_pipeline(
            settings,
            S3ImageObjects(clients, settings.s3_bucket_name),
            DynamoDBImageRecords(
                clients.dynamodb,
                names_of(settings),
                storage_quota_of(settings),
                announcements_of(settings, _now),
            ),
            identity=await open_identity(settings, clients),
            limits=Limits(overall, callers, daily, limit_observers),
            observers=observers,
            extra=extra,
        )


def _all_of(observers: Sequence[OnCall]) -> OnCall:
    def on_call(
        store: str, operation: str, seconds: float, attempts: int, code: str | None
    ) -> None:
        for observer in observers:
            observer(store, operation, seconds, attempts, code)

    return on_call


@asynccontextmanager
async def _delivering(
    settings: Settings, clients: Clients, observer: WebhookObserver | None
) -> AsyncIterator[None]:
    """Deliver webhooks, where the settings name a receiver and somebody watches.

    Where they name none, somebody still has to see that events wait.
    """
    if settings.events != "webhook" or observer is None:
        yield
        return
    from service.events.serving import delivering
    from service.events.waiting import telling_what_waits

    outbox = DynamoDBOutbox(clients.dynamodb, settings.events_table_name, "webhook")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            telling_what_waits(outbox, observer.events_waiting, now=_now)
        )
        if settings.webhook_url is None:
            _log.warning(
                "EVENTS is webhook, but WEBHOOK_URL is not set: events wait in %s for a server "
                "where it is",
                settings.events_table_name,
            )
        else:
            await stack.enter_async_context(
                delivering(
                    outbox,
                    settings.webhook_url,
                    settings.webhook_secret,
                    now=_now,
                    watch=observer.webhook,
                    grace=settings.shutdown_grace,
                )
            )
        yield


@asynccontextmanager
async def _open_daily_quota(
    settings: Settings, clients: Clients, first_lease: int, observers: Sequence[LimitObserver]
) -> AsyncIterator[DailyQuota | None]:
    """What counts the requests of API keys; None where there are no keys."""
    if settings.auth_mode != "api_key":
        yield None
        return

    def failed() -> None:
        for observer in observers:
            observer.limiter_failed()

    quota = DailyQuota(
        DynamoDBRequestCounts(clients.dynamodb, settings.usage_table_name),
        default=settings.daily_quota,
        now=_now,
        monotonic=time.monotonic,
        on_failure=failed,
        first_lease=first_lease,
    )
    try:
        yield quota
    finally:
        await quota.close()


async def open_identity(settings: Settings, clients: Clients) -> Authenticator:
    """What tells callers. Raises SettingsInvalid for a key set that cannot be read."""
    if settings.auth_mode == "jwt":
        return await _open_jwt_identity(settings)
    if settings.auth_mode == "api_key":
        keys = DynamoDBApiKeys(clients.dynamodb, settings.api_keys_table_name)
        return ApiKeyIdentity(keys, now=_now, monotonic=time.monotonic)
    _log.warning("AUTH_MODE is claimed: user_id is believed, whoever sends it")
    return ClaimedIdentity()


async def _open_jwt_identity(settings: Settings) -> Authenticator:
    # Cryptography is slow to import where every start counts, and the other modes need none.
    from service.auth.jwks import FileKeys, KeysUnreadable, SigningKeys, source_of
    from service.auth.jwt import JwtIdentity

    source = source_of(settings.jwt_jwks)
    keys = SigningKeys(source, time.monotonic)
    try:
        await keys.load()
    except KeysUnreadable as error:
        # A file stays as it is, but an issuer that is down now may be up in a minute.
        if isinstance(source, FileKeys):
            raise SettingsInvalid([f"  JWT_JWKS cannot be used: {error}"]) from error
    return JwtIdentity(
        keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        algorithms=settings.jwt_algorithms,
        leeway=settings.jwt_leeway,
        now=_now,
    )


def build_pipeline(
    settings: Settings,
    objects: ImageObjects,
    records: ImageRecords,
    *,
    identity: Authenticator | None = None,
    limits: Limits = NO_LIMITS,
    observers: Sequence[Observer] = (),
    extra: Sequence[Endpoint] = (),
) -> Pipeline:
    """A pipeline on any pair of stores.

    `identity` tells callers; without one they are believed, where the settings say so.
    `limits` are those that this process holds itself; `observers` see every request beside the
    access log; `extra` are endpoints of one door only.
    """
    if identity is None:
        if settings.auth_mode != "claimed":
            raise ValueError(f"AUTH_MODE {settings.auth_mode} needs something that tells callers")
        identity = ClaimedIdentity()
    rules = rules_of(settings)
    desk = Desk(
        objects=objects,
        records=records,
        sealer=CursorSealer(_cursor_secret(settings)),
        now=_now,
        new_id=naming.new_image_id,
        upload_expiry=settings.s3_presigned_url_expiry_upload,
        download_expiry=settings.s3_presigned_url_expiry_download,
        abandoned_after=settings.abandoned_after,
        readiness=Readiness((objects.check, records.check, identity.check), time.monotonic),
        max_pixels=settings.max_image_pixels,
        thumbnails=thumbnails_of(settings),
    )
    return Pipeline(
        [*ENDPOINTS, *document_endpoints(rules, settings.auth_mode), *extra],
        desk,
        rules,
        [AccessLog(), *observers],
        identity=identity,
        limits=limits,
        time_limit=settings.request_time_limit,
        allowed_origins=settings.cors_allow_origins,
    )


def throttles(
    settings: Settings, clock: Callable[[], float], *, share: float = 1.0
) -> tuple[TokenBucket, CallerBuckets]:
    """One process's `share` of what is taken on, of everybody together and of each caller."""
    rate, burst = settings.throttle_rate_limit, settings.throttle_burst_limit
    caller_rate = settings.throttle_caller_rate_limit or rate / 2
    caller_burst = settings.throttle_caller_burst_limit or max(1, burst // 2)
    return (
        TokenBucket(rate, burst, clock, share=share),
        CallerBuckets(
            lambda: TokenBucket(caller_rate, caller_burst, clock, share=share, name="caller")
        ),
    )


def storage_quota_of(settings: Settings) -> StorageQuota:
    """How much each user may store."""
    return StorageQuota(settings.storage_quota_bytes, settings.storage_quota_images)


def rules_of(settings: Settings) -> Rules:
    """The limits that requests are checked against."""
    return Rules(
        content_types=settings.allowed_content_types,
        max_file_size=settings.max_file_size,
        default_page_size=settings.default_page_size,
        max_page_size=settings.max_page_size,
    )


def thumbnails_of(settings: Settings) -> Thumbnails | None:
    """What links to thumbnails, where the settings name an imgproxy."""
    if settings.imgproxy_url is None:
        return None
    return Thumbnails(
        settings.imgproxy_url,
        settings.s3_bucket_name,
        bytes.fromhex(settings.imgproxy_key),
        bytes.fromhex(settings.imgproxy_salt),
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _cursor_secret(settings: Settings) -> bytes:
    """The same on every replica of a deployment without any set-up."""
    secret = settings.cursor_secret or f"mont:{settings.dynamodb_table_name}"
    return hashlib.sha256(secret.encode()).digest()
