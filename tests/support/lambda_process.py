"""The Lambda functions' real entry points in a process of their own, for whoever reads its output.

Run as a module it is that process: it reads (function, event) lines from standard input and writes
results to the file descriptor that it is told; all else that it writes is the functions' own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import IO, Any
from uuid import uuid4

from tests.support.api import Answer
from tests.support.gateway import LambdaContext, answer_of, proxy_event
from tests.support.server import clean_environment

_SECONDS = 60


class LambdaProcess:
    """The functions, one event at a time."""

    def __init__(self, process: asyncio.subprocess.Process, results: IO[str]) -> None:
        self._process = process
        self._results = results

    async def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """One exchange, by way of API Gateway's part of it."""
        line = json.dumps(proxy_event(method, target, headers, body)) + "\n"
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        await self._process.stdin.drain()
        async with asyncio.timeout(_SECONDS):
            result = await asyncio.to_thread(self._results.readline)
        assert result, "the functions' process has ended"
        return answer_of(json.loads(result))


@asynccontextmanager
async def running_functions(
    environment: Mapping[str, str], log: IO[bytes]
) -> AsyncIterator[LambdaProcess]:
    """The functions with this environment until the block is left; they write to `log`."""
    readable, writable = os.pipe()
    with os.fdopen(readable) as results:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, str(writable)),
            env=clean_environment(**environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[writable],
        )
        os.close(writable)
        try:
            yield LambdaProcess(process, results)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            async with asyncio.timeout(_SECONDS):
                await process.wait()


def _serve(results: IO[str]) -> None:
    from lambda_bridge import handler

    for line in sys.stdin:
        function, event = json.loads(line)
        result: Any = getattr(handler, function)(event, LambdaContext(function, str(uuid4())))
        print(json.dumps(result), file=results, flush=True)


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "w") as target:
        _serve(target)
