"""The service as `mont serve` runs it, inside this process, for profilers and counters."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, redirect_stderr
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from service.exchange import ApiRequest
from service.limits import Limits
from service.metrics import PrometheusMetrics
from service.pipeline import Pipeline
from service.ratelimit import TokenBucket
from service.serve import collecting_seldom, open_standalone
from service.settings import Settings
from service.telemetry import configure_logging
from service.web import listening, make_server
from service.wiring import build_pipeline
from tests.load.calls import Call
from tests.load.canned_ports import CannedObjects, CannedRecords

_KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_SENT_ALONG = {"host": "127.0.0.1", "user-agent": "profile", "accept": "*/*"}


def settings_on(store: str, **changes: Any) -> Settings:
    """The settings as shipped on this store, but for the rate: it is counted, but let through."""
    rates = {"throttle_rate_limit": 1_000_000, "throttle_burst_limit": 1_000_000}
    return Settings(aws_endpoint_url=store, **rates, **changes)


@contextmanager
def logging_to_nowhere() -> Iterator[None]:
    """Every log line is made and written, where nobody reads it."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        configure_logging("INFO")
        yield


@contextmanager
def keys_of_no_account() -> Iterator[None]:
    """An environment with keys of no account, and without other ways to any."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "S3_", "DYNAMODB_"))]:
        del os.environ[name]
    os.environ |= _KEYS
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


@asynccontextmanager
async def running_pipeline(store: str, **changes: Any) -> AsyncIterator[Pipeline]:
    """The service on this store, without a door; `changes` of settings."""
    with keys_of_no_account():
        async with open_standalone(settings_on(store, **changes)) as pipeline:
            with collecting_seldom():
                yield pipeline


def pipeline_on_ports() -> Pipeline:
    """The service on ports that cost nothing: what is left is its own."""
    return build_pipeline(
        Settings(),
        CannedObjects(),
        CannedRecords(),
        limits=Limits(TokenBucket(1_000_000, 1_000_000, time.monotonic)),
        observers=[PrometheusMetrics()],
    )


@asynccontextmanager
async def running_door(store: str) -> AsyncIterator[int]:
    """The service on this store behind its aiohttp door; gives its port."""
    async with AsyncExitStack() as stack:
        pipeline = await stack.enter_async_context(running_pipeline(store))
        server = make_server(pipeline)
        _, port = await stack.enter_async_context(listening(server, "127.0.0.1", 0, grace=1))
        yield port


def request_of(call: Call) -> ApiRequest:
    """The call as a door hands it on."""
    parts = urlsplit(call.target)
    sent = {key.lower(): value for key, value in call.headers.items()}
    if call.body:
        sent["content-length"] = str(len(call.body))
    return ApiRequest(
        call.method, parts.path, tuple(parse_qsl(parts.query)), _SENT_ALONG | sent, call.body
    )


async def run_calls(pipeline: Pipeline, call: Call, count: int) -> None:
    """So many calls, one after another; every one has to succeed."""
    for _ in range(count):
        # As behind a door: what is put off until the loop's turn is over belongs to the call.
        await asyncio.sleep(0)
        answer = await pipeline.run(request_of(call))
        if answer.status != 200:
            raise AssertionError(f"{call.name}: {answer.status} {answer.body!r}")
