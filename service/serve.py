"""mont serve: the standalone server, from start to a clean end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Literal

from service.documents import live_endpoint
from service.metrics import METRICS_TYPE, PrometheusMetrics
from service.pages import page_endpoints
from service.pipeline import Pipeline
from service.provisioning import provision_stores
from service.ratelimit import TokenBucket
from service.settings import Settings
from service.storage.clients import open_clients
from service.web import listening, make_server
from service.wiring import open_services

Backend = Literal["auto", "embedded", "aws"]


class BackendLost(Exception):
    """The embedded backend ended by itself."""


async def run(settings: Settings, backend: Backend) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is under way and stop everything started.

    Raises EmbeddedBackendFailed, BackendLost, StoreUnavailable, ProvisioningConflict, OSError.
    """
    stop = asyncio.Event()
    lost = asyncio.Event()

    def give_up() -> None:
        lost.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    embedded = backend == "embedded" or (backend == "auto" and settings.aws_endpoint_url is None)
    async with AsyncExitStack() as stack:
        if embedded:
            settings = await _start_embedded(stack, settings, give_up)
        pipeline = await stack.enter_async_context(open_standalone(settings))
        host, port = await stack.enter_async_context(
            listening(
                make_server(pipeline), settings.host, settings.port, grace=settings.shutdown_grace
            )
        )
        print(_banner(_base_url(host, port), settings, embedded), flush=True)
        await stop.wait()
        print("Stopping: requests under way get to finish.", flush=True)
    if lost.is_set():
        raise BackendLost("The embedded backend ended by itself, and the images with it.")


def open_standalone(settings: Settings) -> AbstractAsyncContextManager[Pipeline]:
    """The services as this door offers them: throttled, with the page and Prometheus metrics."""
    metrics = PrometheusMetrics()
    return open_services(
        settings,
        bucket=TokenBucket(
            settings.throttle_rate_limit, settings.throttle_burst_limit, time.monotonic
        ),
        observers=[metrics],
        extra=[*page_endpoints(), live_endpoint("/metrics", METRICS_TYPE, metrics.exposition)],
    )


async def _start_embedded(
    stack: AsyncExitStack, settings: Settings, on_death: Callable[[], None]
) -> Settings:
    """Settings for a backend of our own, started and provisioned."""
    # moto is an extra: a server on AWS neither has nor needs it.
    from service.embedded import embedded_backend

    endpoint = await stack.enter_async_context(
        embedded_backend(settings.embedded_port, on_death=on_death)
    )
    settings = replace(settings, aws_endpoint_url=endpoint, s3_public_endpoint_url=None)
    async with open_clients(settings) as clients:
        await provision_stores(clients, settings)
    return settings


def _base_url(host: str, port: int) -> str:
    if host in {"0.0.0.0", "::"}:  # shown as what a browser on this machine can open
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# Python turns the answer's form fields into curl's own configuration, so that no value needs
# quoting by hand; image_id is the answer's first value.
_UPLOAD = (
    """F=photo.jpg; R=$(curl -sS {url}/images/upload-url -H 'Content-Type: application/json' """
    """-d '{{"user_id":"demo","filename":"'"$F"'","content_type":"image/jpeg","""
    """"file_size":'$(wc -c <"$F")'}}') && echo "$R" | python3 -c 'import json,sys; """
    """r=json.load(sys.stdin); print("url="+json.dumps(r["presigned_url"])); """
    """[print("form-string="+json.dumps(k+"="+v)) for k,v in r["fields"].items()]' """
    """| curl -sSf -K - -F "file=@$F" && curl -sS {url}/images/complete """
    """-H 'Content-Type: application/json' """
    """-d '{{"user_id":"demo","image_id":"'$(echo "$R" | cut -d'"' -f4)'"}}'"""
)


def _banner(url: str, settings: Settings, embedded: bool) -> str:
    endpoint = settings.aws_endpoint_url
    if embedded:
        store = (
            f"embedded, at {endpoint}\n"
            "             IMAGES LIVE IN MEMORY: they are gone when this process stops.\n"
            f"             Other mont commands reach them with AWS_ENDPOINT_URL={endpoint}"
        )
    else:
        store = endpoint or f"AWS, {settings.aws_region}"
    return (
        "\nMont Image Service is ready.\n\n"
        f"  Page       {url}/\n"
        f"  API        {url}/images\n"
        f"  API docs   {url}/docs\n"
        f"  Backend    {store}\n\n"
        f"Upload a photo (photo.jpg here) with curl:\n\n{_UPLOAD.format(url=url)}\n\n"
        "Ctrl-C stops everything.\n"
    )
