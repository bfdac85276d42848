"""mont deploy: the data stack, the package, then the API stack; and where the API is.

Settings become parameters: one that was chosen is passed, any other keeps the value that the stack
has, so that a deployment from another shell does not undo what the last one chose.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from urllib.parse import urlsplit

from service.deployment.artifacts import Artifacts
from service.deployment.clients import open_deployment_clients
from service.deployment.cloudformation import Stack, Stacks
from service.deployment.existing import ExistingStores
from service.deployment.failure import DeploymentFailed
from service.deployment.templates import Template, read_template, template_argument
from service.provisioning import data_parameters
from service.settings import Settings
from service.storage.clients import translated
from service.storage.template import template_path

DEFAULT_STACK = "mont"
_TABLES = ("TableName", "ApiKeysTableName", "UsageTableName", "EventsTableName")
_NAMES = ("BucketName", "UserIndexName", *_TABLES)
"""Parameters of both stacks, under the same names."""
_DATA_VARIABLES = {
    "BucketName": "S3_BUCKET_NAME",
    "TableName": "DYNAMODB_TABLE_NAME",
    "UserIndexName": "DYNAMODB_GSI_NAME",
    "ApiKeysTableName": "API_KEYS_TABLE_NAME",
    "UsageTableName": "USAGE_TABLE_NAME",
    "EventsTableName": "EVENTS_TABLE_NAME",
    "CorsAllowedOrigins": "CORS_ALLOW_ORIGINS",
}
# The address of AWS is for this command; functions find AWS, or their emulator, by themselves.
# Webhooks are sent by a server: a function lives too short for a schedule of days.
_NOT_PASSED = {"AWS_ENDPOINT_URL", "AWS_REGION", "WEBHOOK_URL", "WEBHOOK_SECRET"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What to deploy. `architecture` is the package's; `parameters` go over all others.

    No stage is the one that is deployed already, or the template's default.
    """

    stack: str
    architecture: str
    stage: str | None = None
    existing_data: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


@asynccontextmanager
async def open_deployment(
    settings: Settings, environment: Mapping[str, str], wish: Wish, say: Callable[[str], None]
) -> AsyncIterator[Deployment]:
    """A deployment to the account and region of the credentials and settings.

    `environment` tells which settings were chosen rather than defaulted; `say` gets a line for
    each step. Raises StoreUnavailable.
    """
    endpoint = settings.aws_endpoint_url
    async with open_deployment_clients(settings) as clients:
        with translated("STS"):
            account = (await clients.sts.get_caller_identity())["Account"]
        yield Deployment(
            settings=settings,
            chosen=frozenset(name for name, value in environment.items() if value.strip()),
            wish=wish,
            stacks=Stacks(clients.cloudformation, say, emulated=endpoint is not None),
            artifacts=Artifacts(clients.s3, account, settings.aws_region),
            existing=ExistingStores(clients.s3, clients.dynamodb),
        )


@dataclass(frozen=True, slots=True)
class Deployment:
    """Both stacks, data first. Each half can be done again at any time."""

    settings: Settings
    chosen: frozenset[str]
    wish: Wish
    stacks: Stacks
    artifacts: Artifacts
    existing: ExistingStores

    async def deploy_data(self) -> dict[str, str]:
        """Deploy bucket and tables. Returns their names. Raises DeploymentFailed, StoreUnavailable.

        With data that exists already, only looks whether it does.
        """
        wanted = {**data_parameters(self.settings), **self.wish.parameters}
        tables = [wanted[name] for name in _TABLES]
        if self.wish.existing_data:
            await self.existing.demand(wanted["BucketName"], tables)
            return await self._with_stream({name: wanted[name] for name in _NAMES})
        name = f"{self.wish.stack}-data"
        template = read_template(template_path())
        given = {key: wanted[key] for key, name in _DATA_VARIABLES.items() if name in self.chosen}
        before = await self.stacks.find(name)
        if before is None or not before.exists:
            await self.existing.refuse(wanted["BucketName"], tables, name)
        stack = await self._deploy(name, template, given)
        return await self._with_stream({name: stack.parameters[name] for name in _NAMES})

    async def _with_stream(self, names: dict[str, str]) -> dict[str, str]:
        """The names, and where the events' stream is: its ARN is made anew with the table."""
        stream = await self.existing.stream_of(names["EventsTableName"])
        return names | {"EventStreamArn": stream}

    async def deploy_api(self, names: Mapping[str, str], package: bytes) -> str:
        """Deploy the functions and their gateway. Returns the base URL.

        Raises DeploymentFailed, StoreUnavailable.
        """
        name = f"{self.wish.stack}-api"
        template = read_template(template_path().with_name("api.yaml"))
        key = await self.artifacts.put(package, "mont-lambda", ".zip")
        given = {
            **self._chosen_settings(),
            **names,
            "CodeBucket": self.artifacts.bucket,
            "CodeKey": key,
            "Architecture": self.wish.architecture,
        }
        if self.wish.stage is not None:
            given["StageName"] = self.wish.stage
        endpoint = self.settings.aws_endpoint_url
        if endpoint is not None:
            # Functions reach an emulator by a name that need not exist out here.
            given.setdefault("S3PublicEndpointUrl", endpoint)
        before = await self.stacks.find(name)
        if before is None or not before.exists:
            if endpoint is None:
                # Made once; later deployments keep it, so that tokens stay good.
                given.setdefault("CursorSecret", secrets.token_urlsafe(32))
            else:
                # On AWS the template asks for keys; on one's own machine nobody else calls.
                given.setdefault("AuthMode", "claimed")
            if self.wish.stack != DEFAULT_STACK:
                # The functions' plain names are taken by the deployment that is named by default.
                given.setdefault("FunctionPrefix", f"{self.wish.stack}-")
        stack = await self._deploy(name, template, given)
        if endpoint is None:
            return stack.outputs["ApiUrl"]
        stage = stack.outputs["StageName"]
        return f"{endpoint}/_aws/execute-api/{stack.outputs['ApiId']}/{stage}"

    async def _deploy(self, name: str, template: Template, given: Mapping[str, str]) -> Stack:
        parameters = {**given, **self.wish.parameters}
        return await self.stacks.deploy(
            name,
            template,
            await template_argument(template, self.artifacts),
            {key: value for key, value in parameters.items() if key in template.parameters},
        )

    def _chosen_settings(self) -> dict[str, str]:
        """The settings that were chosen, by the names of parameters: LOG_LEVEL is LogLevel."""
        values = {}
        for each in fields(self.settings):
            variable = each.metadata["name"]
            if variable in self.chosen - _NOT_PASSED:
                value = getattr(self.settings, each.name)
                text = ",".join(value) if isinstance(value, tuple) else str(value)
                values[variable.title().replace("_", "")] = text
        return values


def is_on_this_machine(endpoint: str | None) -> bool:
    """Whether an endpoint is an emulator right here."""
    host = (endpoint and urlsplit(endpoint).hostname) or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        # LocalStack's name in public DNS, and those under it, lead to 127.0.0.1.
        return f".{host}".endswith((".localhost", ".localhost.localstack.cloud"))


def check_parameters(parameters: Mapping[str, str]) -> None:
    """Raise DeploymentFailed for a parameter that no template has."""
    known: set[str] = set()
    for name in ("data.yaml", "api.yaml"):
        known |= read_template(template_path().with_name(name)).parameters
    if unknown := sorted(parameters.keys() - known):
        raise DeploymentFailed(
            f"No template has a parameter {', '.join(unknown)}. They have: "
            f"{', '.join(sorted(known))}."
        )
