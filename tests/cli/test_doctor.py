"""mont doctor: what is right, what is wrong, and what to do about it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from service.doctor.findings import PIXEL, Finding, clock_finding, cors_finding
from service.doctor.http import open_browser
from service.doctor.webhooks import check_webhooks
from service.imageformat import read_header
from service.settings import load_settings
from tests.cli.conftest import Mont
from tests.support.server import Server

NOON = datetime(2026, 2, 13, 12, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def states(output: str) -> dict[str, str]:
    """Each check's state."""
    lines = [line for line in output.splitlines() if not line.startswith(" ")]
    return {line[9:].partition(":")[0]: line[:9].strip() for line in lines}


def test_all_is_well_with_a_fresh_server(mont: Mont, server: Server) -> None:
    result = mont("doctor", AWS_ENDPOINT_URL=server.backend, **CREDENTIALS)
    assert result.exit_code == 0, result.output
    found = states(result.stdout)
    assert set(found.values()) == {"ok"}
    assert {
        "settings",
        "credentials",
        "bucket mont-images",
        "table ImageMetadata",
        "table MontApiKeys",
        "form and link",
        "clock (S3)",
        "CORS",
        "service",
        "clock (service)",
        "caller",
        "upload and download",
    } <= set(found)
    assert mont.images() == [], "it leaves nothing behind"


def test_what_is_missing_is_named_with_the_command_that_makes_it(
    mont: Mont, server: Server
) -> None:
    result = mont(
        "doctor",
        "--no-service",
        AWS_ENDPOINT_URL=server.backend,
        S3_BUCKET_NAME="mont-nowhere",
        DYNAMODB_TABLE_NAME="MontNothing",
        DYNAMODB_GSI_NAME="MontIndex",
        **CREDENTIALS,
    )
    assert result.exit_code == 1
    found = states(result.stdout)
    assert found["bucket mont-nowhere"] == found["table MontNothing"] == "failed"
    assert found["form and link"] == "skipped"
    assert "mont provision" in result.stdout


def test_an_index_that_is_missing_is_named(mont: Mont, server: Server) -> None:
    result = mont(
        "doctor",
        "--no-service",
        AWS_ENDPOINT_URL=server.backend,
        DYNAMODB_GSI_NAME="OtherIndex",
        **CREDENTIALS,
    )
    assert "lacks the index OtherIndex" in result.stdout
    assert result.exit_code == 1


def test_programs_get_a_json_object_a_line(mont: Mont) -> None:
    result = mont("doctor", "--no-stores", "--json", "--url", "http://127.0.0.1:1")
    (finding,) = map(json.loads, result.stdout.splitlines())
    assert (result.exit_code, finding["check"], finding["state"]) == (1, "service", "failed")
    assert "127.0.0.1:1" in finding["seen"]
    assert "--url" in finding["fix"]


async def test_the_receiver_of_webhooks_is_looked_at_and_told_nothing(
    mont: Mont, server: Server
) -> None:
    seen: list[str] = []

    async def receive(request: web.BaseRequest) -> web.Response:
        seen.append(request.method)
        return web.Response(status=405)

    async with RawTestServer(receive) as receiver:
        url = str(receiver.make_url("/hooks/secret"))
        told = {"EVENTS": "webhook", "WEBHOOK_URL": url, "WEBHOOK_SECRET": f"{SECRET} {SECRET}"}
        stores = {"AWS_ENDPOINT_URL": server.backend, **CREDENTIALS}
        by_settings = Mont({**mont.environment, **stores, **told})
        _, printed, _ = await by_settings.run("doctor", "--no-service", "--json")
    found = {each["check"]: each for each in map(json.loads, printed.splitlines())}
    assert found["webhook receiver"]["state"] == found["webhook secret"]["state"] == "ok"
    assert "2 of them" in found["webhook secret"]["seen"]
    assert seen == ["OPTIONS"]
    assert "/hooks" not in printed, "whoever has the address could be all it takes"


@pytest.mark.parametrize(
    ("status", "state"), [(200, "ok"), (404, "ok"), (307, "failed"), (502, "warning")]
)
async def test_any_answer_shows_that_a_receiver_is_there(status: int, state: str) -> None:
    async def receive(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with RawTestServer(receive) as receiver:
        finding = await receiver_finding(str(receiver.make_url("/")))
    assert finding.state == state


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/hooks", "http://mont.invalid/hooks"])
async def test_a_receiver_that_cannot_be_reached_is_a_failure(url: str) -> None:
    finding = await receiver_finding(url)
    assert finding.state == "failed"
    assert "could not be reached" in finding.seen
    assert "WEBHOOK_URL" in finding.fix


async def test_events_without_a_receiver_wait_for_one() -> None:
    assert (await receiver_finding("")).state == "skipped"


async def receiver_finding(url: str) -> Finding:
    """What is found of a receiver at this address."""
    told = {"WEBHOOK_URL": url, "WEBHOOK_SECRET": SECRET} if url else {}
    settings = load_settings({"EVENTS": "webhook", **told})
    async with open_browser() as browser:
        return [each async for each in check_webhooks(browser, settings)][-1]


def test_wrong_settings_are_all_named(mont: Mont) -> None:
    result = mont("doctor", "--no-service", PORT="high", MAX_PAGE_SIZE="0")
    assert result.exit_code == 1
    assert "PORT" in result.stdout
    assert "MAX_PAGE_SIZE" in result.stdout


def test_no_credentials_are_said_to_be_missing(mont: Mont) -> None:
    result = mont(
        "doctor",
        "--no-service",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_SHARED_CREDENTIALS_FILE="/nonexistent",
        AWS_CONFIG_FILE="/nonexistent",
    )
    assert states(result.stdout) == {"settings": "ok", "credentials": "failed"}
    assert "AWS_PROFILE" in result.stdout


def test_a_service_that_is_not_there_counts_only_where_it_was_named(
    mont: Mont, server: Server
) -> None:
    elsewhere = mont("doctor", "--no-stores", "--url", "http://127.0.0.1:1")
    assert states(elsewhere.stdout) == {"service": "failed"}
    assert elsewhere.exit_code == 1
    other = mont("doctor", "--no-stores", "--url", f"{server.url}/images")
    assert states(other.stdout) == {"service": "failed"}
    assert "base of the API" in other.stdout


@pytest.mark.parametrize(
    ("date", "state"),
    [
        ("Fri, 13 Feb 2026 12:00:04 GMT", "ok"),
        ("Fri, 13 Feb 2026 11:59:00 GMT", "warning"),
        ("Fri, 13 Feb 2026 12:06:00 GMT", "failed"),
        ("Fri, 13 Feb 2026 11:00:00", "failed"),
        ("noon", "skipped"),
        (None, "skipped"),
    ],
)
def test_a_clock_is_compared_with_the_date_of_an_answer(date: str | None, state: str) -> None:
    assert clock_finding("S3", date, NOON).state == state


@pytest.mark.parametrize(
    ("status", "allowed", "methods", "state"),
    [
        (200, "*", "GET, POST", "ok"),
        (204, "https://a.example", "post", "ok"),
        (403, None, "", "failed"),
        (200, "https://b.example", "POST", "failed"),
        (200, "*", "GET", "failed"),
    ],
)
def test_a_preflight_says_whether_a_page_may_send_forms(
    status: int, allowed: str | None, methods: str, state: str
) -> None:
    finding = cors_finding("CORS", "https://s3", "https://a.example", status, allowed, methods)
    assert finding.state == state


def test_the_picture_that_is_uploaded_is_one_pixel() -> None:
    header = read_header(PIXEL, len(PIXEL))
    assert (header.content_type, header.width, header.height) == ("image/png", 1, 1)
