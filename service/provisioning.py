"""Makes the stores of `config/data.yaml` under the names in the settings."""

from __future__ import annotations

from service.settings import Settings
from service.storage.clients import Clients
from service.storage.provisioning import Change, provision
from service.storage.template import load_template, template_path


def data_parameters(settings: Settings) -> dict[str, str]:
    """The template's parameters, as the settings have them."""
    return {
        "BucketName": settings.s3_bucket_name,
        "TableName": settings.dynamodb_table_name,
        "ApiKeysTableName": settings.api_keys_table_name,
        "UsageTableName": settings.usage_table_name,
        "EventsTableName": settings.events_table_name,
        "UserIndexName": settings.dynamodb_gsi_name,
        "CorsAllowedOrigins": ",".join(settings.cors_allow_origins),
    }


async def provision_stores(clients: Clients, settings: Settings) -> list[Change]:
    """Make what is missing and mend what differs. Returns what had to be changed.

    Raises ProvisioningConflict, TemplateError, StoreUnavailable.
    """
    stores = load_template(template_path(), data_parameters(settings))
    return await provision(
        clients.s3, clients.dynamodb, stores.bucket, stores.tables, settings.aws_region
    )
