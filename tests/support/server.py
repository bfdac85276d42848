"""The real server, started as a user starts it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO

_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running `mont serve`: where it listens, what it printed until it was ready."""

    process: Process
    url: str
    banner: str

    @property
    def backend(self) -> str:
        """The endpoint of its stores."""
        return re.search(r"Backend\s.*?(http://\S+?)$", self.banner, re.MULTILINE)[1]

    async def stop(self, number: int) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        async with asyncio.timeout(_SECONDS):
            return await self.process.wait()


def clean_environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings and credentials of whoever runs the tests."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "S3_", "DYNAMODB_")) and name not in {"HOST", "PORT"}
    }
    return {**kept, "PORT": "0", "AWS_EC2_METADATA_DISABLED": "true", **changes}


@asynccontextmanager
async def running_server(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    log: IO[bytes] | int = asyncio.subprocess.DEVNULL,
) -> AsyncIterator[Server]:
    """`mont serve` in a session of its own, until the block is left. Its log goes to `log`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        "serve",
        *arguments,
        env=clean_environment(**(environment or {})),
        stdout=PIPE,
        stderr=log,
        start_new_session=True,
    )
    try:
        banner = ""
        async with asyncio.timeout(_SECONDS):
            while "Ctrl-C" not in banner:
                line = await process.stdout.readline()
                assert line, f"the server ended at its start: {banner}"
                banner += line.decode()
        url = re.search(r"Page\s+(http://\S+)/", banner)[1]
        yield Server(process, url, banner)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
