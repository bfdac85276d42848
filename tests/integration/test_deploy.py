"""Deploying to an emulated AWS: created, left alone, updated, and failures explained.

The API stack needs functions that really run: tests/e2e deploys it to LocalStack.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from service.__main__ import main
from service.deployment.artifacts import Artifacts
from service.deployment.clients import open_deployment_clients
from service.deployment.deploy import (
    Deployment,
    Wish,
    check_parameters,
    is_on_this_machine,
    open_deployment,
)
from service.deployment.failure import DeploymentFailed
from service.deployment.templates import read_template, template_argument
from service.errors import StoreUnavailable
from service.provisioning import provision_stores
from service.settings import Settings, load_settings
from service.storage.clients import open_admin_clients
from service.storage.template import template_path


@pytest.fixture(scope="module")
def endpoint(embedded: str) -> str:
    return embedded


@dataclass
class Site:
    """An account with nothing in it that anybody else uses."""

    endpoint: str
    stack: str = field(default_factory=lambda: f"t-{uuid4().hex[:12]}")
    said: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "S3_BUCKET_NAME": f"images-{self.stack}",
            "DYNAMODB_TABLE_NAME": f"Images-{self.stack}",
            "API_KEYS_TABLE_NAME": f"Keys-{self.stack}",
            "USAGE_TABLE_NAME": f"Usage-{self.stack}",
            "EVENTS_TABLE_NAME": f"Events-{self.stack}",
        }

    @property
    def settings(self) -> Settings:
        return load_settings(self.environment)

    @asynccontextmanager
    async def deployment(
        self, *, chosen: Mapping[str, str] | None = None, **wish: Any
    ) -> AsyncIterator[Deployment]:
        environment = {**self.environment, **(chosen or {})}
        wanted = Wish(stack=self.stack, architecture="arm64", **wish)
        settings = load_settings(environment)
        async with open_deployment(settings, environment, wanted, self.said.append) as opened:
            yield opened

    async def deploy_data(self, **options: Any) -> dict[str, str]:
        self.said.clear()
        async with self.deployment(**options) as deployment:
            return await deployment.deploy_data()

    async def parameters(self) -> dict[str, str]:
        async with open_deployment_clients(self.settings) as clients:
            answer = await clients.cloudformation.describe_stacks(StackName=f"{self.stack}-data")
        (stack,) = answer["Stacks"]
        return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}


@pytest.fixture
def site(endpoint: str) -> Site:
    return Site(endpoint)


async def test_the_first_deployment_makes_the_stores_and_names_them(site: Site) -> None:
    names = await site.deploy_data()
    assert names == {
        "BucketName": site.settings.s3_bucket_name,
        "TableName": site.settings.dynamodb_table_name,
        "UserIndexName": "UserIdTimestampIndex",
        "ApiKeysTableName": f"Keys-{site.stack}",
        "UsageTableName": f"Usage-{site.stack}",
        "EventsTableName": f"Events-{site.stack}",
        "EventStreamArn": names["EventStreamArn"],
    }
    assert f":table/Events-{site.stack}/stream/" in names["EventStreamArn"]
    async with open_admin_clients(site.settings) as clients:
        await clients.s3.head_bucket(Bucket=names["BucketName"])
        table = await clients.dynamodb.describe_table(TableName=names["TableName"])
    assert names["UserIndexName"] in {
        index["IndexName"] for index in table["Table"]["GlobalSecondaryIndexes"]
    }
    assert site.said[0] == f"{site.stack}-data: creating"
    assert f"  CREATE_COMPLETE AWS::CloudFormation::Stack {site.stack}-data" in site.said


async def test_deploying_again_changes_nothing_and_says_so(site: Site) -> None:
    first = await site.deploy_data()
    assert await site.deploy_data() == first
    assert site.said == [f"{site.stack}-data: nothing to change"]


async def test_a_changed_parameter_is_an_update(site: Site) -> None:
    await site.deploy_data()
    await site.deploy_data(parameters={"DeletionProtection": "false"})
    assert site.said[0] == f"{site.stack}-data: updating"
    assert site.said[-1] == f"  UPDATE_COMPLETE AWS::CloudFormation::Stack {site.stack}-data"
    assert (await site.parameters())["DeletionProtection"] == "false"


async def test_what_is_not_chosen_again_stays_as_it_was_chosen(site: Site) -> None:
    await site.deploy_data(parameters={"DeletionProtection": "false"})
    await site.deploy_data(parameters={"PointInTimeRecovery": "false"})
    parameters = await site.parameters()
    assert parameters["DeletionProtection"] == parameters["PointInTimeRecovery"] == "false"
    assert parameters["BucketName"] == site.settings.s3_bucket_name


async def test_names_that_were_chosen_once_are_found_without_choosing_them_again(
    site: Site,
) -> None:
    names = await site.deploy_data()
    forgetful = {name: "" for name in site.environment if name.endswith("_NAME")}
    assert await site.deploy_data(chosen=forgetful) == names
    assert site.said == [f"{site.stack}-data: nothing to change"]


async def test_a_chosen_setting_becomes_its_parameter(site: Site) -> None:
    await site.deploy_data(chosen={"DYNAMODB_GSI_NAME": "ByUser"})
    assert (await site.parameters())["UserIndexName"] == "ByUser"


async def test_stores_from_elsewhere_are_named_with_the_ways_out(site: Site) -> None:
    await provision(site.settings)
    with pytest.raises(DeploymentFailed) as failure:
        await site.deploy_data()
    message = str(failure.value)
    assert site.settings.s3_bucket_name in message
    assert site.settings.dynamodb_table_name in message
    assert site.settings.api_keys_table_name in message
    assert site.settings.usage_table_name in message
    assert site.settings.events_table_name in message
    assert "mont deploy --data existing" in message
    assert not site.said


async def test_existing_stores_are_used_without_a_stack(site: Site) -> None:
    await provision(site.settings)
    names = await site.deploy_data(existing_data=True)
    assert f":table/Events-{site.stack}/stream/" in names["EventStreamArn"]
    assert names["BucketName"] == site.settings.s3_bucket_name
    assert names["TableName"] == site.settings.dynamodb_table_name
    async with site.deployment() as deployment:
        assert await deployment.stacks.find(f"{site.stack}-data") is None


async def test_existing_stores_have_to_exist(site: Site) -> None:
    nothing = (
        r"no bucket images-.* and no table Images-.* no table Keys-.* no table Usage-"
        r".* no table Events-"
    )
    with pytest.raises(DeploymentFailed, match=nothing):
        await site.deploy_data(existing_data=True)


async def test_one_table_that_is_missing_is_named_alone(site: Site) -> None:
    await provision(site.settings)
    elsewhere = {"USAGE_TABLE_NAME": f"Nowhere-{site.stack}"}
    with pytest.raises(DeploymentFailed, match=r"There is no table Nowhere-[^ ]*\. Name"):
        await site.deploy_data(existing_data=True, chosen=elsewhere)


async def provision(settings: Settings) -> None:
    async with open_admin_clients(settings) as clients:
        await provision_stores(clients, settings)


# --- CloudFormation in other moods ----------------------------------------------------------------

Alter = Callable[[str, str], str]
"""(action, answer) -> answer"""


@asynccontextmanager
async def in_front_of(endpoint: str, alter: Alter) -> AsyncIterator[Site]:
    """The same account, through a proxy that alters CloudFormation's answers."""
    async with aiohttp.ClientSession() as session:

        async def forward(request: web.Request) -> web.Response:
            body = await request.read()
            headers = {k: v for k, v in request.headers.items() if k != "Host"}
            url = f"{endpoint}{request.raw_path}"
            async with session.request(request.method, url, data=body, headers=headers) as answer:
                content = await answer.read()
                action = parse_qs(body.decode("latin-1")).get("Action", [""])[0]
                if action:
                    content = alter(action, content.decode()).encode()
                kind = answer.headers.get("Content-Type", "text/xml")
                return web.Response(
                    status=answer.status, body=content, headers={"Content-Type": kind}
                )

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", forward)
        async with TestServer(app) as server:
            yield Site(str(server.make_url("")).rstrip("/"))


def status(value: str) -> str:
    return f"<StackStatus>{value}</StackStatus>"


def event(value: str, reason: str = "") -> str:
    return f"<ResourceStatus>{value}</ResourceStatus>" + (
        f"<ResourceStatusReason>{reason}</ResourceStatusReason>" if reason else ""
    )


async def test_a_failure_names_what_failed_and_not_what_was_called_off(endpoint: str) -> None:
    def alter(action: str, answer: str) -> str:
        if action == "DescribeStacks":
            return answer.replace(status("CREATE_COMPLETE"), status("ROLLBACK_COMPLETE"))
        return answer.replace(
            event("CREATE_IN_PROGRESS"), event("CREATE_FAILED", "Resource creation cancelled")
        ).replace(event("CREATE_COMPLETE"), event("CREATE_FAILED", "the disk is full"))

    async with in_front_of(endpoint, alter) as site:
        with pytest.raises(DeploymentFailed) as failure:
            await site.deploy_data()
    message = str(failure.value)
    assert "the disk is full" in message
    assert "cancelled" not in message
    assert f"{site.stack}-data is ROLLBACK_COMPLETE" in message
    assert f"aws cloudformation delete-stack --stack-name {site.stack}-data" in message


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("ROLLBACK_COMPLETE", "can only be deleted"),
        ("CREATE_FAILED", "can only be deleted"),
        ("DELETE_FAILED", "Finish that"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "somebody else is at work on it"),
    ],
)
async def test_a_stack_that_cannot_be_updated_is_left_alone_and_explained(
    endpoint: str, state: str, advice: str
) -> None:
    actions: list[str] = []

    def alter(action: str, answer: str) -> str:
        actions.append(action)
        return answer.replace(status("CREATE_COMPLETE"), status(state))

    async with in_front_of(endpoint, alter) as site:
        await Site(endpoint, site.stack).deploy_data()
        with pytest.raises(DeploymentFailed, match=advice):
            await site.deploy_data()
    assert "CreateChangeSet" not in actions


async def test_a_deployment_is_watched_to_its_end(endpoint: str) -> None:
    looks: list[str] = []

    def alter(action: str, answer: str) -> str:
        if action == "DescribeStacks" and status("CREATE_COMPLETE") in answer and not looks:
            looks.append(action)
            return answer.replace(status("CREATE_COMPLETE"), status("CREATE_IN_PROGRESS"))
        return answer

    async with in_front_of(endpoint, alter) as site:
        await site.deploy_data()
    assert looks
    assert site.said[-1] == f"  CREATE_COMPLETE AWS::CloudFormation::Stack {site.stack}-data"
    assert len(site.said) == len(set(site.said))


async def test_a_change_set_without_changes_is_no_failure(endpoint: str) -> None:
    def alter(action: str, answer: str) -> str:
        # As if the template had been written anew with the same meaning.
        return answer.replace("Mont Image Service", "mont") if action == "GetTemplate" else answer

    async with in_front_of(endpoint, alter) as site:
        await site.deploy_data()
        await site.deploy_data()
    assert site.said == [f"{site.stack}-data: nothing to change"]


async def test_a_change_set_that_is_refused_says_why(endpoint: str) -> None:
    def alter(action: str, answer: str) -> str:
        if action != "DescribeChangeSet":
            return answer
        return answer.replace(
            "<Status>CREATE_COMPLETE</Status>",
            "<Status>FAILED</Status><StatusReason>no such macro</StatusReason>",
        )

    async with in_front_of(endpoint, alter) as site:
        with pytest.raises(DeploymentFailed, match="no such macro"):
            await site.deploy_data()


async def test_no_connection_is_told_from_a_failed_deployment() -> None:
    with pytest.raises(StoreUnavailable) as unavailable:
        await Site("http://127.0.0.1:9").deploy_data()
    assert unavailable.value.store == "STS"


# --- packages -------------------------------------------------------------------------------------


async def test_an_artifact_is_kept_once_under_its_hash_in_a_private_bucket(site: Site) -> None:
    async with open_deployment_clients(site.settings) as clients:
        artifacts = Artifacts(clients.s3, "123456789012", f"r-{uuid4().hex[:8]}")
        first = await artifacts.put(b"code", "mont-lambda", ".zip")
        again = await artifacts.put(b"code", "mont-lambda", ".zip")
        other = await artifacts.put(b"other code", "mont-lambda", ".zip")
        assert first == again != other
        listing = await clients.s3.list_objects_v2(Bucket=artifacts.bucket)
        assert {each["Key"] for each in listing["Contents"]} == {first, other}
        block = await clients.s3.get_public_access_block(Bucket=artifacts.bucket)
        assert all(block["PublicAccessBlockConfiguration"].values())


async def test_a_long_template_goes_by_url(site: Site) -> None:
    template = read_template(template_path())
    async with open_deployment_clients(site.settings) as clients:
        artifacts = Artifacts(clients.s3, "123456789012", f"r-{uuid4().hex[:8]}")
        assert await template_argument(template, artifacts) == {"TemplateBody": template.text}
        long = type(template)(template.text + "#" * 51_200, template.parameters)
        argument = await template_argument(long, artifacts)
        assert set(argument) == {"TemplateURL"}
        start, _, key = argument["TemplateURL"].rpartition("/")
        assert start == f"{site.endpoint}/{artifacts.bucket}"
        stored = await clients.s3.get_object(Bucket=artifacts.bucket, Key=key)
        assert (await stored["Body"].read()).decode() == long.text


def test_a_parameter_that_no_template_has_is_refused() -> None:
    check_parameters({"DeletionProtection": "false", "MemorySize": "512"})
    with pytest.raises(DeploymentFailed, match=r"Memory\. .*DeletionProtection.*MemorySize"):
        check_parameters({"Memory": "512"})


@pytest.mark.parametrize(
    ("address", "here"),
    [
        (None, False),
        ("http://127.0.0.1:4566", True),
        ("http://[::1]:4566", True),
        ("http://localhost:4566", True),
        ("https://localhost.localstack.cloud:4566", True),
        ("http://localstack:4566", False),
        ("https://emulator.example", False),
    ],
)
def test_an_emulator_on_this_machine_is_known_by_its_address(
    address: str | None, here: bool
) -> None:
    assert is_on_this_machine(address) is here


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_what_failed_without_a_traceback(tmp_path: Any) -> None:
    package = tmp_path / "any.zip"
    package.write_bytes(b"any")
    command = ["deploy", "--zip", str(package)]
    result = CliRunner().invoke(main, command, env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert result.exit_code == 1
    assert result.output.startswith("Error: STS: ")


@pytest.mark.parametrize("argument", ["MemorySize", ""])
def test_a_parameter_without_a_value_is_refused(tmp_path: Any, argument: str) -> None:
    package = tmp_path / "any.zip"
    package.write_bytes(b"any")
    command = ["deploy", "--zip", str(package), "--parameter", argument]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "NAME=VALUE" in result.output
