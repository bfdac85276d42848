"""Makes the bucket, and sets each of its settings that is not as defined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError

from service.storage.changes import (
    Call,
    Change,
    ProvisioningConflict,
    http_status,
    insist,
    is_unsupported,
)
from service.storage.clients import error_code
from service.storage.definitions import BucketDefinition, CorsRule, LifecycleRule

# A new bucket is not known everywhere at once, and S3 lets one change at a time through.
_PASSING = frozenset({"NoSuchBucket", "OperationAborted"})


class ClientMeta(Protocol):
    """What a client knows about itself."""

    endpoint_url: str


class S3Client(Protocol):
    """The calls of an aiobotocore S3 client that provisioning makes."""

    meta: ClientMeta
    head_bucket: Call
    create_bucket: Call
    get_bucket_cors: Call
    put_bucket_cors: Call
    get_bucket_lifecycle_configuration: Call
    put_bucket_lifecycle_configuration: Call
    get_public_access_block: Call
    put_public_access_block: Call
    get_bucket_encryption: Call
    put_bucket_encryption: Call
    get_bucket_ownership_controls: Call
    put_bucket_ownership_controls: Call
    get_bucket_policy: Call
    put_bucket_policy: Call


async def provision_bucket(s3: S3Client, bucket: BucketDefinition, region: str) -> list[Change]:
    """Make or repair the bucket. Raises ProvisioningConflict and what botocore raises."""
    created = not await _exists(s3, bucket.name, region) and await _create(s3, bucket.name, region)
    changes = [Change(bucket.name, "created", "bucket")] if created else []
    for setting in _settings(s3, bucket):
        change = await _apply(setting, bucket.name)
        # The first values of a new bucket are part of making it.
        if change is not None and not (created and change.kind == "updated"):
            changes.append(change)
    return changes


async def _exists(s3: S3Client, name: str, region: str) -> bool:
    try:
        head = await s3.head_bucket(Bucket=name)
    except ClientError as error:
        if http_status(error) == 403:
            raise ProvisioningConflict(
                f"bucket {name} exists, but it belongs to another account "
                "or these credentials may not look at it"
            ) from error
        if http_status(error) == 404:
            return False
        raise
    if (actual := head.get("BucketRegion", region)) != region:
        raise ProvisioningConflict(f"bucket {name} is in {actual}, not in {region}")
    return True


async def _create(s3: S3Client, name: str, region: str) -> bool:
    """Make the bucket; False when another process was faster."""
    # S3 takes every region by name but the one it started in.
    place: dict[str, Any] = (
        {}
        if region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )
    try:
        await s3.create_bucket(Bucket=name, **place)
    except ClientError as error:
        match error_code(error):
            case "BucketAlreadyOwnedByYou" | "OperationAborted":
                return False
            case "BucketAlreadyExists":
                raise ProvisioningConflict(
                    f"bucket {name} belongs to another account: names are shared by all of AWS"
                ) from error
        raise
    return True


@dataclass(frozen=True, slots=True)
class _Setting:
    """One setting: how to read it, how to write it, what it should be.

    `argument` names it in the call that writes. Most answers hold it under the same name; in others
    the whole answer is the setting. A policy is the JSON text of one.
    """

    what: str
    read: Call
    write: Call
    argument: str
    wanted: dict[str, Any] | str
    absent: str


def _settings(s3: S3Client, bucket: BucketDefinition) -> Iterator[_Setting]:
    access = bucket.public_access_block
    # First what keeps the bucket closed.
    yield _Setting(
        "public access block",
        s3.get_public_access_block,
        s3.put_public_access_block,
        "PublicAccessBlockConfiguration",
        {
            "BlockPublicAcls": access.block_acls,
            "BlockPublicPolicy": access.block_policy,
            "IgnorePublicAcls": access.ignore_acls,
            "RestrictPublicBuckets": access.restrict_buckets,
        },
        "NoSuchPublicAccessBlockConfiguration",
    )
    yield _Setting(
        "object ownership",
        s3.get_bucket_ownership_controls,
        s3.put_bucket_ownership_controls,
        "OwnershipControls",
        {"Rules": [{"ObjectOwnership": bucket.object_ownership}]},
        "OwnershipControlsNotFoundError",
    )
    yield _Setting(
        "encryption",
        s3.get_bucket_encryption,
        s3.put_bucket_encryption,
        "ServerSideEncryptionConfiguration",
        {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": bucket.encryption}}]},
        "ServerSideEncryptionConfigurationNotFoundError",
    )
    yield _Setting(
        "CORS",
        s3.get_bucket_cors,
        s3.put_bucket_cors,
        "CORSConfiguration",
        {"CORSRules": [_cors_rule(rule) for rule in bucket.cors]},
        "NoSuchCORSConfiguration",
    )
    yield _Setting(
        "lifecycle",
        s3.get_bucket_lifecycle_configuration,
        s3.put_bucket_lifecycle_configuration,
        "LifecycleConfiguration",
        {"Rules": [_lifecycle_rule(rule) for rule in bucket.lifecycle]},
        "NoSuchLifecycleConfiguration",
    )
    # A policy that refuses plain HTTP would lock everyone out of an endpoint that speaks only that,
    # and some (moto) refuse every request by it.
    if bucket.policy is not None and s3.meta.endpoint_url.startswith("https:"):
        yield _Setting(
            "policy",
            s3.get_bucket_policy,
            s3.put_bucket_policy,
            "Policy",
            bucket.policy,
            "NoSuchBucketPolicy",
        )


def _cors_rule(rule: CorsRule) -> dict[str, Any]:
    return {
        "ID": rule.rule_id,
        "AllowedMethods": list(rule.methods),
        "AllowedOrigins": list(rule.origins),
        "AllowedHeaders": list(rule.headers),
        "ExposeHeaders": list(rule.exposed_headers),
        "MaxAgeSeconds": rule.max_age,
    }


def _lifecycle_rule(rule: LifecycleRule) -> dict[str, Any]:
    actions: dict[str, Any] = {}
    if rule.expire_after is not None:
        actions["Expiration"] = {"Days": rule.expire_after}
    if rule.abort_uploads_after is not None:
        actions["AbortIncompleteMultipartUpload"] = {
            "DaysAfterInitiation": rule.abort_uploads_after
        }
    return {"ID": rule.rule_id, "Status": "Enabled", "Filter": {"Prefix": rule.prefix}, **actions}


async def _apply(setting: _Setting, bucket: str) -> Change | None:
    arguments = {setting.argument: setting.wanted}
    try:
        if await _holds(setting, bucket):
            return None
        await insist(setting.write, _PASSING, Bucket=bucket, **arguments)
    except ClientError as error:
        if is_unsupported(error):
            return Change(bucket, "unsupported", setting.what)
        raise
    return Change(bucket, "updated", setting.what)


async def _holds(setting: _Setting, bucket: str) -> bool:
    try:
        answer = await insist(setting.read, _PASSING, Bucket=bucket)
    except ClientError as error:
        if error_code(error) == setting.absent:
            return False
        raise
    actual = answer.get(setting.argument, answer)
    if isinstance(setting.wanted, str):
        return bool(json.loads(actual) == json.loads(setting.wanted))
    return covers(actual, setting.wanted)


def covers(actual: object, wanted: object) -> bool:
    """Whether `actual` says all that `wanted` does. S3 adds defaults and keeps no order."""
    match wanted, actual:
        case dict(), dict():
            return all(key in actual and covers(actual[key], wanted[key]) for key in wanted)
        case list(), list():
            return len(actual) == len(wanted) and all(
                any(covers(candidate, item) for candidate in actual) for item in wanted
            )
    return actual == wanted
