"""Makes servers by forking: `mont serve`, but for the half second that it takes to load.

    python -m tests.kill.nursery        reads an environment (JSON) a line, answers with its banner

Each server has what it would have: its own process, environment and loop. All end with this one.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys

from service.__main__ import main

_PR_SET_PDEATHSIG = 1
_LOADED = ("service.commands.serve", "service.serve", "service.storage.transport")


def serve(environment: dict[str, str]) -> None:
    """Be a server until somebody kills it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(environment)
    print(f"Process {os.getpid()}", flush=True)
    main(["serve", "--backend", "aws"])


def run() -> None:
    """Fork a server for each line, until there are no more."""
    for module in _LOADED:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    while line := sys.stdin.readline():
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve(json.loads(line))
            os._exit(0)


if __name__ == "__main__":
    run()
