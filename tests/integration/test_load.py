"""`mont load`: on the real service, on one that fails in every way, and when it is interrupted."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.__main__ import main
from service.client import MontClient
from service.load import results
from service.load.documents import Report, as_document, as_text
from service.load.mix import ACTIONS, parse_mix
from service.load.page import as_page
from service.load.plan import Plan
from service.load.progress import Lines
from service.load.service import Target
from service.load.trial import Trial
from tests.load.trivial import HANG, Answer, Trivial
from tests.support.server import clean_environment, running_server

_SECONDS = 60
GOOD = Answer()
CALLS = {call for calls in ACTIONS.values() for call in calls}
ALL = ",".join(f"{action}=1" for action in ACTIONS)
QUICK = ("--duration", "0.3s", "--warmup", "0s", "--images", "3", "--image-size", "1k")


async def started(*arguments: str | Path) -> Process:
    environment = {
        name: value for name, value in clean_environment().items() if not name.startswith("MONT_")
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "load"),
        *map(str, arguments),
        env=environment,
        stdout=PIPE,
        stderr=PIPE,
    )


async def ended(process: Process) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    output, errors = await asyncio.wait_for(process.communicate(), _SECONDS)
    return process.returncode or 0, output.decode(), errors.decode()


async def load(*arguments: str | Path) -> Result:
    """The command beside a server that runs on this loop."""
    given = ["load", *map(str, arguments)]
    names = ("MONT_URL", "MONT_USER", "MONT_API_KEY", "MONT_TOKEN")
    unset: dict[str, str | None] = dict.fromkeys(names)
    return await asyncio.to_thread(CliRunner().invoke, main, given, env=unset)


# --- The real service -----------------------------------------------------------------------------


async def test_the_whole_workflow_has_no_unexpected_answer_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with running_server("--backend", "embedded") as server:
        process = await started(
            server.url,
            *("--mix", ALL, "--rate", "40", "--duration", "1.5s", "--warmup", "200ms"),
            *("--spacing", "constant"),
            *("--users", "3", "--images", "6", "--image-size", "2k-20k", "--seed", "1"),
            *("--budget", "errors<=0%", "--budget", "turned-away<=0%", "--budget", "p50<30s"),
            *("--report", tmp_path / "load.html", "--json", tmp_path / "load.json"),
        )
        status, said, lines = await ended(process)
        assert status == 0, said + lines
        async with MontClient(server.url) as mont:
            assert [image async for image in mont.images()] == []

    run = json.loads((tmp_path / "load.json").read_text())
    (step,) = run["steps"]
    assert step["failures"] == []
    assert {name for name, each in step["calls"].items() if each["good"]} == CALLS
    assert {name for name, each in step["actions"].items() if each["good"]} == set(ACTIONS)
    for each in step["calls"].values():
        assert each["count"] == each["good"]
        assert 0 < each["latency_ms"]["min"] <= each["latency_ms"]["p50"]
        assert each["latency_ms"]["p50"] <= each["latency_ms"]["p99"] <= each["latency_ms"]["max"]
    assert step["offered"] == 60
    assert run["cleanup"]["made"] > 6
    assert run["cleanup"]["left"] == []
    assert [each["kept"] for each in run["budgets"]] == [True] * 3
    assert "budget errors<=0%: kept" in said
    assert "of what was due" in lines

    page = (tmp_path / "load.html").read_text()
    assert page.count("<svg") == 3
    assert not re.search(r"<script|<link|<img|\bsrc=|@import|url\((?!#)", page)


async def test_a_sweep_tells_every_step_and_its_knee(tmp_path: Path) -> None:
    async with Trivial(size=1000).serving() as server:
        result = await load(
            server.url,
            *(*QUICK, "--sweep", "40:160:3", "--spacing", "constant", "--knee-p99", "30s"),
            *("--budget", "knee>=1000/s"),
            *("--report", tmp_path / "load.html", "--json", tmp_path / "load.json"),
        )
    assert result.exit_code == 1, result.output
    assert "budget knee>=1000/s: BROKEN" in result.stdout
    run = json.loads((tmp_path / "load.json").read_text())
    assert [step["offered"] for step in run["steps"]][:2] == [12, 24]
    # Where a machine is busy, the knee may be anywhere; it is where the steps say.
    kept_up = [step["rate"] for step in run["steps"] if step["achieved"] >= 0.95]
    assert (run["knee"] or {}).get("rate") == max(kept_up, default=None)
    assert "Knee: " in result.stdout
    page = (tmp_path / "load.html").read_text()
    assert page.count("<svg") == 4


async def test_it_works_below_a_path_and_sends_credentials_to_the_service_alone() -> None:
    async with Trivial(size=1000, base="/_aws/execute-api/abc/dev").serving() as server:
        result = await load(
            f"{server.url}/_aws/execute-api/abc/dev/",
            *(*QUICK, "--rate", "60", "--mix", ALL, "--seed", "1", "--api-key", "mont_secret"),
        )
    assert result.exit_code == 0, result.output
    assert set(server.heads) == {*CALLS, "delete-many"}
    assert {
        name for name, head in server.heads.items() if "X-API-Key: mont_secret" not in head
    } == {
        "s3-post",
        "s3-get",
    }
    assert "mont_secret" not in result.output


# --- A service that fails -------------------------------------------------------------------------


def problem(status: int, slug: str) -> Answer:
    return Answer(status, {"type": f"urn:mont:problem:{slug}", "status": status, "title": "Oh"})


def in_turn(*answers: Answer | None) -> Callable[[int], Answer | None]:
    return lambda number: answers[number % len(answers)]


FAILING: dict[str, Any] = {
    "list": in_turn(GOOD, problem(500, "internal-error"), problem(503, "overloaded"), HANG),
    "get": in_turn(problem(429, "throttled"), Answer(429, {"message": "Too Many Requests"})),
    "edit": in_turn(Answer(200, b"<html>"), problem(400, "<script>alert(1)</script>")),
    "s3_get": in_turn(Answer(403, b"<Error><Code>AccessDenied</Code></Error>"), GOOD),
    "delete": in_turn(Answer(502, {"message": "Internal server error"})),
}
CLASSES = {
    ("list", "500 internal-error", False),
    ("list", "503 overloaded", True),
    ("list", "timeout", False),
    ("get", "429 throttled", True),
    ("get", "status 429", True),
    ("edit", "no answer of this API", False),
    ("edit", "400 <script>alert(1)</script>", False),
    ("s3-get", "S3 403 AccessDenied", False),
    # The body is empty, and was not when it was uploaded.
    ("s3-get", "no answer of this API", False),
    ("delete", "status 502", False),
}


async def tried(plan: Plan) -> tuple[results.Result, results.Cleaned]:
    async with MontClient(plan.target.url) as mont:
        return await asyncio.wait_for(Trial(plan, Lines()).run(mont), _SECONDS)


def plan_for(server: Trivial, mix: str, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "target": Target(server.url, {}),
        "mix": parse_mix(mix),
        "users": ["ann"],
        "rate": 100.0,
        "seconds": 0.6,
        "warmup": 0.0,
        "spacing": "constant",
        "timeout": 0.3,
        "image_sizes": (1000, 1000),
        "images": 3,
        "seed": 1,
    }
    return Plan(**{**given, **changes})


async def test_failures_are_told_apart_and_refusals_are_no_errors() -> None:
    async with Trivial(**FAILING).serving() as server:
        plan = plan_for(server, "list=8,get=4,edit=4,download=4,delete=1,upload=2")
        result, cleaned = await tried(plan)
        # Deleting failed while it ran; what was made is gone all the same.
        assert server.completed == set()
    (step,) = result.steps
    found = {(each.call, each.name, each.turned_away) for each in step.failures}
    assert found >= CLASSES
    # A machine that is busy may let more of them wait too long.
    assert {name for _, name, _ in found - CLASSES} <= {"timeout", "unanswered at the end"}
    assert step.everything.turned_away == sum(
        each.count for each in step.failures if each.turned_away
    )
    assert step.calls["get"].turned_away > 0
    assert step.calls["list"].good > 0
    assert step.calls["list"].latencies.most >= plan.timeout
    assert cleaned.left == ()

    report = Report("http://here", "2026-01-01", "1", plan, result, cleaned, [])
    assert "turned away" in as_text(report)
    page = as_page(report)
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert json.loads(json.dumps(as_document(report)))["steps"][0]["failures"]


async def test_what_no_client_was_free_for_counts_as_an_error() -> None:
    async with Trivial(list=in_turn(HANG)).serving() as server:
        result, _ = await tried(plan_for(server, "list=1", clients=2))
    (step,) = result.steps
    assert step.offered == 60
    assert {each.name for each in step.failures} >= {"timeout", "not sent in time"}
    assert step.everything.errors == step.everything.count == 60
    assert step.tester.queued > 0
    assert step.throughput == 0


async def test_nobody_there_any_more_is_an_error_of_the_network() -> None:
    async with Trivial().serving() as server:
        gone = Target("http://127.0.0.1:9", {})
        plan = plan_for(server, "list=1", target=gone)
        async with MontClient(server.url) as mont:
            with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
                await Trial(plan, Lines()).run(mont)


async def test_cleaning_up_takes_bounded_time_and_says_what_is_left() -> None:
    async with Trivial(delete_many=in_turn(HANG)).serving() as server:
        _, cleaned = await tried(plan_for(server, "list=1", cleanup_seconds=0.2))
        assert {image_id for _, image_id in cleaned.left} == server.completed
    assert (cleaned.deleted, len(cleaned.left)) == (0, 3)
    assert "0.2 seconds" in cleaned.why


async def test_images_are_kept_when_asked_for() -> None:
    async with Trivial().serving() as server:
        result = await load(server.url, *QUICK, "--mix", "list=1", "--keep")
        assert len(server.completed) == 3
    assert result.exit_code == 0
    assert "3 images were kept" in result.stdout


# --- Exit status ----------------------------------------------------------------------------------


async def test_a_broken_budget_is_1_and_says_which() -> None:
    async with Trivial(list=in_turn(problem(500, "internal-error"))).serving() as server:
        result = await load(
            server.url,
            *(*QUICK, "--mix", "list=1", "--budget", "errors<50%", "--budget", "throughput>=0/s"),
        )
    assert result.exit_code == 1
    assert "budget errors<50%: BROKEN (100%)" in result.stdout
    assert "budget throughput>=0/s: kept" in result.stdout
    assert "list: 500 internal-error" in result.stdout


@pytest.mark.parametrize("where", ["http://192.0.2.1", "https://192.0.2.1/dev"])
async def test_another_machine_is_not_loaded_by_accident(where: str) -> None:
    result = await load(where, *QUICK)
    assert result.exit_code == 1
    assert "192.0.2.1" in result.stderr
    assert "--yes-load-this" in result.stderr


async def test_a_store_on_another_machine_is_not_loaded_by_accident_either() -> None:
    ticket = {"image_id": "a", "presigned_url": "http://192.0.2.1/b", "fields": {}, "s3_key": "k"}
    async with Trivial(upload_url=in_turn(Answer(200, ticket))).serving() as server:
        result = await load(server.url, *QUICK)
    assert result.exit_code == 1
    assert "S3, where uploads go, is not on this machine: http://192.0.2.1" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "p99<200"], "needs a unit"),
        (["--budget", "upload.p99<1s", "--mix", "list=1"], "not in the mix"),
        (["--mix", "uplaod=1"], "none of upload"),
        (["--sweep", "5"], "LOW:HIGH:STEPS"),
        (["--sweep", "1:2:3", "--find-knee"], "not both"),
        (["--knee-p99", "1s"], "--find-knee"),
        (["--duration", "forever"], "no time"),
        (["--timeout", "2m"], "no time from"),
        (["--image-size", "1"], "no size"),
        (["--report", "/nowhere/load.html"], "cannot be written"),
        (["--api-key", "a", "--token", "b"], "not both"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
async def test_wrong_usage_is_2_before_anything_is_loaded(arguments: list[str], said: str) -> None:
    async with Trivial().serving() as server:
        result = await load(server.url, *arguments)
        assert not server.seen
    assert result.exit_code == 2
    assert said in result.stderr


async def test_without_its_libraries_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.commands.load.find_spec", lambda name: None)
    result = await load("http://127.0.0.1:9")
    assert result.exit_code == 1
    assert "mont-image-service[load]" in result.stderr


# --- Ctrl-C ---------------------------------------------------------------------------------------


class Interrupted:
    """A server at which a run can be caught in the middle of something."""

    def __init__(self) -> None:
        self.listing = asyncio.Event()
        self.deleting = asyncio.Event()

    def listed(self, number: int) -> Answer | None:
        if number == 10:
            self.listing.set()
        return GOOD

    def deleted(self, number: int) -> Answer | None:
        self.deleting.set()
        return HANG


async def test_ctrl_c_ends_it_in_order_with_a_report_and_nothing_left(tmp_path: Path) -> None:
    moments = Interrupted()
    async with Trivial(size=1000, list=moments.listed).serving() as server:
        process = await started(
            server.url,
            *("--duration", "60s", "--warmup", "0s", "--rate", "60", "--image-size", "1k"),
            *("--json", tmp_path / "load.json", "--mix", "upload=1,list=2"),
        )
        await asyncio.wait_for(moments.listing.wait(), _SECONDS)
        process.send_signal(signal.SIGINT)
        status, _, lines = await ended(process)
        assert status == 130, lines
        assert server.completed == set()
    assert server.seen["complete"] > 20
    run = json.loads((tmp_path / "load.json").read_text())
    assert run["interrupted"]
    assert run["steps"][0]["calls"]["list"]["good"] > 0
    assert run["steps"][0]["seconds"] < 60
    assert run["cleanup"]["left"] == []


async def test_ctrl_c_again_ends_it_at_once_and_says_what_is_left() -> None:
    moments = Interrupted()
    trouble: dict[str, Any] = {"list": moments.listed, "delete_many": moments.deleted}
    async with Trivial(**trouble).serving() as server:
        process = await started(
            server.url, "--duration", "60s", "--warmup", "0s", "--mix", "list=1", "--images", "3"
        )
        await asyncio.wait_for(moments.listing.wait(), _SECONDS)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(moments.deleting.wait(), _SECONDS)
        process.send_signal(signal.SIGINT)
        status, _, lines = await ended(process)
    assert status == 130, lines
    assert "Up to 3 images are left behind" in lines
    assert "Traceback" not in lines
