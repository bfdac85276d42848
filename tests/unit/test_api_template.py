"""The API's template: valid, complete, and no more powerful than the code behind it needs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from lambda_bridge.events import completed, to_request
from lambda_bridge.functions import FUNCTIONS
from lambda_bridge.sweep import DEFAULT_DAYS
from service.documents import document_endpoints
from service.endpoints import ENDPOINTS, Endpoint
from service.exchange import PROBLEM_JSON
from service.problems import KINDS, TYPE_PREFIX, UNEXPECTED
from service.settings import Settings, load_settings
from service.storage.dynamodb import DELETING_INDEX
from service.storage.lists import TIMELINE_INDEX
from service.storage.outbox import DUE_INDEX
from service.storage.sweep_notes import NOTE
from service.storage.template import template_path
from tests.support.makers import RULES

CONFIG = Path(__file__).parents[2] / "config"
SHIPPED = (CONFIG / "api.yaml").read_text("utf-8")

Node = Any
Resources = dict[str, dict[str, Any]]

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::StackName": "mont-api",
    "AWS::URLSuffix": "amazonaws.com",
}
CODE = {"CodeBucket": "code", "CodeKey": "mont-1234.zip"}
_NOTHING = object()


@cache
def translated() -> Mapping[str, Any]:
    """The template as CloudFormation sees it after its transform."""
    translator = Translator(
        {}, Parser(), boto_session=boto3.Session(region_name=PSEUDO["AWS::Region"])
    )
    document: Mapping[str, Any] = translator.translate(yaml_parse(SHIPPED), dict(CODE))
    return document


class Deployed:
    """The resources and outputs that a deployment with these parameters makes.

    A reference to a resource is its logical id in pointed brackets.
    """

    def __init__(self, **parameters: str) -> None:
        document = translated()
        self.values = {
            **{name: str(each.get("Default", "")) for name, each in document["Parameters"].items()},
            **CODE,
            **PSEUDO,
            **parameters,
        }
        self._conditions = document["Conditions"]
        self.resources: Resources = {
            name: self._resolved(each)
            for name, each in document["Resources"].items()
            if "Condition" not in each or self._holds(each["Condition"])
        }
        self.outputs = self._resolved(document["Outputs"])

    def of_type(self, kind: str) -> Resources:
        return {
            name: each["Properties"]
            for name, each in self.resources.items()
            if each["Type"] == kind
        }

    def only(self, kind: str) -> dict[str, Any]:
        (properties,) = self.of_type(kind).values()
        return properties

    def functions(self) -> dict[str, dict[str, Any]]:
        found = self.of_type("AWS::Lambda::Function")
        return {each["FunctionName"]: {**each, "Id": name} for name, each in found.items()}

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = self.only("AWS::ApiGateway::RestApi")["Body"]
        return body

    def _holds(self, condition: str) -> bool:
        return bool(self._resolved(self._conditions[condition]))

    def _resolved(self, node: Node) -> Node:
        if isinstance(node, list):
            resolved = (self._resolved(each) for each in node)
            return [each for each in resolved if each is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._called(name, argument)
        resolved_members = {name: self._resolved(each) for name, each in node.items()}
        return {name: each for name, each in resolved_members.items() if each is not _NOTHING}

    def _called(self, function: str, argument: Node) -> Node:
        match function, argument:
            case "Ref", "AWS::NoValue":
                return _NOTHING
            case "Ref", name:
                return self.values.get(name, f"<{name}>")
            case "Fn::GetAtt", [name, attribute]:
                return f"<{name}.{attribute}>"
            case "Fn::Sub", str(text):
                return re.sub(r"\$\{(.+?)\}", lambda m: self.values.get(m[1], f"<{m[1]}>"), text)
            case "Fn::If", [condition, then, otherwise]:
                return self._resolved(then if self._holds(condition) else otherwise)
            case "Fn::Equals", [left, right]:
                return str(self._resolved(left)) == str(self._resolved(right))
            case "Fn::Not", [value]:
                return not self._resolved(value)
        raise AssertionError(f"{function} of {argument} is not understood by this test")


@pytest.fixture(scope="module")
def deployed() -> Deployed:
    return Deployed()


# The template is valid.


def test_it_passes_cloudformations_linter_before_and_after_its_transform(tmp_path: Path) -> None:
    plain = tmp_path / "translated.json"
    plain.write_text(json.dumps(translated()))
    linter = Path(sys.executable).with_name("cfn-lint")
    run = subprocess.run(
        [linter, "--non-zero-exit-code", "informational", "--", CONFIG / "api.yaml", plain],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr


def test_it_fits_into_a_bucket_for_cloudformation() -> None:
    # Longer than a request takes, it is deployed by way of a bucket; and this is the end of that.
    assert 51_200 < len(SHIPPED.encode()) <= 1_000_000


def test_it_goes_by_the_names_of_the_stores_template() -> None:
    stores = yaml_parse(template_path().read_text("utf-8"))["Parameters"]
    api = translated()["Parameters"]
    for name in ("BucketName", "TableName", "UserIndexName", "ApiKeysTableName"):
        assert api[name]["Default"] == stores[name]["Default"]


def test_its_outputs_tell_where_the_api_is(deployed: Deployed) -> None:
    values = {name: each["Value"] for name, each in deployed.outputs.items()}
    assert values == {
        "ApiUrl": "https://<Api>.execute-api.eu-central-1.amazonaws.com/dev",
        "ApiId": "<Api>",
        "StageName": "dev",
        "ApiKeyId": "<ApiKey>",
    }


# The functions are those of the package.


SWEEP = "sweep_images"
ALL_FUNCTIONS = (*FUNCTIONS, SWEEP)


def test_there_is_a_function_for_each_entry_point_and_no_other(deployed: Deployed) -> None:
    assert deployed.functions().keys() == set(ALL_FUNCTIONS)


def test_a_prefix_goes_before_every_name() -> None:
    functions = Deployed(FunctionPrefix="second-").functions()
    assert functions.keys() == {f"second-{name}" for name in ALL_FUNCTIONS}


def test_every_handler_can_be_imported_and_called(deployed: Deployed) -> None:
    handlers = [function["Handler"] for function in deployed.functions().values()]
    assert set(handlers) == {f"lambda_bridge.handler.{name}" for name in ALL_FUNCTIONS}
    # In a process of its own: the import makes whoever does it a Lambda container.
    script = (
        "import sys; from pkgutil import resolve_name; "
        "sys.exit(not all(callable(resolve_name(each)) for each in sys.argv[1:]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, *handlers], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_a_function_runs_as_asked(name: str) -> None:
    function = Deployed(Architecture="x86_64", MemorySize="512").functions()[name]
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["x86_64"]
    assert function["MemorySize"] == "512"
    assert function["Code"] == {"S3Bucket": "code", "S3Key": "mont-1234.zip"}
    assert function["TracingConfig"] == {"Mode": "Active"}


def test_a_function_outlives_the_services_own_time_limit_but_not_the_gateways(
    deployed: Deployed,
) -> None:
    functions = deployed.functions()
    for name in FUNCTIONS:
        assert Settings().request_time_limit < functions[name]["Timeout"] < 29


def test_a_function_logs_to_a_group_of_its_own_that_forgets(deployed: Deployed) -> None:
    groups = deployed.of_type("AWS::Logs::LogGroup")
    for name, function in deployed.functions().items():
        group = groups[function["LoggingConfig"]["LogGroup"].strip("<>")]
        assert group == {"LogGroupName": f"/aws/lambda/{name}", "RetentionInDays": "30"}


def test_no_environment_is_kept_warm_unless_asked_for(deployed: Deployed) -> None:
    assert deployed.of_type("AWS::Lambda::Version") == {}
    for alias in deployed.of_type("AWS::Lambda::Alias").values():
        assert alias["FunctionVersion"] == "$LATEST"
        assert "ProvisionedConcurrencyConfig" not in alias


def test_environments_kept_warm_run_the_version_of_the_package() -> None:
    warm = Deployed(ProvisionedConcurrency="3")
    versions = warm.of_type("AWS::Lambda::Version")
    aliases = warm.of_type("AWS::Lambda::Alias")
    assert len(aliases) == len(versions) == len(FUNCTIONS)
    for alias in aliases.values():
        assert alias["ProvisionedConcurrencyConfig"] == {"ProvisionedConcurrentExecutions": "3"}
        version = versions[alias["FunctionVersion"].strip("<>").removesuffix(".Version")]
        assert version["FunctionName"] == alias["FunctionName"]
        # A version is published anew when this changes.
        assert version["Description"] == "mont-1234.zip 1"


# The environment is the service's settings.


def environment(name: str, **parameters: str) -> dict[str, str]:
    variables: dict[str, str] = Deployed(**parameters).functions()[name]["Environment"]["Variables"]
    return variables


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_every_variable_is_a_setting(name: str) -> None:
    settings = {each.metadata["name"] for each in fields(Settings)}
    everything = environment(
        name, AwsEndpointUrl="http://store:4566", S3PublicEndpointUrl="http://localhost:4566"
    )
    assert everything.keys() <= settings
    # Lambda sets this one itself and refuses a template that does.
    assert "AWS_REGION" not in everything


def test_the_defaults_are_the_services_own_but_nobody_is_believed() -> None:
    assert load_settings(environment("image_api")) == Settings(auth_mode="api_key")


def test_every_parameter_of_the_service_reaches_it() -> None:
    given = {
        "BucketName": "my-images",
        "TableName": "MyImages",
        "UserIndexName": "MyIndex",
        "AuthMode": "jwt",
        "ApiKeysTableName": "MyKeys",
        "UsageTableName": "MyUsage",
        "Events": "eventbridge",
        "EventsTableName": "MyEvents",
        "DailyQuota": "500",
        "StorageQuotaBytes": "1000000",
        "StorageQuotaImages": "100",
        "JwtJwks": "https://issuer.example/jwks",
        "JwtIssuer": "https://issuer.example",
        "JwtAudience": "images",
        "JwtAlgorithms": "ES256",
        "JwtLeeway": "5",
        "LogLevel": "DEBUG",
        "CorsAllowOrigins": "https://a.example,https://b.example",
        "CursorSecret": "sealed",
        "ImgproxyUrl": "https://img.example",
        "ImgproxyKey": "aa",
        "ImgproxySalt": "bb",
        "AllowedContentTypes": "image/png",
        "MaxFileSize": "1000",
        "DefaultPageSize": "10",
        "MaxPageSize": "20",
        "S3PresignedUrlExpiryUpload": "60",
        "S3PresignedUrlExpiryDownload": "30",
        "AwsEndpointUrl": "http://store:4566",
        "S3PublicEndpointUrl": "http://localhost:4566",
    }
    assert load_settings(environment("image_api", **given)) == Settings(
        s3_bucket_name="my-images",
        dynamodb_table_name="MyImages",
        dynamodb_gsi_name="MyIndex",
        auth_mode="jwt",
        api_keys_table_name="MyKeys",
        usage_table_name="MyUsage",
        events="eventbridge",
        events_table_name="MyEvents",
        daily_quota=500,
        storage_quota_bytes=1_000_000,
        storage_quota_images=100,
        jwt_jwks="https://issuer.example/jwks",
        jwt_issuer="https://issuer.example",
        jwt_audience="images",
        jwt_algorithms=("ES256",),
        jwt_leeway=5,
        log_level="DEBUG",
        cors_allow_origins=("https://a.example", "https://b.example"),
        cursor_secret="sealed",
        imgproxy_url="https://img.example",
        imgproxy_key="aa",
        imgproxy_salt="bb",
        allowed_content_types=("image/png",),
        max_file_size=1000,
        default_page_size=10,
        max_page_size=20,
        s3_presigned_url_expiry_upload=60,
        s3_presigned_url_expiry_download=30,
        aws_endpoint_url="http://store:4566",
        s3_public_endpoint_url="http://localhost:4566",
    )


def test_an_endpoint_that_is_not_given_is_absent_so_that_an_emulator_can_set_its_own() -> None:
    assert (
        environment("image_api").keys().isdisjoint({"AWS_ENDPOINT_URL", "S3_PUBLIC_ENDPOINT_URL"})
    )


def test_the_cursor_secret_is_only_where_cursors_are_sealed_and_is_never_shown() -> None:
    holders = {name for name in FUNCTIONS if "CURSOR_SECRET" in environment(name)}
    assert holders == {"list_images", "image_api"}
    assert translated()["Parameters"]["CursorSecret"]["NoEcho"] is True


def test_what_signs_thumbnails_is_only_where_images_are_shown_and_is_never_shown() -> None:
    for variable, parameter in (("IMGPROXY_KEY", "ImgproxyKey"), ("IMGPROXY_SALT", "ImgproxySalt")):
        holders = {name for name in FUNCTIONS if variable in environment(name)}
        assert holders == {"list_images", "image_api"}
        assert translated()["Parameters"][parameter]["NoEcho"] is True


# Every request has a route, and each core call goes to its own function.

ANY = "x-amazon-apigateway-any-method"
# What ANY stands for at API Gateway.
ANY_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
OWN_FUNCTION = {endpoint: name for name, endpoint in FUNCTIONS.items() if name != "image_api"}
EVERY_ENDPOINT = (*ENDPOINTS, *document_endpoints(RULES))
IMAGE = "0b0c4f0e-7a25-4f0c-8b52-8f2f6d8e7a11"


def specificity(resource: str) -> tuple[tuple[int, str], ...]:
    """Literal parts before parameters, those before the greedy one: API Gateway's order."""
    ranks = []
    for part in resource.split("/"):
        rank = 2 if part.endswith("+}") else 1 if part.startswith("{") else 0
        ranks.append((rank, part))
    return tuple(ranks)


def matched(resources: Iterable[str], path: str) -> tuple[str, dict[str, str]]:
    """The resource that API Gateway takes for a path, and its parameters."""
    for resource in sorted(resources, key=specificity):
        pattern = re.sub(r"\\{(\w+)\\\+\\}", r"(?P<\1>.+)", re.escape(resource))
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", pattern)
        if found := re.fullmatch(pattern, path):
            return resource, found.groupdict()
    raise AssertionError(f"{path} has no route")


def function_for(deployed: Deployed, method: str, path: str) -> str:
    paths = deployed.body()["paths"]
    operations = paths[matched(paths, path)[0]]
    operation = operations.get(method.lower())
    if operation is None:
        assert method in ANY_METHODS
        operation = operations[ANY]
    integration = operation["x-amazon-apigateway-integration"]
    assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
    (alias,) = re.fullmatch(
        r"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/<(\w+)>/invocations",
        integration["uri"],
    ).groups()  # type: ignore[union-attr]
    target = deployed.resources[alias]["Properties"]["FunctionName"].strip("<>")
    name: str = deployed.resources[target]["Properties"]["FunctionName"]
    return name


def concrete(endpoint: Endpoint) -> str:
    return endpoint.path.replace("{image_id}", IMAGE)


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT, ids=lambda endpoint: endpoint.name)
def test_each_endpoint_is_answered_by_the_function_meant_for_it(
    deployed: Deployed, endpoint: Endpoint
) -> None:
    expected = OWN_FUNCTION.get(endpoint.name, "image_api")
    assert function_for(deployed, endpoint.method, concrete(endpoint)) == expected


def test_every_core_function_has_its_endpoint() -> None:
    # Or the test above would not have looked for it.
    assert OWN_FUNCTION.keys() <= {endpoint.name for endpoint in ENDPOINTS}
    assert len(OWN_FUNCTION) == 5


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT, ids=lambda endpoint: endpoint.name)
def test_the_service_sees_the_path_that_the_client_asked_for(
    deployed: Deployed, endpoint: Endpoint
) -> None:
    resource, parameters = matched(deployed.body()["paths"], concrete(endpoint))
    event = {
        "httpMethod": endpoint.method,
        "resource": resource,
        "path": f"/base{concrete(endpoint)}",
        "pathParameters": parameters or None,
    }
    assert to_request(completed(event, endpoint, "id")).path == concrete(endpoint)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/images"),
        ("PUT", "/images"),
        ("POST", "/images"),
        ("GET", "/images/upload-url"),
        ("PUT", "/images/complete"),
        ("HEAD", f"/images/{IMAGE}"),
        ("POST", f"/images/{IMAGE}/download-url"),
        ("HEAD", f"/images/{IMAGE}/download-url"),
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/nowhere"),
        ("DELETE", "/images/a/b/c"),
        ("GET", "/metrics"),
    ],
)
def test_whatever_is_no_core_call_reaches_the_service_all_the_same(
    deployed: Deployed, method: str, path: str
) -> None:
    assert function_for(deployed, method, path) == "image_api"


@pytest.mark.parametrize("endpoint", EVERY_ENDPOINT, ids=lambda endpoint: endpoint.name)
def test_the_service_itself_answers_preflights(deployed: Deployed, endpoint: Endpoint) -> None:
    assert function_for(deployed, "OPTIONS", concrete(endpoint)) == "image_api"


def operations(deployed: Deployed) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (method, operation)
        for methods in deployed.body()["paths"].values()
        for method, operation in methods.items()
    ]


def test_no_call_needs_a_key_by_default(deployed: Deployed) -> None:
    assert {json.dumps(operation["security"]) for _, operation in operations(deployed)} == {"[]"}


def test_every_call_but_a_preflight_needs_a_key_where_keys_are_required() -> None:
    keyed = Deployed(ApiKeyRequired="true")
    (scheme,) = keyed.body()["components"]["securitySchemes"].items()
    assert scheme == ("ApiKey", {"type": "apiKey", "name": "x-api-key", "in": "header"})
    for method, operation in operations(keyed):
        # A browser cannot send one with a preflight.
        assert operation["security"] == ([] if method == "options" else [{"ApiKey": []}])


def test_the_gateway_may_call_each_function_for_its_own_route_only(deployed: Deployed) -> None:
    api = "arn:aws:execute-api:eu-central-1:123456789012:<Api>/dev"
    permissions = [
        each
        for each in deployed.of_type("AWS::Lambda::Permission").values()
        if each["Principal"] == "apigateway.amazonaws.com"
    ]
    assert {each["FunctionName"]: each["SourceArn"] for each in permissions} == {
        "<UploadPresignedUrlLive>": f"{api}/POST/images/upload-url",
        "<CompleteUploadLive>": f"{api}/POST/images/complete",
        "<ListImagesLive>": f"{api}/GET/images",
        "<GetImagePresignedUrlLive>": f"{api}/GET/images/*/download-url",
        "<DeleteImageLive>": f"{api}/DELETE/images/*",
        "<ImageApiLive>": f"{api}/*",
    }


# The sweep runs on a schedule.


def test_a_schedule_alone_calls_the_sweep(deployed: Deployed) -> None:
    (rule_id,) = deployed.of_type("AWS::Events::Rule")
    called = {
        each["FunctionName"]: (each["Principal"], each["SourceArn"])
        for each in deployed.of_type("AWS::Lambda::Permission").values()
        if each["Principal"] != "apigateway.amazonaws.com"
    }
    function = f"<{deployed.functions()[SWEEP]['Id']}>"
    assert called == {function: ("events.amazonaws.com", f"<{rule_id}.Arn>")}
    assert "Sweep" not in json.dumps(deployed.body())


def test_the_schedule_is_as_asked(deployed: Deployed) -> None:
    rule = deployed.only("AWS::Events::Rule")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(1 day)", "ENABLED")
    (target,) = rule["Targets"]
    assert target["Arn"] == f"<{deployed.functions()[SWEEP]['Id']}.Arn>"
    assert json.loads(target["Input"]) == {"full_every_days": DEFAULT_DAYS}
    other = Deployed(
        SweepSchedule="cron(0 3 * * ? *)", SweepState="DISABLED", SweepFullEveryDays="1"
    ).only("AWS::Events::Rule")
    assert (other["ScheduleExpression"], other["State"]) == ("cron(0 3 * * ? *)", "DISABLED")
    assert json.loads(other["Targets"][0]["Input"]) == {"full_every_days": 1}


def test_the_sweep_has_minutes_and_is_never_kept_warm() -> None:
    warm = Deployed(ProvisionedConcurrency="3")
    function = warm.functions()[SWEEP]
    assert 60 < function["Timeout"] <= 900
    aliases = warm.of_type("AWS::Lambda::Alias").values()
    assert f"<{function['Id']}>" not in {each["FunctionName"] for each in aliases}


# Least privilege: exact actions on exact resources.

BUCKET = "arn:aws:s3:::mont-images"
STAGED, FINAL = f"{BUCKET}/uploads/*", f"{BUCKET}/images/*"
TABLE = "arn:aws:dynamodb:eu-central-1:123456789012:table/ImageMetadata"
USAGE = "arn:aws:dynamodb:eu-central-1:123456789012:table/MontUsage"
LISTS = (f"{TABLE}/index/UserIdTimestampIndex", f"{TABLE}/index/{TIMELINE_INDEX}")

MAY: dict[str, set[tuple[str, str]]] = {
    "upload_presigned_url": {("s3:PutObject", STAGED)},
    "complete_upload": {
        ("s3:GetObject", STAGED),
        ("s3:GetObject", FINAL),
        ("s3:ListBucket", BUCKET),
        ("s3:PutObject", FINAL),
        ("s3:DeleteObject", STAGED),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("dynamodb:DeleteItem", TABLE),
        ("dynamodb:GetItem", USAGE),
        ("dynamodb:UpdateItem", USAGE),
    },
    "list_images": {("dynamodb:Query", index) for index in LISTS},
    "get_image_presigned_url": {("dynamodb:GetItem", TABLE), ("s3:GetObject", FINAL)},
    "delete_image": {
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("dynamodb:DeleteItem", TABLE),
        ("dynamodb:UpdateItem", USAGE),
        ("s3:DeleteObject", FINAL),
        ("s3:DeleteObject", STAGED),
    },
    "image_api": {
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:BatchGetItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("dynamodb:DeleteItem", TABLE),
        ("dynamodb:DescribeTable", TABLE),
        ("dynamodb:UpdateItem", USAGE),
        *(("dynamodb:Query", index) for index in LISTS),
        ("s3:GetObject", FINAL),
        ("s3:DeleteObject", FINAL),
        ("s3:DeleteObject", STAGED),
        ("s3:ListBucket", BUCKET),
    },
    SWEEP: {
        ("dynamodb:Query", f"{TABLE}/index/{DELETING_INDEX}"),
        ("dynamodb:Scan", TABLE),
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:BatchGetItem", TABLE),
        ("dynamodb:PutItem", TABLE),
        ("dynamodb:UpdateItem", TABLE),
        ("dynamodb:DeleteItem", TABLE),
        ("dynamodb:UpdateItem", USAGE),
        ("s3:ListBucket", BUCKET),
        ("s3:GetObject", STAGED),
        ("s3:GetObject", FINAL),
        ("s3:PutObject", FINAL),
        ("s3:DeleteObject", STAGED),
        ("s3:DeleteObject", FINAL),
        ("dynamodb:GetItem", USAGE),
        ("dynamodb:PutItem", USAGE),
    },
}
KEYS = {
    ("dynamodb:GetItem", "arn:aws:dynamodb:eu-central-1:123456789012:table/MontApiKeys"),
}
COUNTS = {("dynamodb:UpdateItem", USAGE)}
"""Of requests. Of what users store, some functions have the same."""
TRACES = {("xray:PutTraceSegments", "*"), ("xray:PutTelemetryRecords", "*")}


def role_of(deployed: Deployed, function: str) -> dict[str, Any]:
    name = deployed.functions()[function]["Role"].removeprefix("<").removesuffix(".Arn>")
    role: dict[str, Any] = deployed.resources[name]["Properties"]
    return role


def as_list(value: Node) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(deployed: Deployed, function: str) -> list[dict[str, Any]]:
    """All that a function's role says, its managed policies included."""
    role = role_of(deployed, function)
    shared = [
        deployed.resources[reference.strip("<>")]["Properties"]
        for reference in role.get("ManagedPolicyArns", ())
    ]
    return [
        statement
        for policy in [*role["Policies"], *shared]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def granted(deployed: Deployed, function: str) -> set[tuple[str, str]]:
    return {
        (action, resource)
        for statement in statements(deployed, function)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def test_each_function_has_a_role_of_its_own_that_only_lambda_can_take(deployed: Deployed) -> None:
    roles = {function["Role"] for function in deployed.functions().values()}
    assert len(roles) == len(ALL_FUNCTIONS)
    for name in ALL_FUNCTIONS:
        (trust,) = role_of(deployed, name)["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_a_function_may_do_what_its_endpoints_do_and_nothing_else(
    deployed: Deployed, name: str
) -> None:
    group = deployed.functions()[name]["LoggingConfig"]["LogGroup"].strip("<>")
    logs = {(f"logs:{verb}", f"<{group}.Arn>") for verb in ("CreateLogStream", "PutLogEvents")}
    keys = set() if name == SWEEP else KEYS | COUNTS
    assert granted(deployed, name) == MAY[name] | logs | TRACES | keys


@pytest.mark.parametrize("mode", ["claimed", "jwt"])
@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_no_function_reads_keys_where_callers_show_none(name: str, mode: str) -> None:
    assert not KEYS & granted(Deployed(AuthMode=mode), name)


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_nothing_is_granted_by_wildcard_but_traces(deployed: Deployed, name: str) -> None:
    for action, resource in granted(deployed, name):
        assert "*" not in action
        assert resource != "*" or action.startswith("xray:")
    assert {statement["Effect"] for statement in statements(deployed, name)} == {"Allow"}
    assert not any(
        "NotAction" in each or "NotResource" in each for each in statements(deployed, name)
    )


def test_a_completer_may_list_no_more_than_it_may_read(deployed: Deployed) -> None:
    (listing,) = (
        each
        for each in statements(deployed, "complete_upload")
        if each["Action"] == "s3:ListBucket"
    )
    assert listing["Condition"] == {"StringLikeIfExists": {"s3:prefix": ["uploads/*", "images/*"]}}


def test_a_sweep_may_list_no_more_than_it_may_read(deployed: Deployed) -> None:
    (listing,) = (each for each in statements(deployed, SWEEP) if each["Action"] == "s3:ListBucket")
    assert listing["Condition"] == {"StringLikeIfExists": {"s3:prefix": ["uploads/*", "images/*"]}}


EVENTS = "arn:aws:dynamodb:eu-central-1:123456789012:table/MontEvents"
BUS = "publish_events"
STREAM = f"{EVENTS}/stream/2026-02-13T00:00:00.000"


@pytest.mark.parametrize("told", ["webhook", "eventbridge"])
def test_events_are_kept_by_whoever_changes_images_and_no_one_else(
    deployed: Deployed, told: str
) -> None:
    telling = Deployed(Events=told)
    for name in ALL_FUNCTIONS:
        more = {("dynamodb:PutItem", EVENTS)} if name in COUNTED else set()
        if (name, told) == (SWEEP, "webhook"):  # which counts what waits for a server
            more |= {("dynamodb:Query", f"{EVENTS}/index/{DUE_INDEX}")}
        assert granted(telling, name) - granted(deployed, name) == more


def test_a_function_feeds_the_bus_where_there_is_one_to_feed(deployed: Deployed) -> None:
    assert BUS not in deployed.functions()
    assert BUS not in Deployed(Events="webhook").functions()
    feeding = Deployed(Events="eventbridge", EventStreamArn=STREAM, EventBusName="ours")
    function = feeding.functions()[BUS]
    assert function["Handler"] == "lambda_bridge.handler.publish_events"
    assert function["Environment"]["Variables"]["EVENT_BUS_NAME"] == "ours"
    group = function["LoggingConfig"]["LogGroup"].strip("<>")
    assert granted(feeding, BUS) == {
        *TRACES,
        *((f"dynamodb:{verb}", STREAM) for verb in STREAM_VERBS),
        ("events:PutEvents", "arn:aws:events:eu-central-1:123456789012:event-bus/ours"),
        ("dynamodb:UpdateItem", EVENTS),
        *((f"logs:{verb}", f"<{group}.Arn>") for verb in ("CreateLogStream", "PutLogEvents")),
    }
    source = feeding.only("AWS::Lambda::EventSourceMapping")
    assert (source["EventSourceArn"], source["FunctionName"]) == (STREAM, f"<{function['Id']}>")
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


STREAM_VERBS = ("DescribeStream", "GetRecords", "GetShardIterator")

ROOM = {
    "upload_presigned_url": {("dynamodb:GetItem", USAGE)},
    "image_api": {("dynamodb:DescribeTable", USAGE)},
}
"""What only a quota of room asks for."""


@pytest.mark.parametrize("quota", ["StorageQuotaBytes", "StorageQuotaImages"])
def test_a_quota_of_room_asks_for_no_more_than_it_needs(deployed: Deployed, quota: str) -> None:
    limited = Deployed(**{quota: "1"})
    for name in ALL_FUNCTIONS:
        assert granted(limited, name) - granted(deployed, name) == ROOM.get(name, set())


COUNTED = {"complete_upload", "delete_image", "image_api", SWEEP}
"""Functions that change what a user stores."""


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
@pytest.mark.parametrize("mode", ["api_key", "claimed"])
def test_a_function_reaches_the_counters_of_its_own_kind_only(name: str, mode: str) -> None:
    """Items of one table: what tells them apart is how their keys begin."""
    deployed = Deployed(AuthMode=mode, StorageQuotaBytes="1")
    kinds = set()
    for each in statements(deployed, name):
        if USAGE in as_list(each["Resource"]) and each["Action"] != "dynamodb:DescribeTable":
            (kind,) = each["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            kinds.add((kind, *as_list(each["Action"])))
    storage = {
        "upload_presigned_url": {("storage#*", "dynamodb:GetItem")},
        "complete_upload": {("storage#*", "dynamodb:GetItem", "dynamodb:UpdateItem")},
    }
    expected = storage.get(name, set())
    if name in COUNTED - storage.keys():
        expected = {("storage#*", "dynamodb:UpdateItem")}
    if mode == "api_key" and name != SWEEP:
        expected = expected | {("requests#*", "dynamodb:UpdateItem")}
    if name == SWEEP:
        expected = expected | {("sweep#*", "dynamodb:GetItem", "dynamodb:PutItem")}
    assert kinds == expected


def test_the_sweep_notes_its_place_where_it_may() -> None:
    assert NOTE.startswith("sweep#")


def test_permissions_follow_the_names_of_the_stores() -> None:
    renamed = Deployed(
        BucketName="elsewhere",
        TableName="Other",
        UserIndexName="ByUser",
        ApiKeysTableName="Keys",
        UsageTableName="Usage",
        StorageQuotaImages="5",
    )
    own = re.compile(r"mont-images|ImageMetadata|UserIdTimestampIndex|MontApiKeys|MontUsage")
    for name in ALL_FUNCTIONS:
        for _, resource in granted(renamed, name):
            assert not own.search(resource)


# API Gateway's own errors look like the service's.

STANDARD_STATUS = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}
"""What API Gateway answers by itself (Developer Guide, "Gateway response types")."""

RESTATED = {"MISSING_AUTHENTICATION_TOKEN": 405, "INTEGRATION_FAILURE": 503}
"""Where another status says better what happened."""

GATEWAYS_OWN = {
    "invalid-api-key": "Invalid API key",
    "access-denied": "Access denied",
    "service-unavailable": "Service unavailable",
    "timed-out": "Timed out",
}
"""Types that only a gateway can answer with, and their titles; the template lists them too."""

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
RESPONSES = "x-amazon-apigateway-gateway-responses"


def answer_to(deployed: Deployed, kind: str) -> dict[str, Any]:
    """The response set for a type, or the default that API Gateway falls back to."""
    answers = deployed.body()[RESPONSES]
    default = "DEFAULT_5XX" if STANDARD_STATUS[kind] >= 500 else "DEFAULT_4XX"
    answer: dict[str, Any] = answers.get(kind) or answers[default]
    return answer


def document_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    (template,) = answer["responseTemplates"].values()
    document: dict[str, Any] = json.loads(template.replace("$context.requestId", REQUEST_ID))
    return document


def headers_of(answer: Mapping[str, Any]) -> dict[str, str]:
    prefix = "gatewayresponse.header."
    assert all(name.startswith(prefix) for name in answer["responseParameters"])
    return {
        name.removeprefix(prefix): value for name, value in answer["responseParameters"].items()
    }


def test_the_table_above_holds_every_type_that_api_gateway_has(deployed: Deployed) -> None:
    model = botocore.session.get_session().get_service_model("apigateway")
    assert set(model.shape_for("GatewayResponseType").enum) == STANDARD_STATUS.keys()
    assert deployed.body()[RESPONSES].keys() <= STANDARD_STATUS.keys()


@pytest.mark.parametrize("kind", STANDARD_STATUS)
def test_a_gateways_error_is_a_problem_with_its_own_status(deployed: Deployed, kind: str) -> None:
    answer = answer_to(deployed, kind)
    document = document_of(answer)
    assert list(document) == ["type", "title", "status", "detail", "instance"]
    assert document["status"] == RESTATED.get(kind, STANDARD_STATUS[kind])
    assert int(answer["statusCode"]) == document["status"]
    assert document["instance"] == REQUEST_ID
    assert document["detail"].endswith(".")
    # The one template that API Gateway takes whatever the client accepts.
    assert list(answer["responseTemplates"]) == ["application/json"]


@pytest.mark.parametrize("kind", STANDARD_STATUS)
def test_a_gateways_error_is_of_a_known_type(deployed: Deployed, kind: str) -> None:
    document = document_of(answer_to(deployed, kind))
    known = {each.slug: each for each in (*KINDS.values(), UNEXPECTED)}
    assert document["type"].startswith(TYPE_PREFIX)
    slug = document["type"].removeprefix(TYPE_PREFIX)
    if slug in known:
        expected = known[slug]
        assert (document["title"], document["status"]) == (expected.title, expected.status)
    else:
        assert document["title"] == GATEWAYS_OWN[slug]


@pytest.mark.parametrize("kind", STANDARD_STATUS)
def test_a_page_of_any_origin_can_read_a_gateways_error(deployed: Deployed, kind: str) -> None:
    headers = headers_of(answer_to(deployed, kind))
    assert headers["Content-Type"] == f"'{PROBLEM_JSON}'"
    assert headers["X-Request-Id"] == "context.requestId"
    assert headers["Cache-Control"] == "'no-store'"
    assert headers["Access-Control-Allow-Origin"] == "'*'"
    assert {"X-Request-Id", "Retry-After"} <= set(
        headers["Access-Control-Expose-Headers"].strip("'").split(", ")
    )


@pytest.mark.parametrize("kind", STANDARD_STATUS)
def test_a_gateways_error_says_what_its_status_demands(deployed: Deployed, kind: str) -> None:
    answer = answer_to(deployed, kind)
    headers, status = headers_of(answer), int(answer["statusCode"])
    assert ("Retry-After" in headers) == (status in {429, 503, 504})
    assert ("WWW-Authenticate" in headers) == (status == 401)
    assert ("Allow" in headers) == (status == 405)
    if "Retry-After" in headers:
        assert re.fullmatch(r"'[1-9]\d*'", headers["Retry-After"])


# Limits, logs and alarms.


def test_the_stage_throttles_every_method(deployed: Deployed) -> None:
    stage = deployed.only("AWS::ApiGateway::Stage")
    (settings,) = stage["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == Settings().throttle_rate_limit == 1000
    assert settings["ThrottlingBurstLimit"] == Settings().throttle_burst_limit == 500
    assert settings["MetricsEnabled"] is True
    assert stage["TracingEnabled"] is True
    assert deployed.only("AWS::ApiGateway::RestApi")["EndpointConfiguration"] == {
        "Types": ["REGIONAL"]
    }


def test_each_key_has_ten_thousand_requests_a_day(deployed: Deployed) -> None:
    plan = deployed.only("AWS::ApiGateway::UsagePlan")
    assert plan["Quota"] == {"Limit": 10_000, "Period": "DAY"}
    (stage,) = deployed.of_type("AWS::ApiGateway::Stage")
    assert plan["ApiStages"] == [{"ApiId": "<Api>", "Stage": f"<{stage}>"}]
    assert deployed.only("AWS::ApiGateway::UsagePlanKey") == {
        "KeyId": "<ApiKey>",
        "KeyType": "API_KEY",
        "UsagePlanId": "<UsagePlan>",
    }
    assert deployed.only("AWS::ApiGateway::ApiKey")["Enabled"] is True


def test_the_access_log_is_one_json_object_a_line(deployed: Deployed) -> None:
    setting = deployed.only("AWS::ApiGateway::Stage")["AccessLogSetting"]
    assert setting["DestinationArn"] == "<AccessLogs.Arn>"
    line = setting["Format"]
    assert "\n" not in line
    # API Gateway writes "-" for what a request did not have.
    entry = json.loads(re.sub(r"\$context\.[\w.]+", "-", line))
    assert {"requestId", "method", "path", "status", "latency", "apiKeyId"} <= entry.keys()
    assert '"requestId":"$context.requestId"' in line


def test_the_role_that_writes_the_access_log_is_left_alone_where_it_is_set_already() -> None:
    assert Deployed().of_type("AWS::ApiGateway::Account")
    without = Deployed(ManageApiGatewayAccount="false")
    assert not without.of_type("AWS::ApiGateway::Account")
    assert "ApiGatewayLogRole" not in without.resources


def test_errors_refusals_and_slowness_raise_alarms(deployed: Deployed) -> None:
    alarms = deployed.of_type("AWS::CloudWatch::Alarm")
    watched = {
        (each["MetricName"], each.get("Statistic", each.get("ExtendedStatistic")))
        for each in alarms.values()
    }
    assert watched == {
        ("5XXError", "Average"),
        ("mont-api-refused-requests", "Sum"),
        ("Latency", "p99"),
        ("Errors", "Sum"),
    }
    name = deployed.only("AWS::ApiGateway::RestApi")["Name"]
    for alarm in alarms.values():
        if alarm["Namespace"] == "AWS/ApiGateway":
            assert alarm["Dimensions"] == [
                {"Name": "ApiName", "Value": name},
                {"Name": "Stage", "Value": "dev"},
            ]


def test_a_sweep_that_fails_raises_an_alarm(deployed: Deployed) -> None:
    alarm = deployed.resources["SweepErrorsAlarm"]["Properties"]
    assert (alarm["Namespace"], alarm["Threshold"]) == ("AWS/Lambda", 0)
    sweep = deployed.functions()[SWEEP]["Id"]
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": f"<{sweep}>"}]


def test_refusals_are_counted_in_the_access_log(deployed: Deployed) -> None:
    counter = deployed.only("AWS::Logs::MetricFilter")
    (metric,) = counter["MetricTransformations"]
    alarm = deployed.resources["RefusedRequestsAlarm"]["Properties"]
    assert counter["LogGroupName"] == "<AccessLogs>"
    assert counter["FilterPattern"] == '{ $.status = "429" }'
    assert (metric["MetricNamespace"], metric["MetricName"]) == (
        alarm["Namespace"],
        alarm["MetricName"],
    )


def test_alarms_report_to_a_topic_only_where_there_is_one(deployed: Deployed) -> None:
    for alarm in deployed.of_type("AWS::CloudWatch::Alarm").values():
        assert "AlarmActions" not in alarm
    topic = "arn:aws:sns:eu-central-1:123456789012:ops"
    for alarm in Deployed(AlarmTopicArn=topic).of_type("AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
