"""What an operator sees of a served instance: metrics, dashboard, alerts, log, traces."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service.commands.common import wants_traces
from service.metrics import PrometheusMetrics
from service.serve import serving
from service.settings import Settings
from service.sweep_metrics import write_metrics
from service.sweeper import Orders, Report
from service.telemetry import JsonFormatter
from service.tracing import open_tracing
from tests.support.api import HttpApi, new_user
from tests.support.gateway import BridgeApi, Lambda
from tests.support.pages import PAGES
from tests.support.real_images import real_image
from tests.support.stores import free_port, random_settings

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "config" / "grafana-dashboard.json"
ALERTS = ROOT / "config" / "alerts.yaml"
SCENES = ROOT / "tests" / "edges" / "alerts.promtool.yaml"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NAMES = re.compile(r"\b(?:mont|process)_[a-z_]+\b")


@asynccontextmanager
async def served(settings: Settings, *, traced: bool = False) -> AsyncIterator[HttpApi]:
    """`mont serve` in this process, on a port of its own."""
    async with (
        serving(replace(settings, host="127.0.0.1", port=0), traced=traced) as (host, port),
        aiohttp.ClientSession() as browser,
    ):
        yield HttpApi(browser, f"http://{host}:{port}")


# Metrics, and what is made of them


async def exposition(settings: Settings) -> str:
    async with served(settings) as api:
        await api.upload(new_user())
        return (await api.request("GET", "/metrics")).body.decode()


def swept(folder: Path) -> str:
    """What `mont sweep --metrics-file` writes."""
    report = Report(Orders(), None, "", finished_at="2026-02-13T10:30:00.000000Z")
    write_metrics(folder / "mont.prom", report)
    return (folder / "mont.prom").read_text("utf-8")


def families(text: str) -> dict[str, str]:
    """The type of each metric of an exposition."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


def series(text: str) -> set[str]:
    """Every name that a query may ask for."""
    names: set[str] = set()
    for name, kind in families(text).items():
        parts = ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)
        names |= {name + part for part in parts}
    return names


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard that show something."""
    document = json.loads(DASHBOARD.read_text("utf-8"))
    return [each for each in document["panels"] if each["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    (group,) = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return list(group["rules"])


def expressions() -> Iterator[str]:
    """All queries of dashboard and alerts."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]
    for rule in rules():
        yield rule["expr"]


async def test_what_dashboard_and_alerts_ask_for_is_told(stores: Settings, tmp_path: Path) -> None:
    told = series(await exposition(stores) + swept(tmp_path))
    asked = {name for expression in expressions() for name in NAMES.findall(expression)}
    assert asked - told == set()
    assert len(asked) > 12


async def test_every_metric_is_documented_and_on_the_dashboard(
    stores: Settings, tmp_path: Path
) -> None:
    everything = families(await exposition(stores) + swept(tmp_path))
    told = {name for name in everything if name.startswith("mont_")}
    section = PAGES["docs/operations.md"].section("## Metrics")
    assert set(re.findall(r"^\| `(mont_[a-z_]+)", section, re.MULTILINE)) == told
    shown = " ".join(expressions())
    assert {name for name in told if name not in shown} == set()


async def test_a_store_that_is_not_there_is_named_with_what_is_wrong() -> None:
    dead = random_settings(f"http://127.0.0.1:{free_port()}")
    async with served(replace(dead, request_time_limit=1)) as api:
        assert (await api.request("GET", "/images")).status == 503
        text = (await api.request("GET", "/metrics")).body.decode()
    failed = r'^mont_store_errors_total\{code="(\w+)",operation="Query",store="DynamoDB"\} [1-9]'
    codes = set(re.findall(failed, text, re.MULTILINE))
    assert codes == {"EndpointConnectionError"}


@asynccontextmanager
async def silent_store() -> AsyncIterator[str]:
    """Takes connections and never answers, like a store that is stopped."""
    ended = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ended.set()


@pytest.mark.parametrize(
    ("path", "stores", "operations"),
    [
        ("/images", "DynamoDB", "Query"),
        ("/readyz", "DynamoDB and S3", "DescribeTable and HeadBucket"),
    ],
)
async def test_a_store_that_hangs_is_named_by_log_and_metrics(
    path: str, stores: str, operations: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with silent_store() as url:
        settings = replace(random_settings(url), request_time_limit=0.2)
        async with served(settings) as api:
            assert (await api.request("GET", path)).status == 503
            text = (await api.request("GET", "/metrics")).body.decode()
    told = [each.getMessage() for each in caplog.records]
    assert f"{stores} unavailable: the request ran out of time waiting for {operations}" in told
    failed = r'^mont_store_errors_total\{code="(\w+)".*\} [1-9]'
    assert set(re.findall(failed, text, re.MULTILINE)) == {"Timeout"}


async def test_events_that_nobody_delivers_are_told_of(
    stores: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.events.waiting._EVERY_SECONDS", 0.01)
    async with served(replace(stores, events="webhook")) as api:
        await api.upload(new_user())
        async with asyncio.timeout(30):
            while True:
                text = (await api.request("GET", "/metrics")).body.decode()
                if not re.search("^mont_events_waiting 0.0$", text, re.MULTILINE):
                    break
    (waiting,) = re.findall(r"^mont_events_waiting (\S+)$", text, re.MULTILINE)
    (overdue,) = re.findall(r"^mont_events_overdue_seconds (\S+)$", text, re.MULTILINE)
    assert float(waiting) == 1
    assert 0 < float(overdue) < 3600
    assert any("WEBHOOK_URL is not set" in each.getMessage() for each in caplog.records)


async def test_an_outbox_that_cannot_be_read_is_said_once_and_stops_nothing(
    stores: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lost = replace(stores, events="webhook", events_table_name="no-such-table")
    async with served(lost) as api:
        async with asyncio.timeout(30):
            while "how many events wait is not known" not in caplog.text:
                assert (await api.request("GET", "/images")).status == 200
    assert caplog.text.count("how many events wait is not known") == 1


async def test_lambda_tells_the_same_of_a_whole_upload(
    functions: Lambda, capsys: pytest.CaptureFixture[str]
) -> None:
    async with aiohttp.ClientSession() as browser:
        await BridgeApi(browser, functions).upload(new_user())
    lines = [json.loads(each) for each in capsys.readouterr().out.splitlines() if "_aws" in each]
    calls = {each["store"]: each for each in lines if "mont_store_call_duration_seconds" in each}
    assert set(calls) == {"S3", "DynamoDB"}
    assert len(calls["S3"]["mont_store_call_duration_seconds"]) >= 2
    (upload,) = [each for each in lines if "mont_uploads_total" in each]
    assert upload["outcome"] == "completed"
    counted = [each["route"] for each in lines if "mont_requests_total" in each]
    assert counted == ["upload_url", "complete"]


def test_labels_that_queries_choose_by_are_those_of_the_metrics() -> None:
    metrics = PrometheusMetrics()
    labels: dict[str, set[str]] = {
        "mont_requests_total": {"route", "method", "status"},
        "mont_request_duration_seconds": {"route", "le"},
        "mont_store_call_duration_seconds": {"store", "operation", "le"},
        "mont_store_errors_total": {"store", "operation", "code"},
        "mont_store_retries_total": {"store", "operation"},
        "mont_uploads_total": {"outcome"},
        "mont_limited_total": {"policy"},
        "mont_shed_total": {"reason"},
        "mont_webhooks_total": {"outcome"},
    }
    assert set(labels) <= set(families(metrics.exposition().decode()))
    seen = 0
    for expression in expressions():
        for name, chosen in re.findall(r"\b(mont_[a-z_]+)\{([^}]*)\}", expression):
            known = labels.get(re.sub(r"_(bucket|count|sum)$", "", name), set())
            used = set(re.findall(r"(\w+)(?:=|!)", chosen)) - {"job", "instance"}
            assert used <= known, expression
            seen += bool(used)
    assert seen > 10


def test_the_dashboard_can_be_imported() -> None:
    document = json.loads(DASHBOARD.read_text("utf-8"))
    assert {"title", "uid", "schemaVersion", "templating", "panels"} <= set(document)
    variables = {each["name"]: each for each in document["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text("utf-8")))
    assert used - {"__rate_interval", "__all"} == set(variables)
    assert len({each["id"] for each in document["panels"]}) == len(document["panels"])
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        place = panel["gridPos"]
        assert 0 <= place["x"] <= 24 - place["w"]
        assert panel["fieldConfig"]["defaults"]["unit"]
    spots = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in document["panels"]]
    assert len(set(spots)) == len(spots)


def test_each_alert_says_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"Mont[A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in {"page", "warn"}
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        for text in rule["annotations"].values():
            assert text.count("{{") == text.count("}}")
        # A label that the expression sums away would be empty in its text.
        named = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        kept = re.findall(r"by \(([^)]*)\)", rule["expr"])
        assert not kept or named <= {each for by in kept for each in by.split(", ")}
        for opening, closing in ("()", "{}", "[]"):
            assert rule["expr"].count(opening) == rule["expr"].count(closing)


def test_each_alert_has_something_that_it_fires_on() -> None:
    fired = set(re.findall(r'alertname="(\w+)"', SCENES.read_text("utf-8")))
    assert fired == {rule["alert"] for rule in rules()}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_alerts_fire_when_they_should_and_not_in_calm() -> None:
    done = subprocess.run(
        ["promtool", "test", "rules", SCENES], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_and_settings_that_runbooks_name_are_there() -> None:
    titles = {panel["title"] for panel in panels()}
    settings = {each.metadata["name"] for each in Settings.__dataclass_fields__.values()}
    quoted: set[str] = set()
    for rule in rules():
        text = rule["annotations"]["runbook"]
        quoted |= set(re.findall(r'\("([^"]+)"\)', text))
        shouted = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", text))
        assert shouted <= settings, rule["alert"]
    assert quoted
    assert {each for each in quoted if each not in titles} == set()


# The log


async def test_the_log_tells_what_each_store_took(
    stores: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="service.access")
    async with served(stores) as api:
        await api.upload(new_user())
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    (complete,) = [line for line in lines if line.get("route") == "complete"]
    assert set(complete["stores"]) == {"S3", "DynamoDB"}
    assert all(each["calls"] >= 2 and each["ms"] > 0 for each in complete["stores"].values())
    (declared,) = [line for line in lines if line.get("route") == "upload_url"]
    assert "stores" not in declared


# Traces


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}
        self.url = ""

    async def receive(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        for resource in sent.resource_spans:
            for attribute in resource.resource.attributes:
                self.resource[attribute.key] = attribute.value.string_value
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response()

    def named(self, name: str) -> Span:
        (span,) = [each for each in self.spans if each.name == name]
        return span


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    """A collector that the environment names."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector
    finally:
        await runner.cleanup()


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def test_a_request_and_its_calls_of_stores_are_one_trace_at_the_collector(
    stores: Settings, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="service.access")
    file = real_image()
    async with served(stores, traced=True) as api:
        image_id = await api.upload(new_user(), file)
        headers = {"traceparent": PARENT, "X-Request-Id": "r1"}
        await api.request("GET", f"/images/{image_id}", headers=headers)
        await api.request("GET", "/livez")
    complete = collector.named("POST /images/complete")
    calls = [each for each in collector.spans if each.parent_span_id == complete.span_id]
    assert {each.name for each in calls} >= {"S3 GetObject", "S3 CopyObject", "DynamoDB PutItem"}
    for each in calls:
        assert (each.trace_id, each.kind) == (complete.trace_id, Span.SPAN_KIND_CLIENT)
        assert each.start_time_unix_nano >= complete.start_time_unix_nano
        assert each.end_time_unix_nano <= complete.end_time_unix_nano
    shown = collector.named("GET /images/{image_id}")
    assert shown.kind == Span.SPAN_KIND_SERVER
    assert (shown.trace_id.hex(), shown.parent_span_id.hex()) == tuple(PARENT.split("-")[1:3])
    assert attributes(shown) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/images/{image_id}",
        "mont.request_id": "r1",
        "url.path": f"/images/{image_id}",
    }
    assert collector.resource["service.name"] == "mont"
    assert not [each for each in collector.spans if "livez" in each.name]


async def test_a_collector_that_is_not_there_costs_no_request_and_no_end(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    monkeypatch.setattr("service.tracing._FLUSH_SECONDS", 0.01)
    async with asyncio.timeout(20), served(stores, traced=True) as api:
        assert (await api.request("GET", "/images")).status == 200


async def test_who_wants_traces_without_the_extra_is_told_and_served(
    stores: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "service.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    async with served(stores, traced=True) as api:
        assert (await api.request("GET", "/livez")).status == 200
    (told,) = [each.getMessage() for each in caplog.records if "OTEL_" in each.getMessage()]
    assert "mont-image-service[otel]" in told


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
                "OTEL_TRACES_EXPORTER": "none",
            },
            False,
        ),
    ],
)
def test_the_environment_says_whether_there_are_traces(
    environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_traces() is wanted


async def test_the_service_goes_by_the_name_that_it_is_given(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "photos")
    async with open_tracing() as tracing:
        tracing.tracer.start_span("x").end()
    assert collector.resource["service.name"] == "photos"
