"""A trace tells of a request what its log line does, and of each call of a store beside it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service.endpoints import Call, Endpoint, Reply
from service.errors import MalformedMessage, Overloaded
from service.exchange import ApiRequest, ApiResponse
from service.telemetry import trace_id
from service.tracing import Tracing, tracing_to
from tests.support.makers import an_api, an_endpoint, an_id, failing

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = SAMPLED[:-2] + "00"


class Traced:
    """The service on stores in memory, and the spans that it makes."""

    def __init__(self, tracing: Tracing, exporter: InMemorySpanExporter) -> None:
        self.tracing = tracing
        self.exporter = exporter

    async def ask(
        self, method: str, path: str, *extra: Endpoint, waited: float = 0.0, **headers: str
    ) -> ApiResponse:
        pipeline = an_api(None, *extra, observers=[self.tracing]).pipeline
        around = self.tracing.around(pipeline)
        return await around.run(ApiRequest(method, path, headers=headers), waited=waited)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The spans by their names, each of which is there once."""
        finished = self.exporter.get_finished_spans()
        named = {each.name: each for each in finished}
        assert len(named) == len(finished)
        return named


@pytest.fixture
async def traced() -> AsyncIterator[Traced]:
    exporter = InMemorySpanExporter()
    async with tracing_to(SimpleSpanProcessor(exporter)) as tracing:
        yield Traced(tracing, exporter)


def length(span: ReadableSpan) -> float:
    """In seconds."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


async def test_a_request_is_a_span_by_its_route_and_never_by_its_path(traced: Traced) -> None:
    await traced.ask("GET", f"/images/{an_id(1)}")
    await traced.ask("DELETE", "/openapi.json")
    await traced.ask("GET", "/openapi.json")
    await traced.ask("BREW", "/pot/7")
    spans = traced.spans
    assert set(spans) == {"GET /images/{image_id}", "DELETE", "GET /openapi.json", "_OTHER"}
    assert {name: dict(span.attributes or {})["http.response.status_code"]
            for name, span in spans.items()} == {
        "GET /images/{image_id}": 404, "DELETE": 405, "GET /openapi.json": 200, "_OTHER": 404,
    }  # fmt: skip
    assert {span.kind for span in spans.values()} == {SpanKind.SERVER}
    assert {span.status.status_code for span in spans.values()} == {StatusCode.UNSET}


async def test_a_failure_is_an_error(traced: Traced) -> None:
    answer = await traced.ask("GET", "/probe", failing(KeyError("secret")))
    (span,) = traced.spans.values()
    assert answer.status == 500
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "500"
    assert "secret" not in span.to_json()


async def test_the_callers_trace_goes_on(traced: Traced) -> None:
    seen: list[str | None] = []

    async def look(call: Call[Any, Any]) -> Reply:
        seen.append(trace_id.get())
        return Reply({})

    await traced.ask("GET", "/probe", an_endpoint(look), traceparent=SAMPLED)
    (span,) = traced.spans.values()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert seen == [f"{span.context.trace_id:032x}"] == ["0af7651916cd43dd8448eb211c80319c"]
    assert trace_id.get() is None


@pytest.mark.parametrize(
    "broken", ["", "1", "00-0-0-01", SAMPLED.replace("0af7", "zzzz"), "ff" + SAMPLED[2:], "é"]
)
async def test_a_broken_traceparent_begins_a_new_trace(traced: Traced, broken: str) -> None:
    assert (await traced.ask("GET", "/openapi.json", traceparent=broken)).status == 200
    (span,) = traced.spans.values()
    assert span.parent is None


async def test_what_the_caller_does_not_keep_is_not_kept_here(traced: Traced) -> None:
    async def work(call: Call[Any, Any]) -> Reply:
        traced.tracing.store_called("S3", "GetObject", 0.1, 1, None)
        return Reply({})

    await traced.ask("GET", "/probe", an_endpoint(work), traceparent=NOT_SAMPLED)
    assert traced.spans == {}


async def test_probes_are_not_traced(traced: Traced) -> None:
    for path in ("/livez", "/readyz"):
        assert (await traced.ask("GET", path)).status == 200
    assert traced.spans == {}


async def test_calls_of_stores_belong_to_the_request_that_makes_them(traced: Traced) -> None:
    together = asyncio.Barrier(2)

    async def work(call: Call[Any, Any]) -> Reply:
        await together.wait()
        name = call.request_id
        async with asyncio.TaskGroup() as group:
            group.create_task(called(name))
        return Reply({})

    async def called(name: str) -> None:
        traced.tracing.store_called("S3", name, 0.25, 1, None)

    first, second = SAMPLED, SAMPLED.replace("0af7", "1bf7")
    await asyncio.gather(
        traced.ask("GET", "/one", an_endpoint(work, path="/one"),
                   **{"x-request-id": "a", "traceparent": first}),
        traced.ask("GET", "/two", an_endpoint(work, path="/two"),
                   **{"x-request-id": "b", "traceparent": second}),
    )  # fmt: skip
    spans = traced.spans
    for call, request in (("S3 a", "GET /one"), ("S3 b", "GET /two")):
        assert spans[call].context.trace_id == spans[request].context.trace_id
        parent = spans[call].parent
        assert parent is not None
        assert parent.span_id == spans[request].context.span_id
        assert length(spans[call]) == pytest.approx(0.25)


async def test_a_call_that_failed_is_an_error_and_one_that_found_nothing_is_none(
    traced: Traced,
) -> None:
    async def work(call: Call[Any, Any]) -> Reply:
        traced.tracing.store_called("S3", "GetObject", 0.1, 1, "NoSuchKey")
        traced.tracing.store_called("DynamoDB", "PutItem", 0.1, 3, "ThrottlingException")
        return Reply({})

    await traced.ask("GET", "/probe", an_endpoint(work))
    absent, failed = traced.spans["S3 GetObject"], traced.spans["DynamoDB PutItem"]
    assert absent.kind is failed.kind is SpanKind.CLIENT
    assert absent.status.status_code is StatusCode.UNSET
    assert (absent.attributes or {})["aws.error_code"] == "NoSuchKey"
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})["error.type"] == "ThrottlingException"
    assert (failed.attributes or {})["http.request.resend_count"] == 2


def test_calls_of_no_request_are_no_traces(traced: Traced) -> None:
    traced.tracing.store_called("DynamoDB", "Query", 0.1, 1, None)
    assert traced.spans == {}


async def test_what_the_door_took_to_read_a_request_is_part_of_it(traced: Traced) -> None:
    await traced.ask("GET", "/openapi.json", waited=2.0)
    (span,) = traced.spans.values()
    assert length(span) >= 2.0


async def test_a_path_that_is_no_text_harms_no_other_span(traced: Traced) -> None:
    await traced.ask("GET", "/a\udce9")
    (span,) = traced.spans.values()
    assert (span.attributes or {})["url.path"] == "/a?"


async def test_what_is_no_request_is_answered_as_without_traces(traced: Traced) -> None:
    around = traced.tracing.around(an_api(observers=[traced.tracing]).pipeline)
    assert around.refuse(MalformedMessage()).status == 400
    assert around.turned_away(ApiRequest("GET", "/"), Overloaded(), "r1").status == 503
    assert traced.spans == {}


class Stuck(SpanExporter):
    """A collector that takes its time."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.over.wait(60)


async def test_the_end_waits_for_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.tracing._FLUSH_SECONDS", 0.01)
    stuck = Stuck()
    async with asyncio.timeout(30), tracing_to(SimpleSpanProcessor(stuck)):
        pass
    assert not stuck.over.is_set()
    stuck.over.set()


def test_who_wants_no_traces_loads_nothing_for_them() -> None:
    code = (
        "import sys, service.serve, service.commands.serve, service.workers.worker;"
        "print(sum(name.startswith('opentelemetry') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0"]
