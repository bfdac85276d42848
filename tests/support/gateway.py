"""API Gateway's part in front of the Lambda door: proxy events, as a REST API makes them."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from lambda_bridge.container import Container
from lambda_bridge.functions import FUNCTIONS, entry_of
from tests.support.api import Answer, Api

# The routes of config/api.yaml that have a function of their own; all else is image_api's.
OWN_FUNCTIONS = {
    ("POST", "/images/upload-url"): "upload_presigned_url",
    ("POST", "/images/complete"): "complete_upload",
    ("GET", "/images"): "list_images",
    ("GET", "/images/{image_id}/download-url"): "get_image_presigned_url",
    ("DELETE", "/images/{image_id}"): "delete_image",
}
_RESOURCES = {resource for _, resource in OWN_FUNCTIONS}
_STAGE = "dev"


@dataclass(frozen=True)
class LambdaContext:
    """What Lambda tells a function of its invocation."""

    function_name: str
    aws_request_id: str
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:mont"
    function_version: str = "$LATEST"


def match(path: str) -> tuple[str, dict[str, str] | None]:
    """The resource that API Gateway picks for a path, and its path parameters."""
    if path in _RESOURCES:
        return path, None
    parts = path.split("/")
    for resource in ("/images/{image_id}", "/images/{image_id}/download-url"):
        shape = resource.split("/")
        if len(shape) == len(parts) and all(
            want == "{image_id}" or want == part for want, part in zip(shape, parts, strict=True)
        ):
            return resource, {"image_id": parts[2]}
    return ("/", None) if path == "/" else ("/{proxy+}", {"proxy": path.removeprefix("/")})


def proxy_event(
    method: str, target: str, headers: Mapping[str, str], body: bytes
) -> tuple[str, dict[str, Any]]:
    """The function that a request goes to and the event that it gets.

    As of a REST API without binary media types: members that would be empty are null, the query
    is decoded, the path and its parameters are not.
    """
    path, _, query = target.partition("?")
    resource, parameters = match(path)
    several: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        several.setdefault(name, []).append(value)
    sent = {"Host": "api.example", "X-Forwarded-For": "127.0.0.1", **headers}
    event = {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": dict(sent),
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": {name: values[-1] for name, values in several.items()} or None,
        "multiValueQueryStringParameters": several or None,
        "pathParameters": parameters,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "path": f"/{_STAGE}{path}",
            "stage": _STAGE,
            "requestId": str(uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "identity": {"sourceIp": "127.0.0.1", "userAgent": sent.get("User-Agent")},
            "apiId": "abcdef1234",
        },
        # Whatever is no UTF-8 does not get through a text integration unharmed.
        "body": body.decode("utf-8", "replace") if body else None,
        "isBase64Encoded": False,
    }
    return OWN_FUNCTIONS.get((method, resource), "image_api"), event


class Lambda:
    """One container with all functions in it, one event at a time, as Lambda would have it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._container = Container(environment)
        self._entries = {name: entry_of(name, self._container) for name in FUNCTIONS}
        self._thread = ThreadPoolExecutor(1, "lambda")

    async def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        return await asyncio.wrap_future(self._submit(function, event))

    def invoke_now(self, function: str, event: Any) -> dict[str, Any]:
        """The same for who has no loop of their own."""
        return self._submit(function, event).result()

    def _submit(self, function: str, event: Any) -> Future[dict[str, Any]]:
        context = LambdaContext(function, str(uuid4()))
        return self._thread.submit(self._entries[function], event, context)

    def close(self) -> None:
        self._thread.submit(self._container.close).result()
        self._thread.shutdown()


class BridgeApi(Api):
    """The API behind the Lambda door."""

    def __init__(self, browser: aiohttp.ClientSession, functions: Lambda) -> None:
        super().__init__(browser)
        self._functions = functions

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """See Api."""
        result = await self._functions.invoke(*proxy_event(method, target, headers, body))
        return answer_of(result)


def answer_of(result: Mapping[str, Any]) -> Answer:
    """What API Gateway makes of a function's result."""
    received: CIMultiDict[str] = CIMultiDict()
    for name, values in result["multiValueHeaders"].items():
        for value in values:
            received.add(name, value)
    text = result["body"] or ""
    raw = base64.b64decode(text) if result["isBase64Encoded"] else text.encode()
    # The gateway itself says how long the answer is.
    received.setdefault("Content-Length", str(len(raw)))
    return Answer(result["statusCode"], CIMultiDictProxy(received), raw)
