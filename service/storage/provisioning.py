"""Makes the bucket and the tables on any endpoint, and repairs what differs from the definitions.

The definitions are the whole truth about the bucket settings that they name, as in CloudFormation:
what was set there by hand is set back. Nothing is ever deleted; what could only be changed by
deleting is a conflict. Indexes and tables that no definition names are left alone, and so is the
billing mode of a table that exists.

Safe to run at any time, from several processes at once, and again after a crash: each step looks
first and writes only what differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from service.errors import StoreUnavailable
from service.storage.buckets import S3Client, provision_bucket
from service.storage.changes import Change, ProvisioningConflict
from service.storage.clients import translated
from service.storage.definitions import BucketDefinition, TableDefinition
from service.storage.tables import DynamoDBClient, provision_table

__all__ = ["Change", "ProvisioningConflict", "provision"]


async def provision(
    s3: S3Client,
    dynamodb: DynamoDBClient,
    bucket: BucketDefinition,
    tables: Sequence[TableDefinition],
    region: str,
    *,
    patience: float = 300.0,
) -> list[Change]:
    """Make what is missing, repair what differs, and say what that was: nothing the second time.

    `region` is where the bucket belongs; `patience` is in seconds for everything together, since
    DynamoDB needs up to a minute for a table and longer to fill an index of many records. A setting
    that the endpoint does not know is reported, not fatal. Raises ProvisioningConflict, and
    StoreUnavailable when a store cannot be reached, refuses, or is not ready in time.
    """
    try:
        async with asyncio.timeout(patience):
            with translated("S3"):
                changes = await provision_bucket(s3, bucket, region)
            with translated("DynamoDB"):
                for table in tables:
                    changes += await provision_table(dynamodb, table)
    except TimeoutError as error:
        cause = f"not ready after {patience:g} s; provisioning again goes on from here"
        raise StoreUnavailable("S3 or DynamoDB", cause) from error
    return changes
