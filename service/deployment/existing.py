"""Bucket and table that no stack of ours made: found, so that CloudFormation need not trip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from service.deployment.failure import DeploymentFailed
from service.storage.clients import error_code, translated


@dataclass(frozen=True, slots=True)
class ExistingStores:
    """Looks for stores by their names."""

    s3: Any
    dynamodb: Any

    async def refuse(self, bucket: str, table: str, stack: str) -> None:
        """Raise DeploymentFailed, with the ways out, if either is there already."""
        found = []
        if await self._has_bucket(bucket):
            found.append(f"the bucket {bucket}")
        if await self._has_table(table):
            found.append(f"the table {table}")
        if found:
            raise DeploymentFailed(
                f"The stack {stack} is to make {' and '.join(found)}, which exist"
                f"{'' if len(found) > 1 else 's'} outside of it already. Either\n"
                "  use what is there:    mont deploy --data existing\n"
                "  make others:          set S3_BUCKET_NAME and DYNAMODB_TABLE_NAME\n"
                "  have it adopted:      config/data.yaml says how, in its head"
            )

    async def demand(self, bucket: str, table: str) -> None:
        """Raise DeploymentFailed, with what to do, if either is missing."""
        missing = []
        if not await self._has_bucket(bucket):
            missing.append(f"bucket {bucket}")
        if not await self._has_table(table):
            missing.append(f"table {table}")
        if missing:
            raise DeploymentFailed(
                f"There is no {' and no '.join(missing)}. Name those that exist in S3_BUCKET_NAME "
                "and DYNAMODB_TABLE_NAME, make them with `mont provision`, or leave out "
                "`--data existing` to have a stack of them."
            )

    async def _has_bucket(self, name: str) -> bool:
        with translated("S3"):
            try:
                await self.s3.head_bucket(Bucket=name)
            except ClientError as error:
                if error_code(error) in {"404", "NoSuchBucket"}:
                    return False
                if error_code(error) == "403":
                    raise DeploymentFailed(
                        f"The bucket {name} belongs to somebody else: bucket names are shared by "
                        "all of AWS. Choose another with S3_BUCKET_NAME."
                    ) from error
                raise
        return True

    async def _has_table(self, name: str) -> bool:
        with translated("DynamoDB"):
            try:
                await self.dynamodb.describe_table(TableName=name)
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    return False
                raise
        return True
