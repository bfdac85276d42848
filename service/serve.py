"""mont serve: the standalone server, from start to a clean end."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from service.banner import banner, base_url
from service.documents import live_endpoint
from service.metrics import METRICS_TYPE, PrometheusMetrics
from service.pages import page_endpoints
from service.pipeline import Answerer
from service.provisioning import provision_stores
from service.settings import Settings, SettingsInvalid
from service.shedding import Gate
from service.storage.clients import open_admin_clients
from service.web import listening, make_server
from service.wiring import open_services, rules_of, throttles
from service.workers import supervised

# Only whoever wants traces has what they take.
if TYPE_CHECKING:
    from service.tracing import Tracing

Backend = Literal["auto", "embedded", "aws"]


# Listening sockets, pipes, logs, the loop's own; connections beyond the limit, to be told so.
_OTHER_DESCRIPTORS = 256
# Objects made and not yet freed; a few megabytes at most.
_GARBAGE_AFTER = 20_000

_log = logging.getLogger(__name__)


class BackendLost(Exception):
    """The embedded backend ended by itself, and the images with it."""

    def __str__(self) -> str:
        return self.__doc__ or ""


async def run(settings: Settings, backend: Backend, workers: int, *, traced: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is under way and stop everything started.

    Raises EmbeddedBackendFailed, BackendLost, WorkersFailed, StoreUnavailable,
    ProvisioningConflict, SettingsInvalid, OSError.
    """
    loop = asyncio.get_running_loop()
    # Ends with nothing when it is time to stop, else with what went wrong.
    ended: asyncio.Future[None] = loop.create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _end, ended)
    embedded = backend == "embedded" or (backend == "auto" and settings.aws_endpoint_url is None)
    async with AsyncExitStack() as stack:
        if embedded:
            settings = await _start_embedded(stack, settings, lambda: _end(ended, BackendLost()))
        host, port = await stack.enter_async_context(
            serving(settings, traced=traced)
            if workers == 1
            else supervised(settings, workers, ended)
        )
        print(
            banner(base_url(host, port), settings, workers=workers, embedded=embedded), flush=True
        )
        try:
            await ended
        finally:
            print("Stopping: requests under way get to finish.", flush=True)


def _end(ended: asyncio.Future[None], error: Exception | None = None) -> None:
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)


@asynccontextmanager
async def serving(
    settings: Settings,
    *,
    workers: int = 1,
    metrics_folder: str | None = None,
    sockets: Sequence[socket.socket] | None = None,
    traced: bool = False,
) -> AsyncIterator[tuple[str, int]]:
    """Serve from this process inside the block; yields the address.

    As one of several `workers` on `sockets`, with metrics in a folder that all of them share.
    `traced` requests are told where the environment says (OTEL_...).
    """
    _raise_limit_of_descriptors(settings)
    gate = Gate(settings.overload_delay_ms / 1000, time.perf_counter)
    async with (
        _tracing(traced) as tracing,
        open_standalone(
            settings,
            workers=workers,
            gate=gate,
            metrics_folder=metrics_folder,
            tracing=tracing,
        ) as pipeline,
        listening(
            make_server(pipeline, gate, max_connections=settings.max_client_connections),
            settings.host,
            settings.port,
            grace=settings.shutdown_grace,
            sockets=sockets,
        ) as address,
    ):
        with collecting_seldom():
            yield address


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Inside the block look for garbage less often, and only in what came after the start.

    Requests leave hardly any that only the collector finds, but one list makes a thousand objects:
    as Python has it, it would be interrupted twice, and all that was imported looked through for
    every few dozen of them.
    """
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@asynccontextmanager
async def _tracing(wanted: bool) -> AsyncIterator[Tracing | None]:
    if not wanted:
        yield None
        return
    try:
        from service.tracing import open_tracing
    except ImportError as error:
        _log.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT says where traces go, but there are none: %s. "
            "Install the extra: pip install 'mont-image-service[otel]'",
            error,
        )
        yield None
        return
    async with AsyncExitStack() as stack:
        try:
            tracing = await stack.enter_async_context(open_tracing())
        except ValueError as error:
            raise SettingsInvalid([f"  OTEL_...: {error}"]) from error
        yield tracing


@asynccontextmanager
async def open_standalone(
    settings: Settings,
    *,
    workers: int = 1,
    gate: Gate | None = None,
    metrics_folder: str | None = None,
    tracing: Tracing | None = None,
) -> AsyncIterator[Answerer]:
    """The services as this door offers them: throttled, with the page and Prometheus metrics.

    Each of several `workers` takes on its part of the requests. `gate` hears of every answer.
    """
    metrics = PrometheusMetrics(
        metrics_folder, under_way=lambda: 0 if gate is None else gate.under_way
    )
    observers = [each for each in (metrics, gate, tracing) if each is not None]
    overall, callers = throttles(settings, time.monotonic, share=1 / workers)
    if gate is not None:
        gate.count_with(metrics.turned_away)
    heard = [each.store_called for each in (metrics, tracing) if each is not None]
    async with (
        metrics.sampled(),
        open_services(
            settings,
            overall=overall,
            callers=callers,
            observers=observers,
            limit_observers=[metrics],
            store_observers=heard,
            webhooks=metrics,
            extra=[
                *page_endpoints(rules_of(settings), settings.auth_mode),
                live_endpoint("/metrics", METRICS_TYPE, metrics.exposition),
            ],
        ) as pipeline,
    ):
        yield pipeline if tracing is None else tracing.around(pipeline)


def _raise_limit_of_descriptors(settings: Settings) -> None:
    """Allow this process as many descriptors as its settings take, as far as it may."""
    wanted = settings.max_client_connections + 2 * settings.max_connections + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if max(allowed, soft) < wanted:
        _log.warning(
            "%d open files are allowed where MAX_CLIENT_CONNECTIONS and MAX_CONNECTIONS need %d",
            *(max(allowed, soft), wanted),
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
    async with open_admin_clients(settings) as clients:
        await provision_stores(clients, settings)
    return settings
