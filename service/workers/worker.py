"""One of several server processes: `python -m service.workers.worker`, started by the supervisor.

Serves on the sockets that it inherits, writes one line ("ready") to its standard output, and stops
as gracefully on SIGTERM as when its standard input closes, which is when the supervisor is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from service.commands.common import read_settings, wants_traces
from service.serve import serving
from service.settings import Settings
from service.workers.supervisor import READY

_STOP_MARGIN_SECONDS = 3.0


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m service.workers.worker", description=__doc__)
    parser.add_argument("--workers", type=int, required=True, help="how many there are in all")
    parser.add_argument("--metrics", required=True, help="folder of the metrics of all")
    parser.add_argument("--sockets", required=True, help="file descriptors, comma-separated")
    options = parser.parse_args()
    sockets = [socket.socket(fileno=int(number)) for number in options.sockets.split(",")]
    for each in sockets:
        each.setblocking(False)
        each.set_inheritable(False)
    orphaned = threading.Event()
    asyncio.run(_serve(read_settings(), options.workers, options.metrics, sockets, orphaned))
    if orphaned.is_set():  # nobody else is left to tidy up
        shutil.rmtree(options.metrics, ignore_errors=True)


async def _serve(
    settings: Settings,
    workers: int,
    folder: str,
    sockets: list[socket.socket],
    orphaned: threading.Event,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    most = settings.shutdown_grace + _STOP_MARGIN_SECONDS
    threading.Thread(
        target=_stop_with_supervisor,
        args=(orphaned, lambda: loop.call_soon_threadsafe(stop.set), most),
        daemon=True,
    ).start()
    async with serving(
        settings,
        workers=workers,
        metrics_folder=folder,
        sockets=sockets,
        traced=wants_traces(),
    ):
        sys.stdout.buffer.write(READY)
        sys.stdout.flush()
        # Nobody reads the standard output any more.
        os.dup2(2, 1)
        await stop.wait()


def _stop_with_supervisor(
    orphaned: threading.Event, stop: Callable[[], object], seconds: float
) -> None:
    # os.read rather than sys.stdin, whose lock would upset an exit.
    while os.read(0, 1024):
        pass
    orphaned.set()
    stop()
    time.sleep(seconds)
    os._exit(1)  # a loop that hangs must not outlive everybody


if __name__ == "__main__":
    main()
