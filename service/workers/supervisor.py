"""Starts the workers, replaces those that end, renews all of them on SIGHUP, stops them.

What a worker serves is no business of this module: it never sees a request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from service.settings import Settings
from service.web.listening import bound_sockets
from service.web.newcomers import let_in_no_more

READY = b"ready\n"

_START_SECONDS = 30.0
# Beyond the grace that requests under way get.
_STOP_MARGIN_SECONDS = 5.0
# A worker that lived for so long did serve; sooner, it may be that none ever will.
_SOUND_SECONDS = 2.0
_MOST_FAILURES = 5
_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.25, 8.0

_log = logging.getLogger(__name__)


class WorkersFailed(Exception):
    """Workers keep ending right after their start."""


@dataclass(slots=True)
class _Slot:
    """A place for one worker, with the sockets that it listens on, whichever it is."""

    number: int
    sockets: list[socket.socket]
    process: Process | None = None
    since: float = 0.0
    failures: int = 0
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


@asynccontextmanager
async def supervised(
    settings: Settings, workers: int, lost: asyncio.Future[None]
) -> AsyncIterator[tuple[str, int]]:
    """Run that many workers inside the block; yields the address that they listen on.

    `lost` gets WorkersFailed when they cannot be kept running. Raises the same when they cannot
    be started, and OSError when the address cannot be had.
    """
    slots = await _slots(settings, workers)
    address = slots[0].sockets[0].getsockname()
    with tempfile.TemporaryDirectory(prefix="mont-metrics-") as folder:
        fleet = _Fleet(slots, _command(workers, folder), _environment(settings, folder), folder)
        renew = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, renew.set)
        try:
            await fleet.start()
            keeping = asyncio.create_task(fleet.keep(renew))
            keeping.add_done_callback(lambda task: _pass_on(task, lost))
            try:
                yield address[0], address[1]
            finally:
                keeping.cancel()
                await asyncio.wait([keeping])
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            await fleet.stop(settings.shutdown_grace + _STOP_MARGIN_SECONDS)


async def _slots(settings: Settings, workers: int) -> list[_Slot]:
    # A port that another server shares could be bound beside it, and would get half its requests.
    for probe in await bound_sockets(settings.host, settings.port):
        probe.close()
    slots: list[_Slot] = []
    port = settings.port
    try:
        for number in range(workers):
            sockets = await bound_sockets(settings.host, port, reuse_port=True)
            slots.append(_Slot(number, sockets))
            port = sockets[0].getsockname()[1]
    except OSError:
        _close(slots)
        raise
    return slots


def _close(slots: list[_Slot]) -> None:
    for slot in slots:
        for each in slot.sockets:
            each.close()


def _command(workers: int, folder: str) -> list[str]:
    return [
        *(sys.executable, "-m", "service.workers.worker"),
        *("--workers", str(workers), "--metrics", folder),
    ]


def _environment(settings: Settings, folder: str) -> Mapping[str, str]:
    changes = {
        # Read by prometheus_client while it is imported: metrics in files that all workers see.
        "PROMETHEUS_MULTIPROC_DIR": folder,
        # The same code as here, wherever it was started from.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    if settings.aws_endpoint_url is not None:  # it may be that of a backend of our own
        changes["AWS_ENDPOINT_URL"] = settings.aws_endpoint_url
        changes["S3_PUBLIC_ENDPOINT_URL"] = settings.s3_public_endpoint_url or ""
    return os.environ | changes


def _pass_on(task: asyncio.Task[None], lost: asyncio.Future[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None and not lost.done():
        lost.set_exception(error)


class _Fleet:
    def __init__(
        self,
        slots: list[_Slot],
        command: list[str],
        environment: Mapping[str, str],
        metrics: str,
    ) -> None:
        self._slots = slots
        self._metrics = metrics
        self._command = command
        self._environment = environment
        self._processes: set[Process] = set()

    async def start(self) -> None:
        """Start all of them, and wait until they serve. Raises WorkersFailed."""
        results = await asyncio.gather(*map(self._fill, self._slots), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def keep(self, renew: asyncio.Event) -> None:
        """Replace each that ends; all of them, one after the other, whenever `renew` is set."""
        work = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        work.append(asyncio.create_task(self._renew(renew)))
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_EXCEPTION)
            for each in done:
                each.result()
        finally:
            for each in work:
                each.cancel()
            await asyncio.wait(work)

    async def stop(self, seconds: float) -> None:
        """Stop all of them; whoever is not done in time is killed."""
        for slot in self._slots:
            let_in_no_more(slot.sockets)
        # Before the workers do: connections that wait are let in by whoever closes a socket last.
        _close(self._slots)
        for process in self._processes:
            _terminate(process)
        ends = [asyncio.create_task(process.wait()) for process in self._processes]
        if ends:
            await asyncio.wait(ends, timeout=seconds)
        for process in self._processes:
            if process.returncode is None:
                _log.error("a worker did not stop in time and is killed")
                process.kill()
                await process.wait()

    async def _fill(self, slot: _Slot) -> None:
        slot.process = await self._launch(slot)
        slot.since = asyncio.get_running_loop().time()

    async def _keep(self, slot: _Slot) -> None:
        loop = asyncio.get_running_loop()
        while True:
            process = slot.process
            assert process is not None
            status = await process.wait()
            self._forget(process)
            async with slot.changing:
                if slot.process is not process:
                    continue  # it was replaced, as it was meant to be
                if loop.time() - slot.since > _SOUND_SECONDS:
                    slot.failures = 0
                while slot.process is process:
                    slot.failures += 1
                    _log.error("worker %d ended with status %s", slot.number + 1, status)
                    # As long as another one serves, this one can be tried for ever.
                    if all(each.failures >= _MOST_FAILURES for each in self._slots):
                        raise WorkersFailed(
                            f"Every worker ended {_MOST_FAILURES} times in a row right after its "
                            f"start, the last with status {status}. What they said is above."
                        )
                    pause = _BACKOFF_SECONDS * 2 ** (slot.failures - 1)
                    await asyncio.sleep(min(_LONGEST_BACKOFF_SECONDS, pause))
                    with suppress(WorkersFailed):
                        await self._fill(slot)

    async def _renew(self, renew: asyncio.Event) -> None:
        while True:
            await renew.wait()
            renew.clear()
            _log.warning("renewing %d workers", len(self._slots))
            for slot in self._slots:
                async with slot.changing:
                    before = slot.process
                    try:
                        await self._fill(slot)
                    except WorkersFailed as error:
                        _log.error("those of before go on: %s", error)
                        break
                    if before is not None:
                        _terminate(before)

    def _forget(self, process: Process) -> None:
        # What it counted stays; what was so only while it lived is not so any more.
        for file in Path(self._metrics).glob(f"gauge_live*_{process.pid}.db"):
            file.unlink(missing_ok=True)

    async def _launch(self, slot: _Slot) -> Process:
        """A worker that serves. Raises WorkersFailed."""
        numbers = [each.fileno() for each in slot.sockets]
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *("--sockets", ",".join(map(str, numbers))),
            pass_fds=numbers,
            # Closed by the kernel however this process ends: so the workers see its end.
            stdin=PIPE,
            stdout=PIPE,
            env=self._environment,
            # Ctrl-C in a terminal is for this process, which then stops them in order.
            start_new_session=True,
        )
        self._processes = {each for each in self._processes if each.returncode is None} | {process}
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_SECONDS):
                said = await process.stdout.readline()
        except TimeoutError:
            process.kill()
            raise WorkersFailed(f"A worker did not start in {_START_SECONDS:.0f} s.") from None
        if said != READY:
            status = await process.wait()
            raise WorkersFailed(f"A worker ended with status {status} while starting.")
        return process


def _terminate(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
