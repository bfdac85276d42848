"""More than the server can do, and the signal to stop in the middle of it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.overload.onelane import IMAGE_ID, OneLane
from tests.support.server import Server, running_server

ASKING = f"GET /images/{IMAGE_ID}/download-url HTTP/1.1\r\nHost: x\r\n\r\n"
LIMIT = 60


@asynccontextmanager
async def server_on_a_slow_store(milliseconds: int, **settings: str) -> AsyncIterator[Server]:
    lane = OneLane(milliseconds / 1000)
    async with await asyncio.start_server(lane.serve, "127.0.0.1", 0, backlog=512) as store:
        environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.sockets[0].getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "LOG_LEVEL": "WARNING",
            **settings,
        }
        async with running_server("--backend", "aws", environment=environment) as running:
            yield running
        for connection in tuple(lane.connections):
            connection.close()


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    path = tmp_path / "request"
    path.write_text(ASKING, newline="")
    return path


async def asking(server: Server, request: Path, rate: float, seconds: float, *more: str) -> Any:
    """What an impatient crowd got, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.overload.openloop"),
        *(server.url, str(request), str(rate), str(seconds), *more),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode == 0
    return json.loads(output)


async def test_twice_as_much_as_can_be_done_is_turned_away_in_time(request_file: Path) -> None:
    async with server_on_a_slow_store(20, OVERLOAD_DELAY_MS="50") as server:
        crowd = await asking(server, request_file, 150, 3)
        assert set(crowd["answers"]) == {"200", "503 overloaded", "livez 200"}
        assert crowd["unanswered"] == crowd["refused_connections"] == 0
        assert crowd["without_retry_after"] == 0
        shed = crowd["answers"]["503 overloaded"]
        assert crowd["answers"]["200"] + shed == crowd["sent"]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{server.url}/metrics") as answer:
                assert f'mont_shed_total{{reason="overloaded"}} {shed}.0' in await answer.text()
            async with session.get(f"{server.url}/images/{IMAGE_ID}") as answer:
                assert answer.status == 200


async def test_a_signal_under_load_loses_no_request(request_file: Path) -> None:
    async with server_on_a_slow_store(2) as server:
        asked = asyncio.create_task(asking(server, request_file, 120, 2.5, "--new", "2"))
        async with aiohttp.ClientSession() as session:
            while not await _answered(session, server, 60):
                pass
        assert await server.stop(signal.SIGTERM) == 0
        crowd = await asked
    assert crowd["unanswered"] == 0
    assert crowd["refused_connections"] > 0
    assert crowd["answers"]["200"] >= 60
    assert set(crowd["answers"]) <= {"200", "livez 200"}


async def _answered(session: aiohttp.ClientSession, server: Server, least: int) -> bool:
    """Whether that many requests were answered so far."""
    async with session.get(f"{server.url}/metrics") as answer:
        counted = 'mont_requests_total{method="GET",route="download_url",status="200"} '
        lines = (await answer.text()).splitlines()
    return any(float(line.split()[-1]) >= least for line in lines if line.startswith(counted))
