"""Bucket and tables that no stack of ours made: found, so that CloudFormation need not trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from service.deployment.failure import DeploymentFailed
from service.storage.clients import error_code, translated

_VARIABLES = (
    "S3_BUCKET_NAME, DYNAMODB_TABLE_NAME, API_KEYS_TABLE_NAME, USAGE_TABLE_NAME and "
    "EVENTS_TABLE_NAME"
)


@dataclass(frozen=True, slots=True)
class ExistingStores:
    """Looks for stores by their names."""

    s3: Any
    dynamodb: Any

    async def refuse(self, bucket: str, tables: Sequence[str], stack: str) -> None:
        """Raise DeploymentFailed, with the ways out, if any of these is there already."""
        there = await self._there(bucket, tables)
        if found := [f"the {store}" for store, exists in there.items() if exists]:
            raise DeploymentFailed(
                f"The stack {stack} is to make {' and '.join(found)}, which exist"
                f"{'' if len(found) > 1 else 's'} outside of it already. Either\n"
                "  use what is there:    mont deploy --data existing\n"
                f"  make others:          set {_VARIABLES}\n"
                "  have it adopted:      config/data.yaml says how, in its head"
            )

    async def demand(self, bucket: str, tables: Sequence[str]) -> None:
        """Raise DeploymentFailed, with what to do, if any of these is missing."""
        there = await self._there(bucket, tables)
        if missing := [store for store, exists in there.items() if not exists]:
            raise DeploymentFailed(
                f"There is no {' and no '.join(missing)}. Name those that exist in {_VARIABLES}, "
                "make them with `mont provision`, or leave out `--data existing` to have a stack "
                "of them."
            )

    async def stream_of(self, table: str) -> str:
        """The ARN of a table's stream; empty where it has none."""
        with translated("DynamoDB"):
            answer = await self.dynamodb.describe_table(TableName=table)
        stream: str = answer["Table"].get("LatestStreamArn", "")
        return stream

    async def _there(self, bucket: str, tables: Sequence[str]) -> dict[str, bool]:
        """Each store, as it is called in messages, and whether it exists."""
        found = {f"bucket {bucket}": await self._has_bucket(bucket)}
        for table in tables:
            found[f"table {table}"] = await self._has_table(table)
        return found

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
