"""A log line is one JSON object with its request's id; metrics count by endpoint."""

import asyncio
import logging
import sys
from collections.abc import Iterator

import orjson
import pytest

from service.metrics import METRICS_TYPE, PrometheusMetrics
from service.telemetry import AccessLog, Answered, JsonFormatter, configure_logging, request_id


def line_of(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line = orjson.loads(text)
    assert isinstance(line, dict)
    return line


def a_record(message: str = "hello %s", *arguments: object, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord(
        {"name": "service.x", "levelname": "INFO", "levelno": 20, "msg": message, **extra}
    )
    record.args = arguments
    record.created = 1_770_984_000.5
    return record


def test_a_record_is_one_line_of_json() -> None:
    assert line_of(a_record("hello %s", 'a\n"b"')) == {
        "time": "2026-02-13T12:00:00.500+00:00",
        "level": "INFO",
        "logger": "service.x",
        "message": 'hello a\n"b"',
    }


async def test_a_line_carries_the_id_of_the_request_that_it_belongs_to() -> None:
    async def handle(this_id: str) -> object:
        request_id.set(this_id)
        await asyncio.sleep(0)
        return line_of(a_record("x"))["request_id"]

    assert await asyncio.gather(handle("one"), handle("two")) == ["one", "two"]
    assert "request_id" not in line_of(a_record("x"))


def test_an_exception_is_on_the_same_line() -> None:
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        line = line_of(a_record("x", exc_info=sys.exc_info()))
    assert "RuntimeError: broken" in str(line["exception"])


def test_facts_of_any_type_are_told() -> None:
    assert line_of(a_record("x", facts={"when": object(), "n": 5}))["n"] == 5


def test_the_access_log_tells_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    done = Answered("livez", "GET", "/livez", 200, 0.0123456)
    caplog.set_level(logging.WARNING)
    AccessLog().answered(done)
    assert not caplog.records
    caplog.set_level(logging.INFO)
    AccessLog().answered(done)
    line = line_of(caplog.records[0])
    assert (line["message"], line["route"], line["status"]) == ("request", "livez", 200)
    assert (line["path"], line["duration_ms"]) == ("/livez", 12.346)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    names = (None, "botocore", "aiobotocore")
    levels = [logging.getLogger(name).level for name in names]
    handlers = logging.getLogger().handlers[:]
    logging.getLogger().handlers.clear()
    yield
    for name, level in zip(names, levels, strict=True):
        logging.getLogger(name).setLevel(level)
    logging.getLogger().handlers[:] = handlers


@pytest.mark.parametrize(("level", "botocore"), [("INFO", 30), ("DEBUG", 30), ("ERROR", 40)])
@pytest.mark.usefixtures("logging_restored")
def test_logging_goes_to_standard_error_and_botocore_is_quiet(
    level: str, botocore: int, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(level)
    logging.getLogger("service.x").error("told")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert orjson.loads(captured.err)["message"] == "told"
    assert logging.getLogger().level == logging.getLevelName(level)
    assert logging.getLogger("botocore").level == botocore


def test_metrics_count_by_endpoint_and_never_by_path() -> None:
    metrics, other = PrometheusMetrics(), PrometheusMetrics()
    for number in range(3):
        metrics.answered(Answered("get_image", "GET", f"/images/{number}", 200, 0.002))
    text = metrics.exposition().decode()
    assert 'mont_requests_total{method="GET",route="get_image",status="200"} 3.0' in text
    assert 'mont_request_duration_seconds_count{route="get_image"} 3.0' in text
    assert "/images/" not in text
    assert "get_image" not in other.exposition().decode()
    assert METRICS_TYPE.startswith("text/plain")
