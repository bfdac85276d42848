"""Loads a server on this machine, which it starts itself with the embedded stores.

    python -m tests.load.run_load

RATE (actions a second), DURATION (of what is measured), SWEEP (LOW:HIGH:STEPS, instead of a rate).
Writes build/load/report.html and results.json. The emulated stores are what limits it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.support.server import clean_environment, running_server

FOLDER = Path("build/load")
_RATE, _DURATION, _STEP_DURATION = "30", "50s", "6s"


def arguments(environment: dict[str, str]) -> list[str]:
    """What `mont load` is told."""
    sweep = environment.get("SWEEP")
    offered = ["--sweep", sweep] if sweep else ["--rate", environment.get("RATE") or _RATE]
    duration = environment.get("DURATION") or (_STEP_DURATION if sweep else _DURATION)
    files = ["--report", str(FOLDER / "report.html"), "--json", str(FOLDER / "results.json")]
    return [*offered, "--duration", duration, *files, "--budget", "errors<0.1%"]


async def main() -> int:
    """Serve and load; the status of `mont load`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with running_server("--backend", "embedded") as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "load", server.url),
            *arguments(dict(os.environ)),
            env={k: v for k, v in clean_environment().items() if not k.startswith("MONT_")},
        )
        # Ctrl-C reaches it, too: it ends in order, and this one after it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
        status = await process.wait()
    print(f"{FOLDER}/report.html, {FOLDER}/results.json")
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
