"""Deploys one stack through a change set: made, executed, and watched to its end.

Knows nothing of what is in the stacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from service.deployment.failure import DeploymentFailed
from service.deployment.templates import Template
from service.storage.clients import error_code, translated

_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_DEPLOYED = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
_PATIENCE_SECONDS = 3600
_HIDDEN = "****"  # the value of a parameter with NoEcho
# What CloudFormation, and emulators in their own words, say of a change set without a change.
_NO_CHANGES = ("didn't contain changes", "no updates are to be performed", "no changes")
_ADVICE = {
    "ROLLBACK_COMPLETE": (
        "Its first deployment failed, and such a stack can only be deleted:\n"
        "  aws cloudformation delete-stack --stack-name {name}\nThen deploy again."
    ),
    "UPDATE_ROLLBACK_FAILED": (
        "An update failed, and taking it back failed too. Mend what its events name, then:\n"
        "  aws cloudformation continue-update-rollback --stack-name {name}"
    ),
    "DELETE_FAILED": (
        "It was deleted, but not wholly. Finish that:\n"
        "  aws cloudformation delete-stack --stack-name {name}"
    ),
}
for _alike in ("ROLLBACK_FAILED", "CREATE_FAILED"):
    _ADVICE[_alike] = _ADVICE["ROLLBACK_COMPLETE"]


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as it stands; `parameters` are all that it has, given or defaulted."""

    name: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def exists(self) -> bool:
        """Whether it was ever deployed: a change set that nobody executed leaves an empty one."""
        return self.status != "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class Stacks:
    """The stacks of one account and region. `say` gets a line for each step."""

    client: Any
    say: Callable[[str], None]
    emulated: bool

    @property
    def poll_seconds(self) -> float:
        """How long to wait between two looks: AWS counts them."""
        return 0.25 if self.emulated else 2.0

    async def find(self, name: str) -> Stack | None:
        """The stack of this name, or None. Raises StoreUnavailable."""
        with translated("CloudFormation"):
            try:
                answer = await self.client.describe_stacks(StackName=name)
            except ClientError as error:
                # There is no code of its own for a stack that does not exist.
                if error_code(error) == "ValidationError" and "exist" in str(error):
                    return None
                raise
        (found,) = answer["Stacks"]
        return Stack(
            name=name,
            status=found["StackStatus"],
            parameters={
                each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())
            },
            outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())},
        )

    async def deploy(
        self,
        name: str,
        template: Template,
        argument: Mapping[str, str],
        parameters: Mapping[str, str],
    ) -> Stack:
        """Create the stack, or update it where it differs. Returns it as it then stands.

        `argument` is how a call names the template. A parameter that is not given keeps its value,
        or has its default in a new stack. Raises DeploymentFailed, StoreUnavailable.
        """
        before = await self.find(name)
        if before is not None:
            _refuse_stuck(before)
        deployed = before if before is not None and before.exists else None
        if deployed is not None and not await self._differs(deployed, template, parameters):
            self.say(f"{name}: nothing to change")
            return deployed
        kept = template.parameters & self._keepable(deployed) if deployed else frozenset()
        async with _patience(name):
            with translated("CloudFormation"):
                change_set = await self._create_change_set(
                    StackName=name,
                    ChangeSetType="UPDATE" if deployed else "CREATE",
                    Parameters=_parameters(kept, parameters),
                    **argument,
                )
                if change_set is None:
                    self.say(f"{name}: nothing to change")
                else:
                    self.say(f"{name}: {'updating' if deployed else 'creating'}")
                    await self._execute(name, change_set)
        after = await self.find(name)
        assert after is not None
        return after

    def _keepable(self, stack: Stack) -> set[str]:
        """Parameters that can be told to stay as they are.

        Not a hidden one on LocalStack: it would put the asterisks in the place of the value.
        """
        return {
            name
            for name, value in stack.parameters.items()
            if not (self.emulated and value == _HIDDEN)
        }

    async def _differs(
        self, stack: Stack, template: Template, parameters: Mapping[str, str]
    ) -> bool:
        """Whether there may be something to change; then CloudFormation decides.

        Asked first because emulators find a change in nearly every resource, and make them all.
        """
        if stack.status not in _DEPLOYED:
            return True
        with translated("CloudFormation"):
            found = await self.client.get_template(StackName=stack.name, TemplateStage="Original")
        return found["TemplateBody"] != template.text or any(
            stack.parameters.get(key) != value for key, value in parameters.items()
        )

    async def _create_change_set(self, **arguments: Any) -> str | None:
        """The id of a change set ready to be executed; None when it would change nothing."""
        try:
            created = await self.client.create_change_set(
                ChangeSetName=f"mont-{uuid4().hex}", Capabilities=_CAPABILITIES, **arguments
            )
        except ClientError as error:
            if _says_no_changes(str(error)):
                return None
            raise
        change_set = {"StackName": arguments["StackName"], "ChangeSetName": created["Id"]}
        while True:
            found = await self.client.describe_change_set(**change_set)
            if found["Status"] == "CREATE_COMPLETE":
                return str(created["Id"])
            if found["Status"] == "FAILED":
                break
            await asyncio.sleep(self.poll_seconds)
        await self.client.delete_change_set(**change_set)
        reason = found.get("StatusReason") or "CloudFormation does not say why"
        if _says_no_changes(reason):
            return None
        raise DeploymentFailed(f"{arguments['StackName']} cannot be changed: {reason}")

    async def _execute(self, name: str, change_set: str) -> None:
        seen = {event["EventId"] for event in await self._events(name, set())}
        await self.client.execute_change_set(StackName=name, ChangeSetName=change_set)
        failures: list[str] = []
        while True:
            # The status first: what happened up to it is then among the events.
            status = (await self.client.describe_stacks(StackName=name))["Stacks"][0]["StackStatus"]
            for event in await self._events(name, seen):
                seen.add(event["EventId"])
                line = _line(event)
                self.say(f"  {line}")
                if event["ResourceStatus"].endswith("_FAILED"):
                    failures.append(line)
            if not status.endswith("_IN_PROGRESS"):
                break
            await asyncio.sleep(self.poll_seconds)
        if status not in _DEPLOYED:
            raise DeploymentFailed(_explain(name, status, failures))

    async def _events(self, name: str, seen: set[str]) -> list[dict[str, Any]]:
        """What happened since those already seen, oldest first."""
        events: list[dict[str, Any]] = []
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=name)
        async for page in pages:
            new = [each for each in page["StackEvents"] if each["EventId"] not in seen]
            events += new
            if len(new) < len(page["StackEvents"]):
                break
        return events[::-1]


def _refuse_stuck(stack: Stack) -> None:
    if stack.status in _ADVICE:
        advice = _ADVICE[stack.status].format(name=stack.name)
        raise DeploymentFailed(f"The stack {stack.name} is {stack.status}. {advice}")
    if stack.exists and stack.status.endswith("_IN_PROGRESS"):
        raise DeploymentFailed(
            f"The stack {stack.name} is {stack.status}: somebody else is at work on it. "
            "Deploy again when that is done."
        )


def _parameters(kept: frozenset[str], given: Mapping[str, str]) -> list[dict[str, object]]:
    previous: list[dict[str, object]] = [
        {"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept - given.keys())
    ]
    return previous + [
        {"ParameterKey": name, "ParameterValue": value} for name, value in sorted(given.items())
    ]


def _says_no_changes(text: str) -> bool:
    return any(words in text.lower() for words in _NO_CHANGES)


def _line(event: dict[str, Any]) -> str:
    facts = f"{event['ResourceStatus']} {event['ResourceType']} {event['LogicalResourceId']}"
    reason = event.get("ResourceStatusReason")
    return f"{facts}: {reason}" if reason and event["ResourceStatus"].endswith("_FAILED") else facts


def _explain(name: str, status: str, failures: list[str]) -> str:
    # What was under way when something else failed is called off, and the stack fails with it:
    # neither says anything of the cause.
    causes = [
        line
        for line in failures
        if "cancelled" not in line.lower() and " AWS::CloudFormation::Stack " not in line
    ]
    lines = [
        f"The stack {name} is {status}; what failed:",
        *(f"  {line}" for line in causes or failures),
    ]
    if status in _ADVICE:
        lines.append(_ADVICE[status].format(name=name))
    return "\n".join(lines)


@asynccontextmanager
async def _patience(name: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            yield
    except TimeoutError as error:
        raise DeploymentFailed(
            f"The stack {name} came to no end within {_PATIENCE_SECONDS // 60} minutes. See:\n"
            f"  aws cloudformation describe-stack-events --stack-name {name}"
        ) from error
