"""The template is valid CloudFormation, says what the code relies on, and hides nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from service.storage.cloudformation import TemplateError
from service.storage.definitions import (
    BucketDefinition,
    IndexDefinition,
    KeySchema,
    LifecycleRule,
    PublicAccessBlock,
    StoreDefinitions,
    TableDefinition,
)
from service.storage.dynamodb import DELETING_INDEX
from service.storage.lists import TIMELINE_INDEX
from service.storage.outbox import DUE_INDEX
from service.storage.template import load_template, template_path

SHIPPED = template_path().read_text("utf-8")


def shipped(**parameters: str) -> StoreDefinitions:
    return load_template(SHIPPED, parameters)


def bucket(**parameters: str) -> BucketDefinition:
    return shipped(**parameters).bucket


def table(**parameters: str) -> TableDefinition:
    images, *_ = shipped(**parameters).tables
    return images


def key_table(**parameters: str) -> TableDefinition:
    _, keys, _, _ = shipped(**parameters).tables
    return keys


def usage_table(**parameters: str) -> TableDefinition:
    _, _, usage, _ = shipped(**parameters).tables
    return usage


def event_table(**parameters: str) -> TableDefinition:
    _, _, _, events = shipped(**parameters).tables
    return events


def edited(old: str, new: str) -> str:
    assert SHIPPED.count(old) == 1, f"{old!r} has to name one place in the template"
    return SHIPPED.replace(old, new)


def test_the_template_passes_cloudformations_linter() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    run = subprocess.run(
        [linter, "--non-zero-exit-code", "informational", "--", template_path()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr


def test_the_shipped_template_is_the_one_in_config() -> None:
    assert template_path() == Path(__file__).parents[2] / "config" / "data.yaml"


def test_a_path_and_its_text_resolve_alike() -> None:
    assert load_template(template_path(), {}) == load_template(SHIPPED, {})


def test_the_table_has_the_keys_and_indexes_that_the_code_reads() -> None:
    assert table() == TableDefinition(
        name="ImageMetadata",
        key=KeySchema("image_id"),
        attributes={
            "image_id": "S",
            "user_id": "S",
            "upload_timestamp": "S",
            "timeline_shard": "N",
            "deleting_shard": "N",
            "deleting_since": "S",
        },
        indexes=(
            IndexDefinition(
                "UserIdTimestampIndex", KeySchema("user_id", "upload_timestamp"), "ALL"
            ),
            IndexDefinition(TIMELINE_INDEX, KeySchema("timeline_shard", "upload_timestamp"), "ALL"),
            IndexDefinition(
                DELETING_INDEX, KeySchema("deleting_shard", "deleting_since"), "KEYS_ONLY"
            ),
        ),
        point_in_time_recovery=True,
        deletion_protection=True,
    )


def test_every_declared_attribute_is_part_of_a_key() -> None:
    for each in shipped().tables:
        keys = {name for index in each.indexes for name in index.key.attributes}
        assert each.attributes.keys() == keys | set(each.key.attributes)


def test_api_keys_are_found_by_their_hashes_alone() -> None:
    assert key_table() == TableDefinition(
        name="MontApiKeys",
        key=KeySchema("key_hash"),
        attributes={"key_hash": "S"},
        indexes=(),
        point_in_time_recovery=True,
        deletion_protection=True,
    )


def test_counters_are_found_by_name_and_go_when_they_say() -> None:
    assert usage_table() == TableDefinition(
        name="MontUsage",
        key=KeySchema("counter"),
        attributes={"counter": "S"},
        indexes=(),
        point_in_time_recovery=True,
        deletion_protection=True,
        expiry_attribute="expires_at",
    )


def test_events_are_found_by_id_and_when_due_and_tell_of_their_changes() -> None:
    assert event_table() == TableDefinition(
        name="MontEvents",
        key=KeySchema("event_id"),
        attributes={"event_id": "S", "due_shard": "N", "due_at": "S"},
        indexes=(IndexDefinition(DUE_INDEX, KeySchema("due_shard", "due_at"), "KEYS_ONLY"),),
        point_in_time_recovery=True,
        deletion_protection=True,
        expiry_attribute="expires_at",
        streamed=True,
    )


def test_expiry_that_is_turned_off_is_none() -> None:
    off = SHIPPED.replace("Enabled: true", "Enabled: false")
    (_, _, usage, events) = load_template(off, {}).tables
    assert usage == replace(usage_table(), expiry_attribute=None)
    assert events == replace(event_table(), expiry_attribute=None)


def test_staged_uploads_expire_and_nothing_else_does() -> None:
    assert bucket().lifecycle == (
        LifecycleRule("expire-staged-uploads", "uploads/", 1, None),
        LifecycleRule("abort-incomplete-multipart-uploads", "", None, 1),
    )


def test_the_bucket_is_closed_and_encrypted() -> None:
    assert bucket().public_access_block == PublicAccessBlock(True, True, True, True)
    assert bucket().object_ownership == "BucketOwnerEnforced"
    assert bucket().encryption == "AES256"


def test_the_bucket_refuses_plain_http() -> None:
    policy = bucket(BucketName="photos").policy
    assert policy is not None
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Principal"] == "*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"]


def test_the_policy_names_the_partition_given() -> None:
    policy = load_template(SHIPPED, {"AWS::Partition": "aws-cn"}).bucket.policy
    assert policy is not None
    assert '"arn:aws-cn:s3:::mont-images/*"' in policy


def test_browsers_may_post_and_read_and_see_the_etag() -> None:
    (rule,) = bucket().cors
    assert set(rule.methods) == {"GET", "HEAD", "POST"}
    assert rule.origins == ("*",)
    assert rule.headers == ("*",)
    assert "ETag" in rule.exposed_headers


def test_parameters_rename_the_stores_and_change_nothing_else() -> None:
    renamed = shipped(
        BucketName="photos",
        TableName="Photos",
        UserIndexName="ByUser",
        ApiKeysTableName="Keys",
        UsageTableName="Usage",
        EventsTableName="Events",
    )
    plain = shipped()
    (of_users, *others) = plain.tables[0].indexes
    assert renamed.tables == (
        replace(
            plain.tables[0], name="Photos", indexes=(replace(of_users, name="ByUser"), *others)
        ),
        replace(plain.tables[1], name="Keys"),
        replace(plain.tables[2], name="Usage"),
        replace(plain.tables[3], name="Events"),
    )
    assert renamed.bucket.policy is not None
    assert renamed.bucket == replace(plain.bucket, name="photos", policy=renamed.bucket.policy)


def test_origins_are_separated_by_commas() -> None:
    (rule,) = bucket(CorsAllowedOrigins="https://a.example, https://b.example").cors
    assert rule.origins == ("https://a.example", "https://b.example")


def test_protection_is_a_parameter() -> None:
    off = {"DeletionProtection": "false", "PointInTimeRecovery": "false"}
    for of in (table, key_table, usage_table, event_table):
        assert of(**off) == replace(of(), deletion_protection=False, point_in_time_recovery=False)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"Bucket": "b"}, "Parameters: Bucket is not declared"),
        ({"DeletionProtection": "yes"}, "Parameters.DeletionProtection: 'yes' is not an allowed"),
    ],
)
def test_a_wrong_parameter_is_named(parameters: dict[str, str], complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        load_template(SHIPPED, parameters)


def test_a_parameter_without_default_has_to_be_given() -> None:
    text = edited("    Default: mont-images\n", "")
    with pytest.raises(TemplateError, match=r"Parameters\.BucketName: has no default"):
        load_template(text, {})
    assert load_template(text, {"BucketName": "photos"}).bucket.name == "photos"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param(
            "idle.\n      BillingMode: PAY_PER_REQUEST",
            "idle.\n      BillingMode: PROVISIONED",
            "Resources.ImageTable.Properties.BillingMode: 'PROVISIONED' is not PAY_PER_REQUEST",
            id="a value with another meaning",
        ),
        pytest.param(
            "idle.\n      BillingMode: PAY_PER_REQUEST",
            "idle.\n      BillingMode: PAY_PER_REQUEST\n      TableClass: STANDARD",
            "Resources.ImageTable.Properties: TableClass is not understood",
            id="a property nobody would apply",
        ),
        pytest.param(
            "          - ObjectOwnership: BucketOwnerEnforced",
            "          - Owner: BucketOwnerEnforced",
            "Resources.Bucket.Properties.OwnershipControls.Rules[0]: Owner is not understood",
            id="a property deep inside",
        ),
        pytest.param(
            "            MaxAge: 3600\n",
            "",
            "Resources.Bucket.Properties.CorsConfiguration.CorsRules[0]: MaxAge is missing",
            id="a property left out",
        ),
        pytest.param(
            "MaxAge: 3600",
            "MaxAge: an hour",
            "CorsRules[0].MaxAge: 'an hour' is not a whole number",
            id="a text for a number",
        ),
        pytest.param(
            "AllowedMethods: [GET, HEAD, POST]",
            "AllowedMethods: GET",
            "CorsRules[0].AllowedMethods: 'GET' is not a list",
            id="a text for a list",
        ),
        pytest.param(
            "BlockPublicAcls: true",
            "BlockPublicAcls: 1 of 2",
            "BlockPublicAcls: '1 of 2' is not true or false",
            id="a text for a flag",
        ),
        pytest.param(
            "TableName: !Ref TableName",
            "TableName: 7",
            "Resources.ImageTable.Properties.TableName: 7 is not a text",
            id="a number for a text",
        ),
        pytest.param(
            "TableName: !Ref TableName",
            "TableName: !Ref Typo",
            "Resources.ImageTable.Properties.TableName: Typo is neither a parameter nor",
            id="a reference to nothing",
        ),
        pytest.param(
            "TableName: !Ref TableName",
            "TableName: !GetAtt Bucket.Arn",
            "Resources.ImageTable.Properties.TableName: !GetAtt is not understood here",
            id="a function that needs the deployed resource",
        ),
        pytest.param(
            "TableName: !Ref TableName",
            "TableName: !Join ['-', [a, b]]",
            "could not determine a constructor for the tag '!Join'",
            id="an unknown function",
        ),
        pytest.param(
            "TableName: !Ref TableName",
            "TableName: {Ref: TableName}",
            "Resources.ImageTable.Properties.TableName: the long form Ref is not understood",
            id="the long form of a function",
        ),
        pytest.param(
            "TableName: !Ref TableName",
            'TableName: !Sub "${CorsAllowedOrigins}"',
            "Resources.ImageTable.Properties.TableName: CorsAllowedOrigins: ['*'] is not a text",
            id="a list inside a text",
        ),
        pytest.param(
            "  ImageTable:\n    Type: AWS::DynamoDB::Table\n",
            "  ImageTable:\n    Type: AWS::DynamoDB::GlobalTable\n",
            "a resource AWS::DynamoDB::GlobalTable is not understood",
            id="another type of resource",
        ),
        pytest.param(
            "  ImageTable:\n    Type: AWS::DynamoDB::Table\n",
            "  ImageTable:\n    Type: AWS::DynamoDB::Table\n    Condition: Never\n",
            "Resources.ImageTable: Condition is not understood",
            id="a resource that might not be made",
        ),
        pytest.param(
            "      Bucket: !Ref Bucket\n",
            "      Bucket: elsewhere\n",
            "Resources: a policy for elsewhere, which is not declared",
            id="a policy for another bucket",
        ),
        pytest.param(
            "  Bucket:\n    Type: AWS::S3::Bucket\n",
            "  Bucket: []\n  Rest:\n    Type: AWS::S3::Bucket\n",
            "Resources.Bucket: [] is not a mapping",
            id="a list for a mapping",
        ),
        pytest.param(
            "        - AttributeName: image_id\n          KeyType: HASH\n",
            "        - AttributeName: image_id\n          KeyType: RANGE\n",
            "Resources.ImageTable.Properties.KeySchema: has no HASH key",
            id="a table without a hash key",
        ),
        pytest.param(
            "Parameters:\n",
            "Mappings: {}\nParameters:\n",
            "template: Mappings is not",
            id="a section",
        ),
        pytest.param(
            "Type: CommaDelimitedList",
            "Type: Number",
            "Parameters.CorsAllowedOrigins.Type",
            id="a type",
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(
    old: str, new: str, complaint: str
) -> None:
    with pytest.raises(TemplateError) as refusal:
        load_template(edited(old, new), {})
    assert complaint in str(refusal.value)


@pytest.mark.parametrize("text", ["", "- a list", "Resources: {}", "a: [", "x: !Sub [a, {}]"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        load_template(text, {})


def test_a_template_holds_exactly_one_bucket() -> None:
    with pytest.raises(TemplateError, match="exactly one bucket is understood, not 0"):
        load_template('AWSTemplateFormatVersion: "2010-09-09"\nResources: {}\n', {})
