"""Puts the sample function and its stack on a LocalStack, by CloudFormation as a user would."""

import base64
import io
import json
import uuid
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from tests.e2e.localstack.harness import Endpoint

HANDLER_FILE = Path(__file__).with_name("sample.py")
TEMPLATE_FILE = Path(__file__).with_name("template.yaml")


@asynccontextmanager
async def client(endpoint: Endpoint, service: str) -> AsyncIterator[Any]:
    """Open a client for one service of this LocalStack."""
    async with get_session().create_client(
        service,
        endpoint_url=endpoint.url,
        region_name=endpoint.region,
        aws_access_key_id=endpoint.access_key_id,
        aws_secret_access_key=endpoint.secret_access_key,
        config=AioConfig(signature_version="s3v4") if service == "s3" else None,
    ) as client:
        yield client


@dataclass(frozen=True, slots=True)
class Deployed:
    """The stack of the sample template."""

    base_url: str
    function: str
    bucket: str
    table: str


def zipped(**files: str) -> bytes:
    """Make a function's archive from the source of its modules."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for module, source in files.items():
            archive.writestr(f"{module}.py", source)
    return buffer.getvalue()


async def deploy(endpoint: Endpoint) -> Deployed:
    """Upload the code, create the stack under a name of its own and wait until it stands."""
    name = f"sample-{uuid.uuid4().hex[:8]}"
    async with client(endpoint, "s3") as s3, client(endpoint, "cloudformation") as formation:
        await s3.create_bucket(Bucket=f"{name}-code")
        code = zipped(sample=HANDLER_FILE.read_text())
        await s3.put_object(Bucket=f"{name}-code", Key="sample.zip", Body=code)
        await formation.create_stack(
            StackName=name,
            TemplateBody=TEMPLATE_FILE.read_text(),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": "CodeBucket", "ParameterValue": f"{name}-code"},
                {"ParameterKey": "CodeKey", "ParameterValue": "sample.zip"},
            ],
        )
        waiter = formation.get_waiter("stack_create_complete")
        await waiter.wait(StackName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 600})
        [stack] = (await formation.describe_stacks(StackName=name))["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return Deployed(
        base_url=endpoint.api_url(outputs["ApiId"], "v1"),
        function=outputs["Function"],
        bucket=outputs["Bucket"],
        table=outputs["Table"],
    )


async def invoke(functions: Any, name: str, payload: object) -> tuple[Any, str | None, str]:
    """Invoke a function directly; return its answer, the kind of its error and its log's end."""
    answer = await functions.invoke(
        FunctionName=name, Payload=json.dumps(payload).encode(), LogType="Tail"
    )
    document = json.loads(await answer["Payload"].read())
    logs = base64.b64decode(answer.get("LogResult", "")).decode()
    return document, answer.get("FunctionError"), logs
