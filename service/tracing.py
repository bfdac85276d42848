"""Traces: a server span for each request, and in it a client span for each call of a store.

An incoming `traceparent` (W3C Trace Context) is continued. Imports what the extra `otel` installs,
so only whoever wants traces may import this. Where they go, how many are kept and under which name
are the standard's own variables (OTEL_...), which its SDK reads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service import __version__
from service.endpoints import ENDPOINTS
from service.errors import MontError
from service.exchange import ApiRequest, ApiResponse
from service.outcomes import fault_of
from service.pipeline import UNROUTED, Answerer
from service.telemetry import Answered, trace_id
from service.web.turning_away import PROBES

# What has not been sent by then is lost: the end of the process must not wait for a collector.
_FLUSH_SECONDS = 2.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TEMPLATES = {each.name: each.path for each in ENDPOINTS}

_context = TraceContextTextMapPropagator()


@asynccontextmanager
async def open_tracing() -> AsyncIterator[Tracing]:
    """Traces that are sent by OTLP over HTTP. Raises ValueError where a variable makes no sense."""
    async with tracing_to(BatchSpanProcessor(OTLPSpanExporter())) as tracing:
        yield tracing


@asynccontextmanager
async def tracing_to(processor: SpanProcessor) -> AsyncIterator[Tracing]:
    """Traces that go there; they have gone when the block is left, or it took too long."""
    named = {"service.name": "mont", "service.version": __version__}
    resource = Resource.create({**named, **OTELResourceDetector().detect().attributes})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    try:
        yield Tracing(provider.get_tracer("service", __version__))
    finally:
        await _end(provider)


async def _end(provider: TracerProvider) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # the loop did not wait for it any longer
            loop.call_soon_threadsafe(ended.set)

    # Not a thread of the loop's own: the process waits for those.
    threading.Thread(target=end, daemon=True).start()
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), _FLUSH_SECONDS)


class Tracing:
    """Makes the spans. Observes answers and calls of the stores."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer

    def around(self, pipeline: Answerer) -> Answerer:
        """The same pipeline, with a span around each request."""
        return _Traced(pipeline, self.tracer)

    def answered(self, request: Answered) -> None:
        """See `telemetry.Observer`. Called within the request's span."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        if (route := _template_of(request)) is not None:
            span.update_name(f"{_method(request.method)} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", request.status)
        if request.status >= 500:
            span.set_attribute("error.type", str(request.status))
            span.set_status(StatusCode.ERROR)

    def store_called(
        self, store: str, operation: str, seconds: float, attempts: int, code: str | None
    ) -> None:
        """See `storage.calls.OnCall`."""
        if not trace.get_current_span().is_recording():
            return  # not kept, or of no request: what runs beside them would be a trace each time
        ended = time.time_ns()
        span = self.tracer.start_span(
            f"{store} {operation}",
            kind=SpanKind.CLIENT,
            start_time=ended - int(seconds * 1e9),
            attributes={"rpc.system": "aws-api", "rpc.service": store, "rpc.method": operation},
        )
        if attempts > 1:
            span.set_attribute("http.request.resend_count", attempts - 1)
        if code is not None:
            span.set_attribute("aws.error_code", code)
        if (fault := fault_of(code)) is not None:
            span.set_attribute("error.type", fault)
            span.set_status(StatusCode.ERROR)
        span.end(ended)


class _Traced:
    """A pipeline with a span around each request that is no probe."""

    def __init__(self, inner: Answerer, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    async def run(
        self, request: ApiRequest, refusal: MontError | None = None, *, waited: float = 0.0
    ) -> ApiResponse:
        """See `pipeline.Answerer`."""
        if request.path in PROBES:
            return await self._inner.run(request, refusal, waited=waited)
        method = _method(request.method)
        with self._tracer.start_as_current_span(
            method,
            context=_context.extract(request.headers),
            kind=SpanKind.SERVER,
            start_time=time.time_ns() - int(waited * 1e9),
            attributes={"http.request.method": method, "url.path": _sayable(request.path)},
        ) as span:
            context = span.get_span_context()
            name = trace.format_trace_id(context.trace_id) if context.is_valid else None
            token = trace_id.set(name)
            answer = await self._inner.run(request, refusal, waited=waited)
            trace_id.reset(token)
            span.set_attribute("mont.request_id", answer.headers["X-Request-Id"])
            return answer

    def refuse(self, error: Exception) -> ApiResponse:
        """See `pipeline.Answerer`."""
        return self._inner.refuse(error)

    def turned_away(
        self, request: ApiRequest, error: Exception, this_id: str | None = None
    ) -> ApiResponse:
        """See `pipeline.Answerer`."""
        return self._inner.turned_away(request, error, this_id)


def _sayable(text: str) -> str:
    """Text that UTF-8 can say: with any other, a whole batch of spans could not be sent."""
    return text.encode("utf-8", "replace").decode()


def _method(method: str) -> str:
    return method if method in _METHODS else "_OTHER"


def _template_of(request: Answered) -> str | None:
    """The path as its endpoint is declared; None for one that nobody serves."""
    if request.route == UNROUTED:
        return None
    return _TEMPLATES.get(request.route, request.path)  # the door's own endpoints have fixed paths
