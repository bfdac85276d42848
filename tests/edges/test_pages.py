"""The pages, their assets, and what operators ask of the standalone server.

The gallery and Prometheus metrics are this door's own; the documentation of the API is on every
door (see test_openapi.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest

from service import pages as pages_package
from tests.support.api import Api, HttpApi, new_user

REFERENCES = re.compile(rb'(?:href|src)="([^"#]+)"')


@pytest.fixture
def api(browser: aiohttp.ClientSession, door: str) -> Api:
    return HttpApi(browser, door)


@pytest.mark.parametrize(("path", "links"), [("/", {"/docs"}), ("/docs", set())])
async def test_a_page_and_everything_that_it_loads_is_served(
    api: Api, path: str, links: set[str]
) -> None:
    page = await api.request("GET", path)
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    references = {urljoin(path, found.decode()) for found in REFERENCES.findall(page.body)}
    assert any(each.endswith(".js") for each in references)
    assert any(each.endswith(".css") for each in references)
    assert links <= references
    for each in references:
        if each.startswith("data:"):
            continue
        assert each.startswith("/"), f"{each} is loaded from elsewhere"
        asset = await api.request("GET", each)
        assert asset.status == 200, each
        kind = asset.headers["Content-Type"]
        if each.endswith(".js"):
            assert kind.startswith("text/javascript")
        if each.endswith(".css"):
            assert kind.startswith("text/css")


async def test_every_module_that_a_script_imports_is_served(api: Api) -> None:
    todo, done = ["/pages/app.js"], set()
    while todo:
        path = todo.pop()
        done.add(path)
        script = await api.request("GET", path)
        assert script.status == 200, path
        names = re.findall(rb'(?:from|import)\s*\(?\s*"(\.[^"]+)"', script.body)
        todo += [each for each in (urljoin(path, n.decode()) for n in names) if each not in done]
    # So that a slow connection brings all of them at once, the page names each beforehand.
    page = (await api.request("GET", "/")).body
    named = re.findall(rb'<link rel="modulepreload" href="([^"]+)">', page)
    assert sorted(urljoin("/", each.decode()) for each in named) == sorted(done - {"/pages/app.js"})


async def test_the_page_brings_along_what_it_has_to_know_of_the_service(api: Api) -> None:
    page = (await api.request("GET", "/")).body
    found = re.search(rb'<script id="contract" type="application/json">(.*)</script>', page)
    assert found is not None
    upload = (await api.ok("GET", "/openapi.json"))["components"]["schemas"]["UploadRequest"]
    assert json.loads(found[1]) == {
        "scheme": "",
        "types": upload["properties"]["content_type"]["enum"],
        "maxBytes": upload["properties"]["file_size"]["maximum"],
    }


def test_no_file_of_the_page_is_left_over_and_none_makes_markup_of_data() -> None:
    pages = Path(pages_package.__file__).parent
    files = {
        path.name: path.read_text("utf-8") for path in pages.glob("*.*") if path.suffix != ".py"
    }
    for name, text in files.items():
        others = "".join(each for other, each in files.items() if other != name)
        assert name == "index.html" or f'{name}"' in others, f"nothing loads {name}"
        assert not re.search(r"(inner|outer)HTML|insertAdjacentHTML|document\.write|eval\(", text)


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_may_run_nothing_that_is_not_its_own(api: Api, path: str) -> None:
    page = await api.request("GET", path)
    policy = dict(
        part.strip().split(" ", 1)
        for part in page.headers["Content-Security-Policy"].split(";")
        if part.strip()
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert b"<script>" not in page.body
    assert b"<style" not in page.body
    assert not re.search(rb'\son\w+="', page.body)
    assert not re.search(rb'\sstyle="', page.body)
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/docs/swagger-ui-bundle.js"])
async def test_a_document_that_a_browser_has_is_not_sent_again(api: Api, path: str) -> None:
    first = await api.request("GET", path)
    again = await api.request("GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/pages/app.js", "/docs", "/openapi.json"])
async def test_a_document_is_compressed_for_those_who_take_it(api: Api, path: str) -> None:
    plain = await api.request("GET", path, headers={"Accept-Encoding": "identity"})
    zipped = await api.request("GET", path, headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.body == plain.body  # decompressed by then
    assert int(zipped.headers["Content-Length"]) < len(plain.body)
    assert zipped.headers["ETag"] != plain.headers["ETag"]
    for answer in (plain, zipped):
        assert "Accept-Encoding" in answer.headers["Vary"]
    conditional = {"Accept-Encoding": "gzip", "If-None-Match": zipped.headers["ETag"]}
    again = await api.request("GET", path, headers=conditional)
    assert (again.status, again.headers["ETag"]) == (304, zipped.headers["ETag"])


async def test_the_api_documents_itself_at_the_address_that_its_page_reads(api: Api) -> None:
    script = await api.request("GET", "/docs/start.js")
    assert b"openapi.json" in script.body
    assert (await api.ok("GET", "/openapi.json"))["info"]["title"] == "Mont Image Service"


async def test_a_live_and_ready_service_says_so(api: Api) -> None:
    for path in ("/livez", "/readyz"):
        answer = await api.request("GET", path)
        assert (answer.status, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["Cache-Control"] == "no-store"


async def test_metrics_count_requests_by_endpoint_and_never_by_path(api: Api) -> None:
    user = new_user()
    await api.request("GET", "/images", params={"user_id": user})
    await api.request("GET", f"/nothing/{user}")
    answer = await api.request("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    assert re.search(
        r'mont_requests_total\{.*method="GET".*route="list_images".*status="200".*\} [1-9]', text
    )
    assert re.search(r'mont_request_duration_seconds_count\{route="list_images"\} [1-9]', text)
    assert user not in text
