"""Several server processes on one port, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from service.settings import Settings
from tests.support.api import HttpApi, new_user
from tests.support.server import Server, clean_environment, running_server

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="telling children needs /proc"),
]
LIMIT = 40
POLICY = "RateLimit-Policy"
NOWHERE = "http://127.0.0.1:9"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running_server("--backend", "embedded", "--workers", "2") as running:
        yield running


def workers_of(server: Server) -> set[int]:
    """The processes that serve."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return {child for child in map(int, children.split()) if is_worker(child)}


def is_worker(process_id: int) -> bool:
    with suppress(OSError):
        return b"service.workers.worker" in Path(f"/proc/{process_id}/cmdline").read_bytes()
    return False


async def two_others(server: Server, before: set[int]) -> set[int]:
    """The workers, once there are two and none of those of before."""
    async with asyncio.timeout(LIMIT):
        while len(now := workers_of(server)) != 2 or now & before:
            await asyncio.sleep(0.02)
    return now


async def get(server: Server, path: str) -> tuple[int, str]:
    """An answer on a connection of its own."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.url + path, timeout=aiohttp.ClientTimeout(LIMIT)) as answer,
    ):
        return answer.status, await answer.text()


async def livez_answered(server: Server) -> float:
    _, text = await get(server, "/metrics")
    counted = re.findall(r'^mont_requests_total\{.*route="livez".*\} (\S+)$', text, re.MULTILINE)
    return sum(map(float, counted))


async def test_they_share_the_port_the_stores_and_one_start_message(server: Server) -> None:
    assert server.banner.count("is ready") == 1
    assert len(workers_of(server)) == 2
    async with aiohttp.ClientSession() as browser:
        api, user = HttpApi(browser, server.url), new_user()
        image_id = await api.upload(user)
        limited = await api.request("GET", "/images")
        assert f'"burst";q={Settings().throttle_burst_limit // 2};' in limited.headers[POLICY]
    for _ in range(8):
        status, text = await get(server, f"/images?user_id={user}")
        assert (status, json.loads(text)["images"][0]["image_id"]) == (200, image_id)


async def test_each_of_them_tells_the_metrics_of_all(server: Server) -> None:
    before = await livez_answered(server)
    for _ in range(12):
        assert (await get(server, "/livez"))[0] == 200
    assert {await livez_answered(server) for _ in range(12)} == {before + 12}


async def test_each_of_them_tells_what_the_processes_of_all_take(server: Server) -> None:
    for _ in range(4):  # whichever of them answers
        _, text = await get(server, "/metrics")
        told = re.findall(r'^process_resident_memory_bytes\{pid="(\d+)"\} \S+$', text, re.MULTILINE)
        assert set(map(int, told)) == workers_of(server)
        # This very request, counted by whoever answers it.
        assert re.search(r"^mont_requests_in_flight [1-9]", text, re.MULTILINE)


async def test_one_that_dies_is_replaced(server: Server) -> None:
    one, other = workers_of(server)
    os.kill(one, signal.SIGKILL)
    async with asyncio.timeout(LIMIT):
        while (now := workers_of(server)) == {other} or one in now or len(now) < 2:
            # Whoever connects to the dead one's socket waits for the next.
            assert (await get(server, "/livez"))[0] == 200
    assert other in now


async def test_they_are_renewed_without_refusing_anybody(server: Server) -> None:
    before, answered = workers_of(server), await livez_answered(server)
    renewed = asyncio.create_task(two_others(server, before))
    server.process.send_signal(signal.SIGHUP)
    asked = 0
    async with aiohttp.ClientSession() as session:
        while not renewed.done():
            assert (await get(server, "/livez"))[0] == 200
            async with session.get(f"{server.url}/livez") as answer:  # on a connection kept open
                assert answer.status == 200
            asked += 2
    await renewed
    # Also what those of before counted.
    assert await livez_answered(server) == answered + asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_when_the_first_process_ends_all_end(number: int) -> None:
    environment = {"AWS_ENDPOINT_URL": NOWHERE}
    async with running_server("--workers", "2", environment=environment) as running:
        workers = workers_of(running)
        assert await running.stop(number) == (0 if number == signal.SIGTERM else -number)
    async with asyncio.timeout(LIMIT):
        while any(map(is_worker, workers)):
            await asyncio.sleep(0.02)


async def test_workers_that_cannot_start_end_the_server_with_a_message(tmp_path: Path) -> None:
    """Something of theirs is broken that the first process does not use."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'service.workers.worker' in sys.orig_argv:\n"
        "    print('broken here', file=sys.stderr, flush=True)\n"
        "    os._exit(1)\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "serve", "--workers", "2"),
        env=clean_environment(AWS_ENDPOINT_URL=NOWHERE, PYTHONPATH=str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode == 1
    assert "broken here" in output.decode()
    assert "A worker ended with status 1 while starting" in output.decode()
    assert "Traceback" not in output.decode()


async def test_a_port_that_another_server_shares_is_taken(server: Server) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", "serve", "--workers", "2"),
        env=clean_environment(AWS_ENDPOINT_URL=server.backend, PORT=server.url.rpartition(":")[2]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode == 1
    assert "in use" in output.decode()
