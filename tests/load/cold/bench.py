"""`make bench-cold`: how fast the Lambda functions start, next to plain boto3 handlers.

Every process is started as Lambda starts one: awslambdaric, in the unpacked code, with a Runtime
API that hands it an event. Both sides run in turn, the same events on the same embedded backend,
with the same botocore; what is shown are medians.
"""

from __future__ import annotations

import asyncio
import compileall
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from service.deployment.package import build_package, target_for
from service.embedded import embedded_backend
from tests.load.cold.runtime_api import FunctionFailed, running_function
from tests.load.cold.workload import Event, Workload, prepare

_HERE = Path(__file__).resolve().parent
_BUILD = _HERE.parents[2] / "build" / "bench"
_ROUNDS = int(os.environ.get("ROUNDS", "9"))
_WARM = 10
_SIDES = ("mont", "boto3")


@dataclass(frozen=True, slots=True)
class Start:
    """One process, in milliseconds: until it asked for an event, until it had answered the first,
    and the median of each further event.
    """

    ready: float
    first: float
    warm: float


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared: its code, and where in there the handlers are."""

    code: Path
    handler: str


def main() -> None:
    """Measure, print the table, write the numbers."""
    _BUILD.mkdir(parents=True, exist_ok=True)
    python = _environment()
    sides = {
        "mont": Side(_unpacked(), "lambda_bridge.handler.{}"),
        "boto3": Side(_boto3_code(), "boto3_handlers.{}.handler"),
    }
    results = asyncio.run(_measured(python, sides))
    print(_table(results))
    report = _BUILD / "cold.json"
    report.write_text(json.dumps(_document(results), indent=1) + "\n", "utf-8")
    print(f"\nEvery number: {report.relative_to(Path.cwd())}")


def _environment() -> Path:
    """An interpreter with the runtime client and boto3, in an environment made once."""
    wanted = (_HERE / "requirements.txt").read_text("utf-8")
    folder = _BUILD / "environment"
    made_of, python = folder / "made-of.txt", folder / "bin" / "python"
    if not made_of.is_file() or made_of.read_text("utf-8") != wanted:
        venv.create(folder, clear=True, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--requirement"]
        subprocess.run([python, *install, _HERE / "requirements.txt"], check=True)
        made_of.write_text(wanted, "utf-8")
    return python


def _unpacked() -> Path:
    """The package for this machine as Lambda would unpack it."""
    archive, folder = _BUILD / "package.zip", _BUILD / "package"
    package = build_package(target_for("local", None), archive)
    assert package.compiled
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as whole:
        whole.extractall(folder)
    return folder


def _boto3_code() -> Path:
    """The handlers to compare with, compiled too."""
    folder = _BUILD / "boto3"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_HERE / "boto3_handlers", folder / "boto3_handlers")
    compileall.compile_dir(folder, quiet=1)
    return folder


Results = dict[str, dict[str, list[Start]]]  # function -> side -> one start a round


async def _measured(python: Path, sides: Mapping[str, Side]) -> Results:
    async with embedded_backend() as endpoint:
        # A first, unmeasured round brings all files into memory.
        processes = (_ROUNDS + 1) * len(sides)
        workloads = await prepare(endpoint, processes * (1 + _WARM))
        return await asyncio.to_thread(_run, python, sides, workloads)


def _run(python: Path, sides: Mapping[str, Side], workloads: list[Workload]) -> Results:
    results: Results = {each.function: {side: [] for side in sides} for each in workloads}
    events = {each.function: iter(each.events) for each in workloads}
    for number in range(_ROUNDS + 1):
        for workload in workloads:
            # Who goes first changes, so that neither always follows the other.
            for side in list(sides) if number % 2 else reversed(sides):
                start = _start(python, sides[side], workload, events[workload.function])
                if number:
                    results[workload.function][side].append(start)
        print(f"\rround {number} of {_ROUNDS}", end="", file=sys.stderr, flush=True)
    print("\r", end="", file=sys.stderr)
    return results


def _start(python: Path, side: Side, workload: Workload, events: Iterator[Event]) -> Start:
    handler = side.handler.format(workload.function)
    command = (str(python), "-m", "awslambdaric", handler)
    environment = _lambda_environment(workload, side.code, handler)
    with running_function(command, side.code, environment, _BUILD / "functions.log") as function:
        ready = function.wait_until_ready()
        answered = _answer(function.invoke(next(events)))
        warm = []
        for _ in range(_WARM):
            asked = time.perf_counter()
            warm.append(_answer(function.invoke(next(events))) - asked)
    since = function.started
    return Start(1000 * (ready - since), 1000 * (answered - since), 1000 * median(warm))


def _answer(outcome: tuple[dict[str, object], float]) -> float:
    """When the answer came; only a good one counts."""
    answer, moment = outcome
    if answer["statusCode"] != 200:
        raise FunctionFailed(str(answer))
    return moment


def _lambda_environment(workload: Workload, code: Path, handler: str) -> dict[str, str]:
    """The variables that Lambda sets, and those of the template."""
    return {
        **workload.environment,
        "AWS_DEFAULT_REGION": workload.environment["AWS_REGION"],
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": workload.function,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{workload.function}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "LAMBDA_TASK_ROOT": str(code),
        "_HANDLER": handler,
        "LANG": "en_US.UTF-8",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",  # the code folder is read-only on Lambda
    }


def _median(starts: list[Start]) -> Start:
    return Start(
        median(each.ready for each in starts),
        median(each.first for each in starts),
        median(each.warm for each in starts),
    )


def _table(results: Results) -> str:
    lines = [
        f"Milliseconds, medians of {_ROUNDS} processes ({_WARM} warm events each), in turn",
        "",
        f"{'':25}{'loaded':^17}{'first answer':^24}{'warm event':^24}",
        f"{'function':25}{'mont':>8}{'boto3':>8} {'mont':>8}{'boto3':>8}{'ratio':>7} "
        f"{'mont':>8}{'boto3':>8}{'ratio':>7}",
    ]
    for function, sides in results.items():
        ours, theirs = _median(sides["mont"]), _median(sides["boto3"])
        lines.append(
            f"{function:25}{ours.ready:8.0f}{theirs.ready:8.0f} "
            f"{ours.first:8.0f}{theirs.first:8.0f}{ours.first / theirs.first:7.2f} "
            f"{ours.warm:8.1f}{theirs.warm:8.1f}{ours.warm / theirs.warm:7.2f}"
        )
    return "\n".join(lines)


def _document(results: Results) -> dict[str, object]:
    def numbers(start: Start) -> dict[str, float]:
        return {
            "ready_ms": round(start.ready, 1),
            "first_answer_ms": round(start.first, 1),
            "warm_event_ms": round(start.warm, 2),
        }

    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "environment": (_HERE / "requirements.txt").read_text("utf-8").split("\n")[2:5],
        "rounds": _ROUNDS,
        "warm_events": _WARM,
        "functions": {
            function: {
                side: {"median": numbers(_median(starts)), "all": [numbers(s) for s in starts]}
                for side, starts in sides.items()
            }
            for function, sides in results.items()
        },
    }


if __name__ == "__main__":
    main()
