"""open_services(): the one place that knows every part."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service import naming
from service.cursor import CursorSealer
from service.documents import document_endpoints
from service.endpoints import ENDPOINTS, Endpoint
from service.operations.desk import Desk
from service.pipeline import Pipeline
from service.ports import ImageObjects, ImageRecords
from service.ratelimit import TokenBucket
from service.schemas import Rules
from service.settings import Settings
from service.storage.clients import open_clients
from service.storage.dynamodb import DynamoDBImageRecords, Names
from service.storage.s3 import S3ImageObjects
from service.telemetry import AccessLog, Observer


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    bucket: TokenBucket | None = None,
    observers: Sequence[Observer] = (),
    extra: Sequence[Endpoint] = (),
) -> AsyncIterator[Pipeline]:
    """A pipeline on the stores that the settings name, with what a door adds to it."""
    async with open_clients(settings) as clients:
        yield build_pipeline(
            settings,
            S3ImageObjects(clients, settings.s3_bucket_name),
            DynamoDBImageRecords(
                clients.dynamodb, Names(settings.dynamodb_table_name, settings.dynamodb_gsi_name)
            ),
            bucket=bucket,
            observers=observers,
            extra=extra,
        )


def build_pipeline(
    settings: Settings,
    objects: ImageObjects,
    records: ImageRecords,
    *,
    bucket: TokenBucket | None = None,
    observers: Sequence[Observer] = (),
    extra: Sequence[Endpoint] = (),
) -> Pipeline:
    """A pipeline on any pair of stores.

    `bucket` throttles, where no gateway in front does; `observers` see every request beside the
    access log; `extra` are endpoints of one door only.
    """
    rules = rules_of(settings)
    desk = Desk(
        objects=objects,
        records=records,
        sealer=CursorSealer(_cursor_secret(settings)),
        now=lambda: datetime.now(UTC),
        new_id=naming.new_image_id,
        upload_expiry=settings.s3_presigned_url_expiry_upload,
        download_expiry=settings.s3_presigned_url_expiry_download,
    )
    return Pipeline(
        [*ENDPOINTS, *document_endpoints(rules), *extra],
        desk,
        rules,
        [AccessLog(), *observers],
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


def _cursor_secret(settings: Settings) -> bytes:
    """The same on every replica of a deployment without any set-up."""
    secret = settings.cursor_secret or f"mont:{settings.dynamodb_table_name}"
    return hashlib.sha256(secret.encode()).digest()
