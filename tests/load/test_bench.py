"""`make bench` writes what it promises, counts only right answers, and takes its options."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.load import bench, report
from tests.load.bench import Measurement, plan_of
from tests.load.calls import CALLS
from tests.load.client import _driven
from tests.load.processes import cpu_us
from tests.load.sides import SIDES
from tests.load.wire import listen, made


def results(cpu: dict[str, float]) -> bench.Results:
    """Three rounds, the middle one of which is the median."""
    return {
        call: {
            side: [Measurement(cpu[side] * part, 1000.0, 1.0, 2.0, 20.0) for part in (0.5, 1, 9)]
            for side in SIDES
        }
        for call in CALLS
    }


CPU = {"mont": 100.0, "fastapi": 300.0, "flask": 400.0, "limit": 50.0}


@pytest.fixture
def document() -> dict[str, object]:
    exchanges: dict[str, dict[str, list[str]]] = {call: {"mont": ["GetItem"]} for call in CALLS}
    facts = {"rounds": 3, "seconds": 1, "connections": 2, "client": "wrk", "versions": {}}
    return report.document(results(CPU), exchanges, facts)


def test_the_report_has_medians_by_call_and_side_and_their_ratios(
    document: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    written = report.write(document, tmp_path)
    assert [path.name for path in written] == ["results.json", "bench.png", "bench.svg"]
    assert all(path.stat().st_size > 1000 for path in written)
    kept = json.loads(written[0].read_text("utf-8"))
    assert kept["cpu_us"] == dict.fromkeys(CALLS, CPU)
    assert kept["ratios"]["list"] == {"fastapi": 3.0, "flask": 4.0, "limit": 2.0}
    for name in ("rps", "p50_ms", "p99_ms", "store_cpu_us", "store_calls", "all"):
        assert kept[name].keys() == CALLS.keys()
    assert kept["date"] and kept["machine"] and kept["rounds"] == 3


def test_every_call_has_its_targets(document: dict[str, object]) -> None:
    assert set(report.TARGETS["fastapi"]) == set(report.TARGETS["limit"]) == set(CALLS)
    shown = report.table(document)
    for call in CALLS:
        assert f"\n{call} " in shown


def test_options_choose_rounds_seconds_and_calls() -> None:
    plan = plan_of({"ROUNDS": "3", "SECONDS": "4", "CALLS": "list, delete"})
    assert (plan.rounds, plan.seconds) == (3, 4)
    assert [call.name for call in plan.calls] == ["list", "delete"]
    assert len(plan_of({}).calls) == 5


@pytest.mark.parametrize("wrong", [{"ROUNDS": "0"}, {"SECONDS": "a few"}, {"CALLS": "lists"}])
def test_options_that_mean_nothing_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        plan_of(wrong)


@pytest.mark.parametrize(("status", "refused"), [("200 OK", False), ("500 No", True)])
async def test_the_client_tells_good_answers_from_bad_ones(status: str, refused: bool) -> None:
    async with await listen(lambda head, body: made(status, b"{}"), 0) as server:
        port = server.sockets[0].getsockname()[1]
        outcome = await _driven(CALLS["upload-url"], port, connections=2, seconds=0)
    assert outcome.requests == 2
    assert outcome.refused == (2 if refused else 0)
    assert outcome.failed == 0
    assert 0 < outcome.p50_ms <= outcome.p99_ms


async def test_processor_time_of_children_counts_too() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'python3 -c "{busy}"; true'),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert shell.stdout and await shell.stdout.readline() == b"done\n"
    assert cpu_us(shell.pid) >= 150_000
    await shell.communicate(b"\n")
