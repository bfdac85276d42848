"""What every answer tells a browser not to do."""

from __future__ import annotations

import aiohttp
import pytest

from tests.edges.test_protocol import a_bit_of_everything
from tests.support.api import Api, HttpApi

PAGES = ["/", "/docs", "/pages/app.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"]


async def test_no_answer_may_be_taken_for_something_else_than_it_is(api: Api) -> None:
    answers = [
        *await a_bit_of_everything(api),
        await api.request("GET", "/images/%3Cscript%3E"),
        await api.request("OPTIONS", "/images"),
        await api.request("HEAD", "/livez"),
        await api.request("GET", "/docs"),
        await api.request("GET", "/openapi.json"),
    ]
    for answer in answers:
        assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]


@pytest.fixture
def page(browser: aiohttp.ClientSession, door: str) -> Api:
    return HttpApi(browser, door)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_gives_away_nothing_and_asks_for_nothing(page: Api, path: str) -> None:
    headers = (await page.request("GET", path)).headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    denied = dict(each.strip().split("=") for each in headers["Permissions-Policy"].split(","))
    assert set(denied.values()) == {"()"}
    assert {"camera", "geolocation", "microphone"} <= set(denied)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_runs_its_own_files_and_is_nobodys_frame(page: Api, path: str) -> None:
    headers = (await page.request("GET", path)).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    nothing = ("default-src", "frame-ancestors", "base-uri", "form-action")
    assert {policy[name] for name in nothing} == {"'none'"}
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    # Hosts by name: a scheme alone would be the whole web.
    assert not {"http:", "https:", "*"} & set(headers["Content-Security-Policy"].split())


async def test_the_documentation_gets_through_a_gateway_that_takes_text_alone(api: Api) -> None:
    answer = await api.request("GET", "/docs", headers={"Accept-Encoding": "gzip"})
    assert answer.status == 200
    assert b"swagger-ui" in answer.body


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_that_a_browser_has_keeps_its_policy(page: Api, path: str) -> None:
    first = await page.request("GET", path)
    again = await page.request("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304
    for name in ("Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"):
        assert again.headers[name] == first.headers[name]
