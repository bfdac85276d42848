"""open_services(): the one place that knows every part."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service import naming
from service.cursor import CursorSealer
from service.documents import document_endpoints
from service.endpoints import ENDPOINTS, Endpoint
from service.openapi import build_document
from service.operations.desk import Desk
from service.pipeline import Pipeline
from service.ports import ImageObjects, ImageRecords
from service.ratelimit import TokenBucket
from service.schemas import Rules
from service.settings import Settings
from service.storage.clients import Clients, open_clients
from service.storage.dynamodb import DynamoDBImageRecords, Names
from service.storage.provisioning import Change, provision
from service.storage.s3 import S3ImageObjects
from service.storage.template import load_template, template_path
from service.telemetry import Telemetry


@asynccontextmanager
async def open_services(
    settings: Settings, extra: Iterable[Endpoint] = ()
) -> AsyncIterator[Pipeline]:
    """A pipeline on the stores that the settings name. `extra` endpoints are a door's own."""
    async with open_clients(settings) as clients:
        yield build_pipeline(
            settings,
            S3ImageObjects(clients, settings.s3_bucket_name),
            DynamoDBImageRecords(
                clients.dynamodb, Names(settings.dynamodb_table_name, settings.dynamodb_gsi_name)
            ),
            extra,
        )


def build_pipeline(
    settings: Settings,
    objects: ImageObjects,
    records: ImageRecords,
    extra: Iterable[Endpoint] = (),
) -> Pipeline:
    """A pipeline on any pair of stores."""
    rules = rules_of(settings)
    telemetry = Telemetry()
    desk = Desk(
        objects=objects,
        records=records,
        sealer=CursorSealer(_cursor_secret(settings)),
        now=lambda: datetime.now(UTC),
        new_id=naming.new_image_id,
        upload_expiry=settings.s3_presigned_url_expiry_upload,
        download_expiry=settings.s3_presigned_url_expiry_download,
    )
    document = build_document(ENDPOINTS, rules)
    return Pipeline(
        [*ENDPOINTS, *document_endpoints(document, telemetry), *extra],
        desk,
        rules,
        TokenBucket(settings.throttle_rate_limit, settings.throttle_burst_limit, time.monotonic),
        telemetry,
        time_limit=settings.request_time_limit,
        allowed_origins=settings.cors_allow_origins,
    )


async def provision_stores(clients: Clients, settings: Settings) -> list[Change]:
    """Make the bucket and the table of `config/data.yaml` under the names in the settings.

    Returns what had to be changed. Raises ProvisioningConflict, StoreUnavailable.
    """
    stores = load_template(
        template_path(),
        {
            "BucketName": settings.s3_bucket_name,
            "TableName": settings.dynamodb_table_name,
            "UserIndexName": settings.dynamodb_gsi_name,
            "CorsAllowedOrigins": ",".join(settings.cors_allow_origins),
        },
    )
    return await provision(
        clients.s3, clients.dynamodb, stores.bucket, stores.tables, settings.aws_region
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
