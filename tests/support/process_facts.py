"""What a process takes of its machine, as Linux tells it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Facts:
    """`rss` in MB (10**6 bytes), `cpu` in seconds."""

    rss: float
    descriptors: int
    threads: int
    cpu: float


def facts_of(process_id: int) -> Facts:
    """The facts of a running process. Raises OSError when it is gone."""
    folder = Path(f"/proc/{process_id}")
    status = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    return Facts(
        rss=int(status["VmRSS"].split()[0]) * 1024 / 1e6,
        descriptors=len(list((folder / "fd").iterdir())),
        threads=int(status["Threads"]),
        cpu=sum(map(int, ticks)) / _TICKS,
    )


def children_of(process_id: int) -> list[int]:
    """The processes that it started."""
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(child) for child in children.split()]
