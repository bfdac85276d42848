"""Makes a table, adds the indexes it lacks, and turns on what protects it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from service.storage.changes import (
    Call,
    Change,
    ProvisioningConflict,
    insist,
    is_unsupported,
    pauses,
)
from service.storage.clients import error_code
from service.storage.definitions import IndexDefinition, KeySchema, TableDefinition

# The table is busy with a change, its own or another process's; DynamoDB does one at a time.
_BUSY = frozenset({"ResourceInUseException", "LimitExceededException"})
# Backups of a table become available a while after the table does.
_BACKUPS_BUSY = _BUSY | {"ContinuousBackupsUnavailableException"}
_MISSING = "ResourceNotFoundException"
_STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


class DynamoDBClient(Protocol):
    """The calls of an aiobotocore DynamoDB client that provisioning makes."""

    describe_table: Call
    create_table: Call
    update_table: Call
    describe_continuous_backups: Call
    update_continuous_backups: Call
    describe_time_to_live: Call
    update_time_to_live: Call


async def provision_table(dynamodb: DynamoDBClient, table: TableDefinition) -> list[Change]:
    """Make or repair one table. Raises ProvisioningConflict and what botocore raises.

    Protection is turned on, never off: who wants less of it says so by hand.
    """
    created = not await _exists(dynamodb, table.name) and await _create(dynamodb, table)
    changes = [Change(table.name, "created", "table")] if created else []
    await _ready(dynamodb, table)
    changes += [
        Change(table.name, "created", f"index {index.name}")
        for index in table.indexes
        if await _add_index(dynamodb, table, index)
    ]
    for change in (
        await _protect(dynamodb, table),
        await _back_up(dynamodb, table),
        await _expire(dynamodb, table),
        await _stream(dynamodb, table),
    ):
        # The first values of a new table are part of making it.
        if change is not None and not (created and change.kind == "updated"):
            changes.append(change)
    return changes


async def _exists(dynamodb: DynamoDBClient, name: str) -> bool:
    try:
        await dynamodb.describe_table(TableName=name)
    except ClientError as error:
        if error_code(error) == _MISSING:
            return False
        raise
    return True


async def _create(dynamodb: DynamoDBClient, table: TableDefinition) -> bool:
    """Make the table with all its indexes; False when another process was faster."""
    indexes = [_index(index) for index in table.indexes]
    try:
        await dynamodb.create_table(
            TableName=table.name,
            AttributeDefinitions=_attributes(table.attributes),
            KeySchema=_key_schema(table.key),
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=table.deletion_protection,
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
            **({"StreamSpecification": _STREAM} if table.streamed else {}),
        )
    except ClientError as error:
        if error_code(error) == "ResourceInUseException":
            return False
        raise
    return True


async def _ready(dynamodb: DynamoDBClient, table: TableDefinition) -> Mapping[str, Any]:
    """The table's description once it and its indexes are active, if nothing in it conflicts."""
    waits = pauses()
    while True:
        # A new table is not known everywhere at once.
        answer = await insist(dynamodb.describe_table, frozenset({_MISSING}), TableName=table.name)
        description: Mapping[str, Any] = answer["Table"]
        # Before waiting: building an index can take hours, and a conflict will not go away.
        _refuse_conflicts(description, table)
        states = [index.get("IndexStatus", "ACTIVE") for index in _indexes(description).values()]
        if {description["TableStatus"], *states} == {"ACTIVE"}:
            return description
        await asyncio.sleep(next(waits))


def _refuse_conflicts(description: Mapping[str, Any], table: TableDefinition) -> None:
    types = {a["AttributeName"]: a["AttributeType"] for a in description["AttributeDefinitions"]}
    for name, kind in table.attributes.items():
        if types.get(name, kind) != kind:
            raise ProvisioningConflict(
                f"table {table.name}: the key attribute {name} is of type {types[name]}, not {kind}"
            )
    _refuse_other_key(f"table {table.name}", description["KeySchema"], table.key)
    indexes = _indexes(description)
    for wanted in table.indexes:
        if (actual := indexes.get(wanted.name)) is None:
            continue
        where = f"index {wanted.name} of table {table.name}"
        _refuse_other_key(where, actual["KeySchema"], wanted.key)
        if (projection := actual["Projection"]["ProjectionType"]) != wanted.projection:
            raise ProvisioningConflict(f"{where} projects {projection}, not {wanted.projection}")


def _refuse_other_key(where: str, actual: list[Mapping[str, str]], wanted: KeySchema) -> None:
    roles = {part["KeyType"]: part["AttributeName"] for part in actual}
    if (key := KeySchema(roles["HASH"], roles.get("RANGE"))) != wanted:
        raise ProvisioningConflict(
            f"{where} has the key {', '.join(key.attributes)}, not {', '.join(wanted.attributes)}; "
            "a key cannot be changed: choose another name, or move the data and delete it"
        )


async def _add_index(
    dynamodb: DynamoDBClient, table: TableDefinition, index: IndexDefinition
) -> bool:
    """Add one index and wait until it is filled; False when it is there already."""
    waits = pauses()
    while True:
        description = await _ready(dynamodb, table)
        if index.name in _indexes(description):
            return False
        try:
            await dynamodb.update_table(
                TableName=table.name,
                AttributeDefinitions=_attributes_with(description, table, index),
                GlobalSecondaryIndexUpdates=[{"Create": _index(index)}],
            )
        except ClientError as error:
            # Another process may have begun to add it since we looked; endpoints have many ways
            # to say that, so look again rather than tell them apart.
            answer = await dynamodb.describe_table(TableName=table.name)
            if error_code(error) not in _BUSY and index.name not in _indexes(answer["Table"]):
                raise
            await asyncio.sleep(next(waits))
        else:
            await _ready(dynamodb, table)
            return True


async def _protect(dynamodb: DynamoDBClient, table: TableDefinition) -> Change | None:
    description = await _ready(dynamodb, table)
    if not table.deletion_protection or description.get("DeletionProtectionEnabled"):
        return None
    answer = await insist(
        dynamodb.update_table, _BUSY, TableName=table.name, DeletionProtectionEnabled=True
    )
    # An endpoint that does not know the flag passes over it without a word.
    known = answer["TableDescription"].get("DeletionProtectionEnabled")
    return Change(table.name, "updated" if known else "unsupported", "deletion protection")


async def _back_up(dynamodb: DynamoDBClient, table: TableDefinition) -> Change | None:
    if not table.point_in_time_recovery:
        return None
    what = "point-in-time recovery"
    try:
        answer = await dynamodb.describe_continuous_backups(TableName=table.name)
        backups = answer["ContinuousBackupsDescription"]
        recovery = backups.get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
            return None
        await insist(
            dynamodb.update_continuous_backups,
            _BACKUPS_BUSY,
            TableName=table.name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        )
    except ClientError as error:
        if is_unsupported(error):
            return Change(table.name, "unsupported", what)
        raise
    return Change(table.name, "updated", what)


async def _expire(dynamodb: DynamoDBClient, table: TableDefinition) -> Change | None:
    """Have old items removed. Raises ProvisioningConflict where another attribute rules already."""
    wanted = table.expiry_attribute
    if wanted is None:
        return None
    what = f"expiry by {wanted}"
    try:
        answer = await dynamodb.describe_time_to_live(TableName=table.name)
        expiry = answer["TimeToLiveDescription"]
        if expiry.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
            if expiry["AttributeName"] == wanted:
                return None
            raise ProvisioningConflict(
                f"table {table.name}: items expire by {expiry['AttributeName']}, not by {wanted}; "
                "turn that off (aws dynamodb update-time-to-live) and provision again in an hour"
            )
        await insist(
            dynamodb.update_time_to_live,
            _BUSY,
            TableName=table.name,
            TimeToLiveSpecification={"AttributeName": wanted, "Enabled": True},
        )
    except ClientError as error:
        if is_unsupported(error):
            return Change(table.name, "unsupported", what)
        raise
    return Change(table.name, "updated", what)


async def _stream(dynamodb: DynamoDBClient, table: TableDefinition) -> Change | None:
    """Turn the stream on. Raises ProvisioningConflict where there is one of another kind."""
    if not table.streamed:
        return None
    description = await _ready(dynamodb, table)
    stream = description.get("StreamSpecification") or {}
    if stream.get("StreamEnabled"):
        if stream["StreamViewType"] == _STREAM["StreamViewType"]:
            return None
        raise ProvisioningConflict(
            f"table {table.name}: its stream tells {stream['StreamViewType']}, not "
            f"{_STREAM['StreamViewType']}; turn it off (aws dynamodb update-table "
            "--stream-specification StreamEnabled=false) and provision again"
        )
    what = "stream of changes"
    try:
        await insist(
            dynamodb.update_table, _BUSY, TableName=table.name, StreamSpecification=_STREAM
        )
    except ClientError as error:
        if is_unsupported(error):
            return Change(table.name, "unsupported", what)
        raise
    return Change(table.name, "updated", what)


def _indexes(description: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {index["IndexName"]: index for index in description.get("GlobalSecondaryIndexes", [])}


def _attributes_with(
    description: Mapping[str, Any], table: TableDefinition, index: IndexDefinition
) -> list[dict[str, str]]:
    """The attributes in use and the new index's: DynamoDB refuses one that no key uses."""
    used = {a["AttributeName"]: a["AttributeType"] for a in description["AttributeDefinitions"]}
    return _attributes(used | {name: table.attributes[name] for name in index.key.attributes})


def _attributes(types: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def _key_schema(key: KeySchema) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": role}
        for name, role in zip(key.attributes, ("HASH", "RANGE"), strict=False)
    ]


def _index(index: IndexDefinition) -> dict[str, Any]:
    return {
        "IndexName": index.name,
        "KeySchema": _key_schema(index.key),
        "Projection": {"ProjectionType": index.projection},
    }
