"""Counts the requests of a long search, over all workers, and fails a search that was too short.

A plugin of pytest: `make fuzz` asks for it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

LEAST = 20_000
_sum: Counter[str] = Counter()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what a worker asked, when it has ended."""
    _sum.update(getattr(node, "workeroutput", {}).get("asked", {}))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Hand the count on, or judge it where everything comes together."""
    from tests.fuzz.knocking import asked

    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["asked"] = dict(asked)
        return
    _sum.update(asked)
    if exitstatus == 0 and _sum.total() < LEAST:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many there were."""
    through = ", ".join(f"{count} through the {door} door" for door, count in sorted(_sum.items()))
    verdict = "" if _sum.total() >= LEAST else f" (too few: at least {LEAST} are wanted)"
    terminalreporter.write_line(f"{_sum.total()} requests: {through}{verdict}")
