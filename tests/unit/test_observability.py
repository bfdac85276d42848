"""What operators are told of requests, uploads and stores: by the log, by both doors' metrics."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lambda_bridge.observation import EmfObserver
from lambda_bridge.observation import metrics as whole_event
from service import errors, problems
from service.auth.callers import Caller
from service.endpoints import Call, Reply
from service.metrics import PrometheusMetrics
from service.outcomes import COMPLETE, OUTCOMES, FewCodes, fault_of, upload_outcome
from service.processes import WorkerProcesses
from service.telemetry import Answered, JsonFormatter, trace_id
from service.trail import Trail, current, note_call
from tests.support.makers import Api, World, an_api, an_endpoint, an_error, an_id, failing
from tests.support.pages import PAGES
from tests.support.real_images import real_image

KEY = "mont_1234567890_secret"


def samples(metrics: PrometheusMetrics, name: str) -> dict[tuple[str, ...], float]:
    """The values of a metric that are not 0, by their labels' values in the labels' order."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
        if sample.name == name and sample.value
    }


def facts_of(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """What the one access log line says."""
    (record,) = [each for each in caplog.records if each.name == "service.access"]
    caplog.clear()
    return json.loads(JsonFormatter().format(record))


# The access log


class Known:
    """Knows one caller, whatever it shows."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        return self.caller

    async def check(self) -> None: ...


async def fine(call: Call[Any, Any]) -> Reply:
    return Reply({})


@pytest.mark.parametrize(
    ("caller", "told"),
    [
        (Caller("ann", any_user=False, verified=True, key_id="k1"), ("ann", "k1")),
        (Caller(None, any_user=True, verified=True, key_id="k2"), (None, "k2")),
        (Caller("ann", any_user=False, verified=True), ("ann", None)),
        (Caller(None, any_user=True, verified=False), (None, None)),
    ],
)
async def test_the_log_names_the_caller_and_never_its_key(
    caller: Caller, told: tuple[str | None, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api = an_api(None, an_endpoint(fine), identity=Known(caller))
    await api("GET", "/probe", headers={"x-api-key": KEY})
    facts = facts_of(caplog)
    assert (facts.get("user_id"), facts.get("key_id")) == told
    assert KEY not in str(facts)


async def test_the_log_says_what_was_wrong(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for error, slug in [
        (an_error(errors.StoreUnavailable), "store-unavailable"),
        (TimeoutError(), "store-unavailable"),
        (KeyError("x"), problems.UNEXPECTED.slug),
    ]:
        await an_api(None, failing(error))("GET", "/probe")
        assert facts_of(caplog)["problem"] == slug
    await an_api()("GET", "/nothing")
    assert facts_of(caplog)["problem"] == "no-such-path"
    await an_api()("GET", "/livez")
    assert "problem" not in facts_of(caplog)


async def test_the_log_tells_what_each_store_took_of_this_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def ask(seconds: float) -> None:
        await asyncio.sleep(0)
        note_call("DynamoDB", "GetItem", seconds, 1, None)

    async def work(call: Call[Any, Any]) -> Reply:
        note_call("S3", "GetObject", 0.25, 2, "NoSuchKey")
        async with asyncio.TaskGroup() as group:
            for seconds in (0.5, 0.125):
                group.create_task(ask(seconds))
        return Reply({})

    api = an_api(None, an_endpoint(work))
    await asyncio.gather(api("GET", "/probe"), api("GET", "/probe"))
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    took = {"S3": {"calls": 1, "ms": 250.0}, "DynamoDB": {"calls": 2, "ms": 625.0}}
    assert [line["stores"] for line in lines if line["message"] == "request"] == [took, took]
    assert current.get() is None
    note_call("S3", "GetObject", 0.25, 1, None)  # of no request, such as an event's delivery


async def test_the_line_in_the_documentation_is_one_that_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    example = json.loads(PAGES["docs/operations.md"].example('"message": "request"', "json"))

    async def work(call: Call[Any, Any]) -> Reply:
        note_call("S3", "GetObject", 0.25, 1, None)
        note_call("DynamoDB", "GetItem", 0.25, 1, None)
        raise errors.UploadRejected("wrong_size")

    caller = Caller("ann", any_user=False, verified=True, key_id="k1")
    await an_api(None, an_endpoint(work), identity=Known(caller))("GET", "/probe")
    facts = facts_of(caplog)
    assert set(facts) | {"request_id"} == set(example)
    assert facts["stores"].keys() == example["stores"].keys()
    assert (facts["problem"], facts["status"]) == (example["problem"], example["status"])


def test_a_line_of_a_traced_request_names_its_trace() -> None:
    record = logging.makeLogRecord({"msg": "x"})
    assert "trace_id" not in json.loads(JsonFormatter().format(record))
    token = trace_id.set("0af7651916cd43dd8448eb211c80319c")
    assert json.loads(JsonFormatter().format(record))["trace_id"].startswith("0af7")
    trace_id.reset(token)


# Uploads


class Uploads:
    """The service on stores in memory, and what it counts."""

    def __init__(self, **settings: Any) -> None:
        self.metrics = PrometheusMetrics()
        self.world = World()
        self.api: Api = an_api(self.world, observers=[self.metrics], **settings)

    async def complete(self, **said: Any) -> int:
        return (await self.api("POST", "/images/complete", said)).status

    @property
    def counted(self) -> dict[tuple[str, ...], float]:
        return samples(self.metrics, "mont_uploads_total")


@pytest.mark.parametrize(
    ("outcome", "said", "settings"),
    [
        ("completed", {}, {}),
        ("wrong_size", {"file_size": 5}, {}),
        ("wrong_type", {"content_type": "image/bmp"}, {}),
        ("too_many_pixels", {}, {"max_image_pixels": 1}),
        ("nothing_uploaded", {"image_id": an_id(9)}, {}),
    ],
)
async def test_uploads_are_counted_by_what_became_of_them(
    outcome: str, said: dict[str, Any], settings: dict[str, Any]
) -> None:
    uploads = Uploads(**settings)
    request = await uploads.world.uploaded()
    await uploads.complete(**{"image_id": request.image_id, "user_id": request.user_id, **said})
    assert uploads.counted == {(outcome,): 1}


async def test_bytes_that_are_no_image_and_ids_of_others_are_told_apart() -> None:
    uploads = Uploads()
    file = real_image()
    request, form = await uploads.world.declared(file)
    uploads.world.objects.put(form, b"x" * file.size)
    assert await uploads.complete(image_id=request.image_id, user_id=request.user_id) == 422
    good = await uploads.world.uploaded()
    assert await uploads.complete(image_id=good.image_id, user_id=good.user_id) == 200
    assert await uploads.complete(image_id=good.image_id, user_id="somebody-else") == 409
    assert uploads.counted == {("not_an_image",): 1, ("completed",): 1, ("id_taken",): 1}


async def test_what_never_got_to_look_at_an_upload_is_not_counted_as_one() -> None:
    uploads = Uploads()
    assert await uploads.complete(image_id="?") == 400
    assert (await uploads.api("OPTIONS", "/images/complete")).status == 204
    assert (await uploads.api("GET", "/images")).status == 200
    assert uploads.counted == {}


@pytest.mark.parametrize("kind", problems.KINDS, ids=lambda kind: kind.__name__)
def test_there_are_few_outcomes(kind: type[errors.MontError]) -> None:
    trail = Trail()
    trail.error = an_error(kind)
    status = problems.KINDS[kind].status
    assert upload_outcome(Answered(COMPLETE, "POST", "/", status, 0.1, trail)) in {None, *OUTCOMES}
    assert upload_outcome(Answered("list_images", "GET", "/", status, 0.1, trail)) is None


# Stores


def test_calls_of_stores_are_timed_and_their_failures_counted() -> None:
    metrics = PrometheusMetrics()
    metrics.store_called("S3", "GetObject", 0.02, 1, None)
    metrics.store_called("S3", "GetObject", 0.3, 3, "SlowDown")
    metrics.store_called("DynamoDB", "PutItem", 0.004, 1, "ConditionalCheckFailedException")
    count = "mont_store_call_duration_seconds_count"
    assert samples(metrics, count) == {("GetObject", "S3"): 2, ("PutItem", "DynamoDB"): 1}
    assert samples(metrics, "mont_store_errors_total") == {("SlowDown", "GetObject", "S3"): 1}
    assert samples(metrics, "mont_store_retries_total") == {("GetObject", "S3"): 2}


@pytest.mark.parametrize("code", [None, "NoSuchKey", "ConditionalCheckFailedException", "412"])
def test_an_answer_that_the_service_asked_for_is_no_fault(code: str | None) -> None:
    assert fault_of(code) is None
    assert fault_of("InternalServerError") == "InternalServerError"


def test_codes_stay_few_whatever_a_proxy_makes_up() -> None:
    codes = FewCodes()
    assert codes.of("SlowDown") == "SlowDown"
    for bad in ("", "a b", 'x"} 1\n', "A" * 65):
        assert codes.of(bad) == "other"
    seen = {codes.of(f"Code{number}") for number in range(1000)}
    assert "other" in seen
    assert len(seen) < 100
    assert codes.of("SlowDown") == "SlowDown"


# Several workers


async def test_what_is_so_right_now_is_told_by_the_worker_itself() -> None:
    under_way = 3
    metrics = PrometheusMetrics(under_way=lambda: under_way)
    assert samples(metrics, "mont_requests_in_flight") == {(): 3}
    async with metrics.sampled():
        under_way = 0
    assert samples(metrics, "mont_requests_in_flight") == {}
    assert samples(metrics, "process_resident_memory_bytes")[()] > 1_000_000


ONE_OF_SEVERAL = """
import asyncio, sys
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from service.metrics import PrometheusMetrics

async def main(folder):
    async with PrometheusMetrics(folder, under_way=lambda: 3).sampled():
        await asyncio.sleep(0)
        together = CollectorRegistry()
        MultiProcessCollector(together, folder)
        print(generate_latest(together).decode())

asyncio.run(main(sys.argv[1]))
"""


def test_one_of_several_workers_keeps_it_where_the_others_find_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONE_OF_SEVERAL, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
    )
    assert "mont_requests_in_flight 3.0" in done.stdout.splitlines()


def test_processes_are_those_of_all_workers(tmp_path: Path) -> None:
    for name in ("gauge_livesum_1.db", "gauge_livesum_999999999.db", "counter_7.db"):
        (tmp_path / name).touch()
    told = {
        sample.labels["pid"]
        for metric in WorkerProcesses(str(tmp_path)).collect()
        for sample in metric.samples
        if sample.name == "process_cpu_seconds_total"
    }
    assert told == {"1"}  # which lives; the other one does no more, and 7 was renewed


# Lambda


@pytest.fixture
def observer() -> Iterator[EmfObserver]:
    """One that hears of several events, each on lines of its own."""
    yield EmfObserver()
    whole_event.clear_metrics()


def emitted(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_lambda_tells_uploads_and_stores_by_the_same_names(
    observer: EmfObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    observer.store_called("S3", "GetObject", 0.25, 1, "NoSuchKey")
    observer.store_called("DynamoDB", "PutItem", 0.5, 3, "ThrottlingException")
    observer.store_called("DynamoDB", "GetItem", 0.125, 1, None)
    retries, errors_, *rest = emitted(capsys)
    assert retries["mont_store_retries_total"] == [2.0]
    assert (errors_["mont_store_errors_total"], errors_["code"]) == ([1.0], "ThrottlingException")
    assert rest == []
    for calls in (2, 0):  # nothing of a request is told again with the next
        observer.answered(Answered(COMPLETE, "POST", "/images/complete", 200, 1.0, Trail()))
        upload, *stores = emitted(capsys)
        assert (upload["mont_uploads_total"], upload["outcome"]) == ([1.0], "completed")
        assert len(stores) == calls
        for each, seconds in zip(stores, ([0.25], [0.5, 0.125]), strict=False):
            assert each["mont_store_call_duration_seconds"] == seconds
            assert set(each) > {"store", "service"}


def test_lambda_tells_of_more_calls_than_fit_into_one_line(
    observer: EmfObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(100):
        observer.store_called("S3", "HeadObject", 0.5, 1, None)
    observer.answered(Answered("livez", "GET", "/livez", 200, 1.0))
    told = [each["mont_store_call_duration_seconds"] for each in emitted(capsys)]
    assert sum(map(len, told)) == 100
