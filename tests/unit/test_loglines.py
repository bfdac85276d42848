"""Lines of requests are written together when a turn is over; nothing is lost or out of order."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.auth.callers import Caller
from service.errors import StoreUnavailable
from service.loglines import LogLines
from service.telemetry import AccessLog, Answered, JsonFormatter, request_id, trace_id
from service.trail import Spent, Trail


class Stream(io.StringIO):
    """Remembers each write; refuses as many as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.refusals = 0

    def write(self, text: str) -> int:
        if self.refusals:
            self.refusals -= 1
            raise OSError("no space left on device")
        self.writes.append(text)
        return len(text)


@contextmanager
def writing_to(stream: Stream) -> Iterator[LogLines]:
    """Everything that is logged goes there, and nowhere else (pytest listens, too)."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    handler = LogLines(stream)
    handler.setFormatter(JsonFormatter())
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def answered(path: str = "/images", trail: Trail | None = None) -> Answered:
    return Answered("list_images", "GET", path, 200, 0.0123456, trail)


def told(text: str) -> list[dict[str, object]]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


async def test_lines_of_one_turn_are_one_write_when_it_is_over() -> None:
    async def request(number: int) -> None:
        request_id.set(f"id-{number}")
        log.answered(answered(f"/images/{number}"))
        assert not stream.writes

    log, stream = AccessLog(), Stream()
    with writing_to(stream):
        await asyncio.gather(*map(request, range(3)))
        (first,) = stream.writes
        log.answered(answered("/images/3"))
        await asyncio.sleep(0)
    assert [(line["request_id"], line["path"]) for line in told(first)] == [
        ("id-0", "/images/0"),
        ("id-1", "/images/1"),
        ("id-2", "/images/2"),
    ]
    assert len(stream.writes) == 2
    assert [line["path"] for line in told(stream.writes[1])] == ["/images/3"]


async def test_no_line_is_torn_where_processes_share_a_pipe() -> None:
    stream, paths = Stream(), [f"/images/{'x' * (number * 40)}" for number in range(150)]
    with writing_to(stream):
        for path in paths:
            AccessLog().answered(answered(path))
        await asyncio.sleep(0)
    assert [line["path"] for line in told("".join(stream.writes))] == paths
    assert len(stream.writes) < len(paths)
    for piece in stream.writes:
        assert piece.endswith("\n")
        assert len(piece) <= 4096 or piece.count("\n") == 1


async def test_a_warning_is_written_at_once_behind_what_came_before_it() -> None:
    stream = Stream()
    with writing_to(stream):
        AccessLog().answered(answered())
        assert not stream.writes
        logging.getLogger("service.x").warning("careful")
        messages = [line["message"] for line in told("".join(stream.writes))]
        assert messages == ["request", "careful"]
        await asyncio.sleep(0)
        assert len(told("".join(stream.writes))) == 2


async def test_what_a_thread_logs_comes_behind_what_waits() -> None:
    stream = Stream()
    with writing_to(stream):
        AccessLog().answered(answered())
        thread = threading.Thread(target=logging.getLogger("service.x").error, args=("thread",))
        thread.start()
        thread.join()
        messages = [line["message"] for line in told("".join(stream.writes))]
        assert messages == ["request", "thread"]


def turn_that_never_ends() -> None:
    """A loop that is stopped in the turn in which it answered a request."""
    loop = asyncio.new_event_loop()
    loop.call_soon(lambda: AccessLog().answered(answered("/left")))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()


def test_without_a_loop_a_line_is_written_at_once() -> None:
    stream = Stream()
    with writing_to(stream):
        AccessLog().answered(answered("/alone"))
        assert [line["path"] for line in told("".join(stream.writes))] == ["/alone"]


def test_what_a_loop_leaves_is_written_by_the_next_one() -> None:
    async def next_one() -> None:
        AccessLog().answered(answered("/next"))

    stream = Stream()
    with writing_to(stream):
        turn_that_never_ends()
        assert not stream.writes
        asyncio.run(next_one())
    assert [line["path"] for line in told("".join(stream.writes))] == ["/left", "/next"]


def test_what_a_loop_leaves_is_written_when_the_process_ends() -> None:
    stream = Stream()
    with writing_to(stream) as lines:
        turn_that_never_ends()
        assert not stream.writes
        logging.shutdown([weakref.ref(lines)])
    assert [line["path"] for line in told("".join(stream.writes))] == ["/left"]


def test_a_process_that_crashes_has_written_its_lines() -> None:
    program = (
        "import asyncio\n"
        "from service.telemetry import AccessLog, Answered, configure_logging\n"
        "configure_logging('INFO')\n"
        "def turn():\n"
        "    AccessLog().answered(Answered('livez', 'GET', '/livez', 200, 0.1))\n"
        "    raise SystemExit('broken')\n"
        "loop = asyncio.new_event_loop()\n"
        "loop.call_soon(turn)\n"
        "loop.run_forever()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "broken" in done.stderr
    assert '"route":"livez"' in done.stderr


async def test_a_stream_that_refuses_fails_no_request_and_not_the_next_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    stream = Stream()
    stream.refusals = 1
    with writing_to(stream):
        for path in ("/lost", "/kept"):
            AccessLog().answered(answered(path))
            await asyncio.sleep(0)
    assert [line["path"] for line in told("".join(stream.writes))] == ["/kept"]
    assert not failures
    assert "no space left on device" in capsys.readouterr().err


async def test_of_many_lines_those_after_one_that_failed_are_written() -> None:
    stream = Stream()
    stream.refusals = 1
    with writing_to(stream) as lines:
        for number in range(100):  # far more than are written at once
            AccessLog().answered(answered(f"/images/{number}"))
        lines.soon(lambda: json.dumps(object()).encode())
        AccessLog().answered(answered("/behind"))
        await asyncio.sleep(0)
        AccessLog().answered(answered("/later"))
        await asyncio.sleep(0)
    paths = [line["path"] for line in told("".join(stream.writes))]
    assert paths[-3:] == ["/images/99", "/behind", "/later"]
    assert 60 < len(paths) < 102


class Keeping(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def listening_to(name: str) -> Iterator[Keeping]:
    other, logger = Keeping(), logging.getLogger(name)
    logger.addHandler(other)
    try:
        yield other
    finally:
        logger.removeHandler(other)


@pytest.mark.parametrize("name", ["service.access", "service", ""])
async def test_whoever_else_listens_gets_a_record_of_each_request(name: str) -> None:
    stream = Stream()
    with writing_to(stream), listening_to(name) as other:
        AccessLog().answered(answered())
    (record,) = other.records
    assert vars(record)["facts"]["path"] == "/images"
    assert [line["path"] for line in told("".join(stream.writes))] == ["/images"]


async def test_a_filter_is_asked_about_each_request() -> None:
    def unless_probe(record: logging.LogRecord) -> bool:
        return vars(record)["facts"]["path"] != "/livez"

    logger, stream = logging.getLogger("service.access"), Stream()
    for place in ("logger", "handler"):
        with writing_to(stream) as lines:
            filtered = logger if place == "logger" else lines
            filtered.addFilter(unless_probe)
            try:
                for path in ("/livez", f"/{place}"):
                    AccessLog().answered(answered(path))
                await asyncio.sleep(0)
            finally:
                filtered.removeFilter(unless_probe)
    assert [line["path"] for line in told("".join(stream.writes))] == ["/logger", "/handler"]


@pytest.mark.parametrize("path", ["/images", "/\udce4", "/\u2028\n"])
@pytest.mark.parametrize(("this_id", "trace"), [("one", "0af7"), (None, None)])
async def test_a_line_that_waited_tells_what_a_record_would(
    path: str, this_id: str | None, trace: str | None
) -> None:
    trail = Trail()
    trail.caller = Caller("ann", any_user=False, verified=True, key_id="key-1")
    trail.error = StoreUnavailable("S3", "down")
    trail.stores["S3"] = Spent()
    request_id.set(this_id)
    trace_id.set(trace)
    stream = Stream()
    with writing_to(stream):
        AccessLog().answered(answered(path, trail))
        assert not stream.writes
        await asyncio.sleep(0)
        with listening_to("service"):
            AccessLog().answered(answered(path, trail))
    waited, at_once = told("".join(stream.writes))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT(\d\d:){2}\d\d\.\d{3}\+00:00", str(waited["time"]))
    assert list(waited) == list(at_once)
    del waited["time"], at_once["time"]
    assert waited == at_once
    assert {"user_id", "key_id", "problem", "stores"} <= waited.keys()
    assert (waited["path"], waited["duration_ms"]) == (path, 12.346)


async def test_below_the_level_nothing_waits() -> None:
    stream = Stream()
    with writing_to(stream):
        logging.getLogger().setLevel(logging.WARNING)
        AccessLog().answered(answered())
        await asyncio.sleep(0)
    assert not stream.writes
