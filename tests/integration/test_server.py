"""The real process, started as a user starts it, with real files and real signals."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import aiohttp.test_utils
import aiohttp.web
import pytest
import pytest_asyncio
from click.testing import CliRunner

from service.__main__ import main
from tests.support.api import HttpApi, new_user
from tests.support.pages import PAGES
from tests.support.real_images import FORMATS, real_image
from tests.support.server import Server, clean_environment, running_server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server():
    async with running_server("--backend", "embedded") as running:
        yield running


@pytest.fixture
async def api(server: Server):
    async with aiohttp.ClientSession() as browser:
        yield HttpApi(browser, server.url)


async def run_mont(*arguments: str, **environment: str) -> tuple[int, str]:
    """A `mont` command's exit status and everything it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        *arguments,
        env=clean_environment(**environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


@pytest.mark.parametrize("content_type", FORMATS)
async def test_a_real_file_of_each_format_comes_back_byte_for_byte(api, content_type):
    image, user = real_image(content_type, width=320, height=200), new_user()
    image_id = await api.upload(user, image, tags=["real"])
    shown = await api.show(image_id)
    assert (shown["width"], shown["height"]) == (320, 200)
    link = await api.ok("GET", f"/images/{image_id}/download-url")
    served = await api.fetch(link["presigned_url"])
    assert served.body == image.body
    assert served.headers["Content-Type"] == content_type
    assert await api.ids(user_id=user, tag="real") == [image_id]


async def test_other_commands_reach_the_embedded_stores(api, server):
    status, printed = await run_mont("provision", AWS_ENDPOINT_URL=server.backend)
    assert (status, printed.strip()) == (0, "Nothing to change.")


async def test_a_second_server_shares_the_stores_of_the_first(api, server):
    image_id = await api.upload(new_user())
    async with running_server(
        "--backend", "aws", environment={"AWS_ENDPOINT_URL": server.backend}
    ) as second:
        assert (await HttpApi(api.browser, second.url).show(image_id))["image_id"] == image_id


async def test_the_start_message_says_that_images_live_in_memory(server):
    assert "IMAGES LIVE IN MEMORY" in server.banner
    assert f"AWS_ENDPOINT_URL={server.backend}" in server.banner


async def test_the_printed_line_of_curl_uploads_a_photo(api, server, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(real_image("image/jpeg").body)
    line = re.search(r"^F=photo\.jpg.*$", server.banner, re.MULTILINE)[0]
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", line, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert b'"status":"completed"' in output


async def test_the_workflow_of_the_readme_runs_as_written(api, server, tmp_path):
    workflow = PAGES["README.md"].example("# 1. Say what you will upload")
    assert "MONT=http://127.0.0.1:8080\n" in workflow
    script = workflow.replace("http://127.0.0.1:8080", shlex.quote(server.url))
    (tmp_path / "photo.jpg").write_bytes(real_image("image/jpeg").body)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-euc",
        script,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    assert b'"status":"deleted"' in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_everything_and_leaves_no_process(number):
    async with running_server("--backend", "embedded") as running:
        port = int(running.backend.rpartition(":")[2])
        assert await running.stop(number) == 0
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass


async def test_a_killed_server_takes_its_backend_with_it():
    async with running_server("--backend", "embedded") as running:
        port = int(running.backend.rpartition(":")[2])
        assert await running.stop(signal.SIGKILL) == -signal.SIGKILL
    async with asyncio.timeout(20):
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except (ConnectionRefusedError, ConnectionResetError):  # the latter while it closes
                return
            await asyncio.sleep(0.02)


async def test_a_server_whose_backend_ends_says_so_and_ends_too():
    async with running_server("--backend", "embedded") as running:
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        if not children.exists():
            pytest.skip("telling a process's children needs /proc")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        assert await asyncio.wait_for(running.process.wait(), 20) == 1


async def test_a_request_under_way_at_sigterm_is_answered(slow_store):
    endpoint, asked, answer = slow_store
    async with running_server("--backend", "aws", environment={"AWS_ENDPOINT_URL": endpoint}) as s:
        async with aiohttp.ClientSession() as session:
            request = asyncio.create_task(
                session.get(f"{s.url}/images/{'1' * 8}-1111-4111-8111-{'1' * 12}")
            )
            await asyncio.wait_for(asked.wait(), 20)
            s.process.terminate()
            answer.set()
            assert (await asyncio.wait_for(request, 20)).status == 404
        assert await asyncio.wait_for(s.process.wait(), 20) == 0


@pytest.fixture
async def slow_store():
    """A DynamoDB without items that answers when told to."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def handle(request: aiohttp.web.BaseRequest) -> aiohttp.web.Response:
        asked.set()
        await answer.wait()
        return aiohttp.web.json_response({}, content_type="application/x-amz-json-1.0")

    async with aiohttp.test_utils.RawTestServer(handle) as server:
        yield str(server.make_url("")).rstrip("/"), asked, answer


async def test_dead_stores_are_503_and_the_process_is_alive():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
    environment = {"AWS_ENDPOINT_URL": endpoint}
    async with (
        running_server("--backend", "aws", environment=environment) as running,
        aiohttp.ClientSession() as browser,
    ):
        api = HttpApi(browser, running.url)
        assert (await api.request("GET", "/livez")).status == 200
        ready = await api.request("GET", "/readyz")
        ready.problem(503, "store-unavailable")
        listed = await api.request("GET", "/images")
        listed.problem(503, "store-unavailable")
        assert int(listed.headers["Retry-After"]) > 0
        assert endpoint not in str(listed.body)


async def test_wrong_settings_stop_the_start_with_all_problems():
    status, printed = await run_mont("serve", PORT="high", MAX_PAGE_SIZE="0", LOG_LEVEL="loud")
    assert status == 1
    for name in ("PORT", "MAX_PAGE_SIZE", "LOG_LEVEL"):
        assert name in printed
    assert "Traceback" not in printed


async def test_a_taken_port_is_said_plainly():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, printed = await run_mont("serve", PORT=str(taken.getsockname()[1]))
    assert status == 1
    assert "in use" in printed
    assert "Traceback" not in printed


async def test_the_openapi_command_prints_the_document():
    status, printed = await run_mont("openapi")
    assert status == 0
    assert '"/images/upload-url"' in printed


def test_this_suite_sees_no_settings_of_its_surroundings():
    assert not [name for name in clean_environment() if name in {"AWS_ENDPOINT_URL", "HOST"}]
    assert os.environ is not clean_environment()


def test_nobody_is_believed_on_aws_unless_that_was_asked_for() -> None:
    runner = CliRunner(env={"AUTH_MODE": None, "AWS_ENDPOINT_URL": None})
    refused = runner.invoke(main, ["serve", "--backend", "aws"])
    assert refused.exit_code == 1
    assert "AUTH_MODE=api_key" in refused.stderr
