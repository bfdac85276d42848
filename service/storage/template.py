"""What the stores are, read from the CloudFormation template that also deploys them on AWS.

Turns the resources of `config/data.yaml` into definitions. Every property has to be understood, or
the stores that `provisioning` makes would lack what the deployed ones have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from service.storage.cloudformation import Node, Resource, TemplateError, read_resources
from service.storage.definitions import (
    BucketDefinition,
    CorsRule,
    IndexDefinition,
    KeySchema,
    KeyType,
    LifecycleRule,
    Projection,
    PublicAccessBlock,
    StoreDefinitions,
    TableDefinition,
)


def template_path() -> Path:
    """Where the template is: package data in an installed wheel, `config/` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for home in (package, package.parent):
        if (path := home / "config" / "data.yaml").is_file():
            return path
    raise TemplateError(f"config/data.yaml is neither in {package} nor beside it")


def load_template(path_or_text: Path | str, parameters: Mapping[str, str]) -> StoreDefinitions:
    """Read the template at a path, or given as text, with these parameters over its defaults.

    Parameters are texts as on the `aws cloudformation` command line; the pseudo parameter
    `AWS::Partition` is `aws` unless given. Raises TemplateError.
    """
    text = path_or_text if isinstance(path_or_text, str) else path_or_text.read_text("utf-8")
    return _definitions(read_resources(text, parameters))


def _definitions(resources: tuple[Resource, ...]) -> StoreDefinitions:
    """Sort the resources by type; a bucket's policy, a resource of its own there, joins it."""
    buckets: list[Node] = []
    policies: dict[str, str] = {}
    tables: list[TableDefinition] = []
    for resource in resources:
        properties = resource.properties
        match resource.type:
            case "AWS::S3::Bucket":
                buckets.append(properties)
            case "AWS::S3::BucketPolicy":
                policy = properties.fields("Bucket", "PolicyDocument")
                policies[policy["Bucket"].text()] = json.dumps(policy["PolicyDocument"].value)
            case "AWS::DynamoDB::Table":
                tables.append(_table(properties))
            case unknown:
                raise TemplateError(f"{properties.place}: a resource {unknown} is not understood")
    if len(buckets) != 1:
        raise TemplateError(f"Resources: exactly one bucket is understood, not {len(buckets)}")
    return StoreDefinitions(_bucket(buckets[0], policies), tuple(tables))


def _bucket(node: Node, policies: Mapping[str, str]) -> BucketDefinition:
    fields = node.fields(
        "BucketName",
        "CorsConfiguration",
        "LifecycleConfiguration",
        "PublicAccessBlockConfiguration",
        "BucketEncryption",
        "OwnershipControls",
    )
    name = fields["BucketName"].text()
    encryption = fields["BucketEncryption"].field("ServerSideEncryptionConfiguration").sole()
    if stray := policies.keys() - {name}:
        raise TemplateError(f"Resources: a policy for {', '.join(stray)}, which is not declared")
    return BucketDefinition(
        name=name,
        cors=tuple(map(_cors_rule, fields["CorsConfiguration"].field("CorsRules").items())),
        lifecycle=tuple(
            map(_lifecycle_rule, fields["LifecycleConfiguration"].field("Rules").items())
        ),
        public_access_block=_public_access_block(fields["PublicAccessBlockConfiguration"]),
        encryption=encryption.field("ServerSideEncryptionByDefault").field("SSEAlgorithm").text(),
        object_ownership=(
            fields["OwnershipControls"].field("Rules").sole().field("ObjectOwnership").text()
        ),
        policy=policies.get(name),
    )


def _cors_rule(node: Node) -> CorsRule:
    fields = node.fields(
        "Id", "AllowedMethods", "AllowedOrigins", "AllowedHeaders", "ExposedHeaders", "MaxAge"
    )
    return CorsRule(
        rule_id=fields["Id"].text(),
        methods=fields["AllowedMethods"].texts(),
        origins=fields["AllowedOrigins"].texts(),
        headers=fields["AllowedHeaders"].texts(),
        exposed_headers=fields["ExposedHeaders"].texts(),
        max_age=fields["MaxAge"].number(),
    )


def _lifecycle_rule(node: Node) -> LifecycleRule:
    expire, abort = "ExpirationInDays", "AbortIncompleteMultipartUpload"
    fields = node.fields("Id", "Status", optional=("Prefix", expire, abort))
    fields["Status"].one_of("Enabled")
    return LifecycleRule(
        rule_id=fields["Id"].text(),
        prefix=fields["Prefix"].text() if "Prefix" in fields else "",
        expire_after=fields[expire].number() if expire in fields else None,
        abort_uploads_after=(
            fields[abort].field("DaysAfterInitiation").number() if abort in fields else None
        ),
    )


def _public_access_block(node: Node) -> PublicAccessBlock:
    fields = node.fields(
        "BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"
    )
    return PublicAccessBlock(
        block_acls=fields["BlockPublicAcls"].flag(),
        block_policy=fields["BlockPublicPolicy"].flag(),
        ignore_acls=fields["IgnorePublicAcls"].flag(),
        restrict_buckets=fields["RestrictPublicBuckets"].flag(),
    )


def _table(node: Node) -> TableDefinition:
    fields = node.fields(
        "TableName",
        "BillingMode",
        "AttributeDefinitions",
        "KeySchema",
        "PointInTimeRecoverySpecification",
        "DeletionProtectionEnabled",
        optional=("GlobalSecondaryIndexes", "TimeToLiveSpecification", "StreamSpecification"),
    )
    indexes = fields.get("GlobalSecondaryIndexes")
    fields["BillingMode"].one_of("PAY_PER_REQUEST")
    recovery = fields["PointInTimeRecoverySpecification"].field("PointInTimeRecoveryEnabled")
    return TableDefinition(
        name=fields["TableName"].text(),
        key=_key_schema(fields["KeySchema"]),
        attributes=dict(map(_attribute, fields["AttributeDefinitions"].items())),
        indexes=() if indexes is None else tuple(map(_index, indexes.items())),
        point_in_time_recovery=recovery.flag(),
        deletion_protection=fields["DeletionProtectionEnabled"].flag(),
        expiry_attribute=_expiry(fields.get("TimeToLiveSpecification")),
        streamed=_is_streamed(fields.get("StreamSpecification")),
    )


def _is_streamed(node: Node | None) -> bool:
    if node is None:
        return False
    node.field("StreamViewType").one_of("NEW_AND_OLD_IMAGES")
    return True


def _expiry(node: Node | None) -> str | None:
    if node is None:
        return None
    fields = node.fields("AttributeName", "Enabled")
    return fields["AttributeName"].text() if fields["Enabled"].flag() else None


def _attribute(node: Node) -> tuple[str, KeyType]:
    fields = node.fields("AttributeName", "AttributeType")
    kind = cast(KeyType, fields["AttributeType"].one_of("S", "N", "B"))
    return fields["AttributeName"].text(), kind


def _index(node: Node) -> IndexDefinition:
    fields = node.fields("IndexName", "KeySchema", "Projection")
    projection = fields["Projection"].field("ProjectionType").one_of("ALL", "KEYS_ONLY")
    return IndexDefinition(
        name=fields["IndexName"].text(),
        key=_key_schema(fields["KeySchema"]),
        projection=cast(Projection, projection),
    )


def _key_schema(node: Node) -> KeySchema:
    roles = {}
    for item in node.items():
        fields = item.fields("AttributeName", "KeyType")
        roles[fields["KeyType"].one_of("HASH", "RANGE")] = fields["AttributeName"].text()
    if "HASH" not in roles:
        raise TemplateError(f"{node.place}: has no HASH key")
    return KeySchema(roles["HASH"], roles.get("RANGE"))
