"""open_services(): the one place that knows every part."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service import naming
from service.auth.api_keys import ApiKeyIdentity
from service.auth.callers import Authenticator, ClaimedIdentity
from service.cursor import CursorSealer
from service.documents import document_endpoints
from service.endpoints import ENDPOINTS, Endpoint
from service.operations.desk import Desk
from service.pipeline import Pipeline
from service.ports import ImageObjects, ImageRecords
from service.ratelimit import TokenBucket
from service.schemas import Rules
from service.settings import Settings, SettingsInvalid
from service.storage.api_keys import DynamoDBApiKeys
from service.storage.clients import Clients, open_clients, open_clients_on_first_use
from service.storage.dynamodb import DynamoDBImageRecords, Names
from service.storage.s3 import S3ImageObjects
from service.telemetry import AccessLog, Observer

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    bucket: TokenBucket | None = None,
    observers: Sequence[Observer] = (),
    extra: Sequence[Endpoint] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Pipeline]:
    """A pipeline on the stores that the settings name, with what a door adds to it.

    Given the process's `environment`, each store is connected when a request first needs it, and
    links are signed with the keys in there where no store is needed for that.

    Raises SettingsInvalid where callers could not be told as the settings say.
    """
    opened = (
        open_clients(settings)
        if environment is None
        else open_clients_on_first_use(settings, environment)
    )
    async with opened as clients:
        yield build_pipeline(
            settings,
            S3ImageObjects(clients, settings.s3_bucket_name),
            DynamoDBImageRecords(
                clients.dynamodb, Names(settings.dynamodb_table_name, settings.dynamodb_gsi_name)
            ),
            identity=await open_identity(settings, clients),
            bucket=bucket,
            observers=observers,
            extra=extra,
        )


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
    bucket: TokenBucket | None = None,
    observers: Sequence[Observer] = (),
    extra: Sequence[Endpoint] = (),
) -> Pipeline:
    """A pipeline on any pair of stores.

    `identity` tells callers; without one they are believed, where the settings say so.
    `bucket` throttles, where no gateway in front does; `observers` see every request beside the
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
        checks=(identity.check,),
    )
    return Pipeline(
        [*ENDPOINTS, *document_endpoints(rules, settings.auth_mode), *extra],
        desk,
        rules,
        [AccessLog(), *observers],
        identity=identity,
        bucket=bucket,
        time_limit=settings.request_time_limit,
        allowed_origins=settings.cors_allow_origins,
    )


def rules_of(settings: Settings) -> Rules:
    """The limits that requests are checked against."""
    return Rules(
        content_types=settings.allowed_content_types,
        max_file_size=settings.max_file_size,
        default_page_size=settings.default_page_size,
        max_page_size=settings.max_page_size,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _cursor_secret(settings: Settings) -> bytes:
    """The same on every replica of a deployment without any set-up."""
    secret = settings.cursor_secret or f"mont:{settings.dynamodb_table_name}"
    return hashlib.sha256(secret.encode()).digest()
