"""The stores that a sweep works on, as the settings name them."""

from __future__ import annotations

from datetime import UTC, datetime

from service.operations.settling import Stores
from service.settings import Settings
from service.storage.clients import Clients
from service.storage.dynamodb import DynamoDBImageRecords, names_of
from service.storage.inventory import DynamoDBRecordInventory, S3ObjectInventory
from service.storage.outbox import announcements_of
from service.storage.s3 import S3ImageObjects


def stores_of(settings: Settings, clients: Clients) -> Stores:
    """Both stores, as requests use them and as an inventory reads them.

    Whatever room a record holds of its user's quota is freed with it, whether one is in force.
    """
    return Stores(
        objects=S3ImageObjects(clients, settings.s3_bucket_name),
        records=DynamoDBImageRecords(
            clients.dynamodb, names_of(settings), announcements=announcements_of(settings, _now)
        ),
        all_objects=S3ObjectInventory(clients.s3, settings.s3_bucket_name),
        all_records=DynamoDBRecordInventory(clients.dynamodb, settings.dynamodb_table_name),
    )


def _now() -> datetime:
    return datetime.now(UTC)
