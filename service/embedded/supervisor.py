"""Starts the embedded backend, waits until it answers and always ends it.

What the child process serves is no business of this module, which never imports moto: a service
that runs against AWS must not need it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

EXIT_PORT_TAKEN = 81
EXIT_NOT_INSTALLED = 82
READY = b"ready "  # the child's only line on its standard output: this, then the port

_log = logging.getLogger(__name__)

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_OUTPUT_KEPT = 8192
_LINES_SHOWN = 15
_IMPORT_ROOT = Path(__file__).resolve().parents[2]


class EmbeddedBackendFailed(Exception):
    """The embedded backend did not start; the message says what to do about it."""


@asynccontextmanager
async def embedded_backend(
    port: int = 0, *, on_death: Callable[[], None] | None = None
) -> AsyncIterator[str]:
    """Run S3 and DynamoDB in a child process; yield their endpoint URL once they answer.

    Port 0 takes any free port. Should the child end by itself, `on_death` is called: there is
    nothing left to serve then. All data lives in the child's memory and goes with it. However
    this context is left, no process remains; should this process be killed, the child sees its
    standard input close and ends itself. Raises EmbeddedBackendFailed.
    """
    process = await _launch(port)
    output = _Tail()
    draining = asyncio.create_task(output.drain(process.stderr))
    try:
        bound_port = await _wait_until_ready(process, port, draining, output)
        watching = asyncio.create_task(_watch(process, output, on_death))
        try:
            yield f"http://127.0.0.1:{bound_port}"
        finally:
            watching.cancel()
    finally:
        await _stop(process, draining)


async def _watch(process: Process, output: _Tail, on_death: Callable[[], None] | None) -> None:
    status = await process.wait()
    _log.error(
        "the embedded backend ended with status %s, and the images with it. Its last output:\n%s",
        status,
        output.last_lines(),
    )
    if on_death is not None:
        on_death()


class _Tail:
    """The end of what the child wrote, kept for an error message.

    Somebody has to read on all the while, or the child would block on a full pipe.
    """

    def __init__(self) -> None:
        self._kept = b""

    async def drain(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while chunk := await stream.read(_OUTPUT_KEPT):
            self._kept = (self._kept + chunk)[-_OUTPUT_KEPT:]

    def last_lines(self) -> str:
        lines = self._kept.decode("utf-8", "replace").splitlines()[-_LINES_SHOWN:]
        return "\n".join(lines) or "(it wrote nothing)"


async def _launch(port: int) -> Process:
    # A session of its own: Ctrl-C in the terminal reaches this process alone, which then ends
    # its requests while the stores are still there.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "service.embedded.child", "--port", str(port)),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
        cwd=_IMPORT_ROOT,
    )


async def _wait_until_ready(
    process: Process, port: int, draining: asyncio.Task[None], output: _Tail
) -> int:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
            if line.startswith(READY):
                return int(line.removeprefix(READY))
            status = await process.wait()
            await draining
    except TimeoutError:
        raise EmbeddedBackendFailed(
            f"The embedded backend did not start within {_START_SECONDS:.0f} s. "
            f"Its last output:\n{output.last_lines()}"
        ) from None
    raise EmbeddedBackendFailed(_reason(status, port, output))


def _reason(status: int, port: int, output: _Tail) -> str:
    if status == EXIT_PORT_TAKEN:
        return (
            f"Port {port} of 127.0.0.1 is taken: stop the program that uses it, or choose another "
            "port for the embedded backend with EMBEDDED_PORT (0 takes any free one)."
        )
    if status == EXIT_NOT_INSTALLED:
        return (
            "The embedded backend needs moto, which is not installed here: "
            "pip install 'mont-image-service[embedded]'\n" + output.last_lines()
        )
    return (
        f"The embedded backend ended with status {status} while starting. "
        f"Its last output:\n{output.last_lines()}"
    )


async def _stop(process: Process, draining: asyncio.Task[None]) -> None:
    try:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
            await draining
    except TimeoutError:
        pass
    finally:
        # Also where a second cancellation cut the wait above short.
        if process.returncode is None:
            process.kill()
            await process.wait()
        draining.cancel()
