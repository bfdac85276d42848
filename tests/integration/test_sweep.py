"""mont sweep: what it prints, what it changes, and how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lambda_bridge.sweep import SweepStopped, run
from service import naming
from service.__main__ import main
from service.model import PENDING, Image
from service.operations.sweeping import Place
from service.ports import ImageRecords
from service.settings import Settings
from service.storage.clients import Clients, open_admin_clients
from service.sweeper import place_to_text
from tests.support.consistency import Contents, contents_of, violations
from tests.support.makers import an_id, an_image
from tests.support.server import clean_environment
from tests.support.stores import (
    environment_of,
    no_real_account,
    provision,
    random_settings,
    records_of,
)

LONG_AGO = "2026-01-01T00:00:00.000000Z"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass
class Site:
    """Stores of one test's own, and `mont sweep` in their environment."""

    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        return {**environment_of(self.settings), **KEYS}

    def mont(self, *arguments: str, **environment: str) -> Result:
        runner = CliRunner(env={**self.environment, **environment})
        return runner.invoke(main, ["sweep", *arguments])

    def on_stores(self, work: Callable[[Clients, ImageRecords], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with open_admin_clients(self.settings) as clients:
                return await work(clients, records_of(clients, self.settings))

        return asyncio.run(run())

    def contents(self) -> Contents:
        async def read(clients: Clients, _records: ImageRecords) -> Contents:
            return await contents_of(clients, self.settings)

        contents: Contents = self.on_stores(read)
        return contents

    def leave_behind(self, number: int = 1) -> None:
        """A deletion and an upload that were cut short long ago, so many of each."""

        async def leave(clients: Clients, records: ImageRecords) -> None:
            for each in range(number):
                marked = an_image(image_id=an_id(each), status=PENDING)
                claimed = an_image(
                    image_id=an_id(1000 + each),
                    status=PENDING,
                    upload_timestamp=LONG_AGO,
                    s3_key=naming.final_key("ann", an_id(1000 + each), "beach.jpg"),
                )
                for image in (marked, claimed):
                    assert await records.create(image) is None
                published: Image | None = await records.publish(marked, LONG_AGO)
                assert published is not None
                await records.mark_deleting(marked.image_id, "ann", LONG_AGO)

        self.on_stores(leave)


@pytest.fixture(scope="module")
def backend(embedded: str) -> Iterator[str]:
    with no_real_account():
        yield embedded


@pytest.fixture
def site(backend: str) -> Site:
    settings = random_settings(backend)
    asyncio.run(provision(settings))
    return Site(settings)


def found(result: Result) -> dict[str, dict[str, int]]:
    document = json.loads(result.stdout)
    return {kind: each["outcomes"] for kind, each in document["found"].items() if each["total"]}


def test_first_it_tells_then_it_settles_then_there_is_nothing_left(site: Site) -> None:
    site.leave_behind()
    before = site.contents()
    told = site.mont()
    assert told.exit_code == 3, told.output
    assert found(told) == {"unfinished_deletion": {"found": 1}, "unfinished_upload": {"found": 1}}
    assert json.loads(told.stdout)["applied"] is False
    assert site.contents() == before
    settled = site.mont("--apply")
    assert settled.exit_code == 0, settled.output
    assert found(settled) == {
        "unfinished_deletion": {"finished": 1},
        "unfinished_upload": {"abandoned": 1},
    }
    assert violations(site.contents()) == []
    nothing = site.mont()
    assert (nothing.exit_code, found(nothing)) == (0, {})
    document = json.loads(nothing.stdout)
    assert (document["complete"], document["resume"], document["left"]) == (True, None, 0)
    assert "done: 0 records and 0 objects looked at, 0 found, 0 left" in nothing.stderr


def test_a_quick_sweep_finishes_deletions_alone(site: Site) -> None:
    site.leave_behind()
    result = site.mont("--apply", "--deleting")
    assert (result.exit_code, found(result)) == (0, {"unfinished_deletion": {"finished": 1}})


def test_an_image_without_bytes_is_told_until_somebody_says_to_remove_it(site: Site) -> None:
    async def lose(clients: Clients, records: ImageRecords) -> None:
        claim = an_image(status=PENDING)
        await records.create(claim)
        await records.publish(claim, LONG_AGO)

    site.on_stores(lose)
    kept = site.mont("--apply")
    assert (kept.exit_code, found(kept)) == (3, {"broken_record": {"found": 1}})
    removed = site.mont("--apply", "--remove-broken")
    assert (removed.exit_code, found(removed)) == (0, {"broken_record": {"removed": 1}})
    assert site.contents().records == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--min-age", "10"], "a whole number with its unit"),
        (["--min-age", "-1d"], "a whole number with its unit"),
        (["--min-age", "68s"], "is at least 69s"),
        (["--resume", "nonsense"], "is not a place"),
        (["--deleting", "--resume", place_to_text(Place("objects"))], "is not a place"),
        (["--rate", "0"], "x>=1"),
        (["--metrics-file", "/no/such/folder/mont.prom"], "is no folder that can be written to"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_read(
    arguments: list[str], said: str
) -> None:
    nowhere = Site(replace(Settings(), aws_endpoint_url="http://127.0.0.1:9"))
    result = nowhere.mont(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_least_age_follows_the_longest_request(site: Site) -> None:
    assert site.mont("--min-age", "69s").exit_code == 0
    longer = site.mont("--min-age", "69s", REQUEST_TIME_LIMIT="30")
    assert (longer.exit_code, "is at least 90s" in longer.stderr) == (2, True)


def test_a_store_that_is_down_ends_it_with_a_place_to_go_on_from() -> None:
    nowhere = Site(replace(Settings(), aws_endpoint_url="http://127.0.0.1:9"))
    result = nowhere.mont("--apply")
    assert result.exit_code == 1
    assert "Error: DynamoDB: " in result.stderr
    document = json.loads(result.stdout)
    assert (document["complete"], document["left"]) == (False, 0)
    assert f"--resume {document['resume']}" in result.stderr


def test_it_stops_when_told_to_and_goes_on_from_there(site: Site) -> None:
    site.leave_behind(20)
    command = [sys.executable, "-m", "service", "sweep", "--apply", "--rate", "5"]
    with subprocess.Popen(
        command,
        env=clean_environment(**site.environment | {"PORT": "0"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "looked at" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    first = json.loads(stdout)
    assert first["complete"] is False
    resume = re.search(r"--resume (\S+)", stderr)
    assert resume is not None
    rest = site.mont("--apply", "--resume", resume[1])
    assert rest.exit_code == 0, rest.output
    second = json.loads(rest.stdout)
    for kind in ("unfinished_deletion", "unfinished_upload"):
        assert first["found"][kind]["total"] + second["found"][kind]["total"] == 20
    assert violations(site.contents()) == []


def samples(file: Path) -> dict[str, float]:
    """What a file of metrics says, but for what is 0."""
    lines = [line.rpartition(" ") for line in file.read_text("utf-8").splitlines()]
    return {name: float(value) for name, _, value in lines if name[0] != "#" and float(value)}


def test_a_file_tells_prometheus_what_sweeps_did(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "mont.prom"
    site.leave_behind()
    assert site.mont("--metrics-file", str(file)).exit_code == 3
    assert samples(file)["mont_sweep_left"] == 2
    for _ in range(2):
        assert site.mont("--apply", "--metrics-file", str(file)).exit_code == 0
    told = samples(file)
    succeeded = told.pop("mont_sweep_last_success_timestamp_seconds")
    assert told.pop("mont_sweep_last_run_timestamp_seconds") == succeeded
    assert abs(time.time() - succeeded) < 600
    swept = {
        'mont_swept_total{kind="unfinished_deletion",outcome="found"}': 1,
        'mont_swept_total{kind="unfinished_deletion",outcome="finished"}': 1,
        'mont_swept_total{kind="unfinished_upload",outcome="found"}': 1,
        'mont_swept_total{kind="unfinished_upload",outcome="abandoned"}': 1,
    }
    assert told == swept
    nowhere = Site(replace(site.settings, aws_endpoint_url="http://127.0.0.1:9"))
    assert nowhere.mont("--metrics-file", str(file)).exit_code == 1
    told = samples(file)
    assert told.pop("mont_sweep_last_success_timestamp_seconds") == succeeded
    assert told.pop("mont_sweep_last_run_timestamp_seconds") >= succeeded
    assert told == {**swept, "mont_sweep_failures_total": 1}
    assert list(tmp_path.iterdir()) == [file]  # nothing half-written stays


def test_metrics_begin_anew_where_their_file_makes_no_sense(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "mont.prom"
    file.write_bytes(b'\xff{ mont_swept_total{kind= "\n')
    assert site.mont("--metrics-file", str(file)).exit_code == 0
    assert samples(file).keys() == {
        "mont_sweep_last_run_timestamp_seconds",
        "mont_sweep_last_success_timestamp_seconds",
    }


# The same as a function on a schedule.


@dataclass
class Context:
    """What Lambda tells a function of its invocation."""

    milliseconds: int = 300_000
    function_name: str = "sweep_images"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:sweep_images"
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.fixture
def as_function(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    return site


def counted(lines: str) -> dict[str, float]:
    """What the metric lines of a run say, by kind."""
    documents = [json.loads(line) for line in lines.splitlines() if "mont_swept_total" in line]
    return {each["kind"]: each["mont_swept_total"][0] for each in documents}


def test_the_scheduled_sweep_tells_how_many_webhooks_wait(
    as_function: Site,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVENTS", "webhook")
    as_function.leave_behind()
    for waiting in (0, 1):  # the first run finishes a deletion, of which there is to be told
        run({}, Context())
        lines = capsys.readouterr().out.splitlines()
        told = {
            name: json.loads(line)[name]
            for line in lines
            for name in ("mont_events_waiting", "mont_events_overdue_seconds")
            if f'"{name}":' in line
        }
        assert told["mont_events_waiting"] == [waiting]
        assert (told["mont_events_overdue_seconds"][0] > 0) == bool(waiting)
    monkeypatch.setenv("EVENTS_TABLE_NAME", "no-such-table")
    assert run({}, Context())["reports"]
    assert "how many events wait is not known" in caplog.text


def test_the_scheduled_sweep_settles_and_reports_in_metrics(
    as_function: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    as_function.leave_behind(2)
    answer = run({"full_every_days": 7}, Context())
    assert [each["complete"] for each in answer["reports"]] == [True, True]  # type: ignore[attr-defined]
    assert violations(as_function.contents()) == []
    assert counted(capsys.readouterr().out) == {
        "unfinished_deletion": 2,
        "unfinished_upload": 2,
        "broken_record": 0,
        "orphaned_object": 0,
        "misplaced_object": 0,
    }
    assert len(run({}, Context())["reports"]) == 1  # type: ignore[arg-type]


def test_the_scheduled_sweep_ends_before_its_time_does_and_goes_on_next_time(
    as_function: Site,
) -> None:
    as_function.leave_behind()
    quick, full = run({}, Context(milliseconds=59_000))["reports"]  # type: ignore[misc]
    assert (quick["complete"], full["complete"]) == (False, False)
    assert quick["examined"]["records"] == full["examined"]["records"] == 0
    answer = run({}, Context())
    assert [each["complete"] for each in answer["reports"]] == [True, True]  # type: ignore[attr-defined]


def test_a_scheduled_sweep_that_cannot_read_a_store_fails_where_somebody_sees_it(
    as_function: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", "NoSuchTable")
    with pytest.raises(SweepStopped, match="DynamoDB"):
        run({}, Context())
