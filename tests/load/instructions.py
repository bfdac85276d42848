"""`make instructions`: how many instructions a call takes, compared with what was recorded.

Instructions, unlike time, are the same on every run, so a few per cent more show. The service runs
under valgrind's callgrind with its log, metrics and limits, the canned store in the same process
(its part is small, and always the same). Each call is run N and then 2 N times, and the difference
counted: whatever is done once cancels out.

Variables: RECORD=1 records what is counted now, TOLERANCE is in per cent.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.load.calls import CALLS
from tests.load.canned import listen
from tests.load.in_process import logging_to_nowhere, run_calls, running_pipeline

RECORDED = Path(__file__).resolve().parent / "instructions.json"
COUNTED = ("upload-url", "download-url", "list")
TOLERANCE_PERCENT = 5.0
_ROOT = RECORDED.parents[2]
TIMES = 40
_WARM_UP = 60
_SECONDS = 540
_PACKAGES = ("aiohttp", "aiobotocore", "botocore", "marshmallow", "msgspec", "orjson")


class CannotCount(Exception):
    """This machine cannot count instructions, or not such that they can be compared."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One call: what was recorded, what was counted, and whether that is too much."""

    call: str
    recorded: int
    counted: int
    tolerance_percent: float

    @property
    def change_percent(self) -> float:
        """How many more; negative for fewer."""
        return 100 * (self.counted - self.recorded) / self.recorded

    @property
    def is_regression(self) -> bool:
        """Whether it is more than the tolerance allows."""
        return self.change_percent > self.tolerance_percent

    def __str__(self) -> str:
        word = "REGRESSION" if self.is_regression else "ok"
        if self.change_percent < -self.tolerance_percent:
            word = "better: record it (make instructions RECORD=1)"
        return (
            f"{self.call:14}{self.recorded:>14,}{self.counted:>14,}"
            f"{self.change_percent:>+9.1f} %  {word}"
        )


def main() -> None:
    """Count, then record or compare."""
    try:
        tolerance = tolerance_of(os.environ)
        counts = counted(COUNTED)
        if os.environ.get("RECORD", "") not in {"", "0"}:
            RECORDED.write_text(json.dumps(recording(counts), indent=1) + "\n", "utf-8")
            print(f"recorded in {RECORDED.relative_to(_ROOT)}: {counts}")
            return
        verdicts = compared(read_recording(RECORDED), counts, tolerance)
    except CannotCount as error:
        raise SystemExit(f"make instructions: {error}") from error
    print(f"{'instructions':14}{'recorded':>14}{'now':>14}{'change':>11}  (at most +{tolerance} %)")
    for verdict in verdicts:
        print(verdict)
    if any(verdict.is_regression for verdict in verdicts):
        raise SystemExit("make instructions: a call takes more instructions than it did")


def tolerance_of(environment: Mapping[str, str]) -> float:
    """The tolerance asked for, in per cent. Raises CannotCount."""
    text = environment.get("TOLERANCE") or str(TOLERANCE_PERCENT)
    try:
        tolerance = float(text)
    except ValueError:
        tolerance = -1.0
    if not 0 <= tolerance <= 100:
        raise CannotCount(f"TOLERANCE must be from 0 to 100 per cent (it is {text!r})")
    return tolerance


def conditions() -> dict[str, str]:
    """What the counts depend on beside the service's own code."""
    packages = {name: version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "machine": platform.machine(), **packages}


def recording(counts: Mapping[str, int]) -> dict[str, Any]:
    """What is kept of a count."""
    return {"conditions": conditions(), "instructions_per_call": dict(counts)}


def read_recording(path: Path) -> dict[str, int]:
    """The recorded counts. Raises CannotCount where they were counted under other conditions."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise CannotCount("nothing is recorded yet: make instructions RECORD=1") from error
    then, now = document["conditions"], conditions()
    if then != now:
        changed = [f"{k} {then.get(k)}, here {now[k]}" for k in now if then.get(k) != now[k]]
        raise CannotCount(
            f"recorded with {'; '.join(changed)}: nothing to compare with. "
            "Record anew with RECORD=1 on the commit before your change."
        )
    counts: dict[str, int] = document["instructions_per_call"]
    return counts


def compared(
    recorded: Mapping[str, int], counted: Mapping[str, int], tolerance_percent: float
) -> list[Verdict]:
    """A verdict for each call."""
    return [Verdict(call, recorded[call], counted[call], tolerance_percent) for call in counted]


def counted(names: Sequence[str]) -> dict[str, int]:
    """Instructions a call, by call. Raises CannotCount."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CannotCount("valgrind is not installed (Debian: apt-get install valgrind)")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "counts"
        done = subprocess.run(
            [
                *(valgrind, "--quiet", "--tool=callgrind", "--instr-atstart=no"),
                f"--callgrind-out-file={output}",
                *(sys.executable, "-m", "tests.load.instructions", "--inside", *names),
            ],
            cwd=_ROOT,
            # Hashes of text decide the order of sets, and with it the number of look-ups.
            env={**os.environ, "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise CannotCount(f"callgrind ended with {done.returncode}:\n{done.stdout[-2000:]}")
        return from_dumps(output, names)


def from_dumps(output: Path, names: Sequence[str]) -> dict[str, int]:
    """The difference of each call's two dumps, which are numbered in the order of their making."""
    totals = []
    for number in range(1, 2 * len(names) + 1):
        text = Path(f"{output}.{number}").read_text("utf-8")
        totals.append(int(text.partition("\nsummary: ")[2].split()[0]))
    return {
        call: round((totals[2 * index + 1] - totals[2 * index]) / TIMES)
        for index, call in enumerate(names)
    }


async def _run_inside(names: Sequence[str]) -> None:
    """What valgrind runs: each call N and 2 N times, each time followed by a dump."""
    async with await listen(0) as store:
        host, port = store.sockets[0].getsockname()
        async with running_pipeline(f"http://{host}:{port}") as pipeline:
            _control("--instr=on")
            for name in names:
                await run_calls(pipeline, CALLS[name], _WARM_UP)
                for times in (TIMES, 2 * TIMES):
                    gc.collect()
                    _control("--zero")
                    await run_calls(pipeline, CALLS[name], times)
                    _control("--dump")


def _control(command: str) -> None:
    # Blocks on purpose: nothing else may run while the counters are read.
    subprocess.run(
        ["callgrind_control", command, str(os.getpid())], check=True, stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        with logging_to_nowhere():
            asyncio.run(_run_inside(sys.argv[2:]))
    else:
        main()
