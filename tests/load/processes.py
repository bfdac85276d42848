"""Servers under measurement: started on a processor of their own, their processor time counted."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
_START_SECONDS = 30
_STOP_SECONDS = 10
_SETTLE_SECONDS = 20


class ServerFailed(Exception):
    """A server did not start, or ended; the message says which, and where its log is."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started. It listens on a port of this machine that is in its arguments."""

    name: str
    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def processors() -> tuple[int, int]:
    """The processor of what is measured, and that of everything else; one where there is one.

    Raises ServerFailed.
    """
    if sys.platform != "linux" or not shutil.which("taskset"):
        raise ServerFailed("processors are told apart on Linux only, with taskset (util-linux)")
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


@contextmanager
def running(
    command: Command, port: int, processor: int | Sequence[int], log: Path
) -> Iterator[int]:
    """Run it on that processor, or those, until the block is left; gives its process id."""
    allowed = [processor] if isinstance(processor, int) else processor
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", ",".join(map(str, allowed)), *command.arguments],
            cwd=command.folder,
            env=command.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_listening(command.name, process, port, log)
        yield process.pid
    finally:
        _stop(process)


def _wait_until_listening(
    name: str, process: subprocess.Popen[bytes], port: int, log: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None:
            raise ServerFailed(f"{name} ended with {process.returncode} at its start: see {log}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{name} did not start in {_START_SECONDS} s: see {log}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # The whole session: gunicorn's workers outlive a master that is killed.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def settled_cpu_us(pid: int) -> float:
    """The same, once the processes have finished what they were at."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    before = cpu_us(pid)
    while True:
        time.sleep(0.1)
        now = cpu_us(pid)
        # A server at rest wakes up now and then.
        if now - before <= 2 * _TICK_US:
            return now
        if time.monotonic() > deadline:
            raise ServerFailed(f"process {pid} is still busy {_SETTLE_SECONDS} s after its client")
        before = now


def cpu_us(pid: int) -> float:
    """Processor time that a process and its descendants have had, in microseconds."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # ended between the two
            # The name, in brackets, can hold anything.
            fields = stat.read_text().rpartition(")")[2].split()
            number = int(stat.parent.name)
            parents[number] = int(fields[1])
            ticks[number] = int(fields[11]) + int(fields[12])
    if pid not in ticks:
        raise ServerFailed(f"process {pid} is gone")
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks[each] for each in family) * _TICK_US
