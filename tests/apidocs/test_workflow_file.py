"""config/workflow.http does what it says, sent from top to bottom."""

from __future__ import annotations

import json
import re
from pathlib import Path

import aiohttp

from service.endpoints import ENDPOINTS
from tests.apidocs.httpfile import HttpFile
from tests.support.api import new_user
from tests.support.server import Server

FILE = Path(__file__).parents[2] / "config" / "workflow.http"


def test_it_has_every_call_of_the_api() -> None:
    calls = set()
    for each in HttpFile.read(FILE).requests:
        path = each.target.removeprefix("{{base}}").partition("?")[0]
        calls.add((each.method, re.sub(r"\{\{.*?\}\}", "{image_id}", path)))
    assert calls >= {(each.method, each.path) for each in ENDPOINTS}


def test_it_tells_the_size_of_its_own_picture() -> None:
    file = HttpFile.read(FILE)
    picture = FILE.with_name(file.variables["file_name"])
    assert picture.stat().st_size == int(file.variables["file_size"])
    assert f"< ./{picture.name}\n" in FILE.read_text()


async def test_every_request_of_it_succeeds(server: Server) -> None:
    file = HttpFile.read(FILE)
    file.variables |= {"base": server.url, "user": new_user()}
    async with aiohttp.ClientSession() as browser:
        for each in file.requests:
            answer = await file.send(each, browser)
            assert answer.status in {200, 204}, (each.target, answer.body)
    told = {name: json.loads(each.body) for name, each in file.answers.items() if name != "bytes"}
    assert told["completed"]["status"] == "completed"
    assert [image["image_id"] for image in told["page"]["images"]] == [told["image"]["image_id"]]
    assert file.answers["bytes"].body == FILE.with_name("workflow.png").read_bytes()
    assert told["links"]["results"][0]["presigned_url"]
    assert told["deleted"]["status"] == "deleted"
    assert told["again"]["results"][0]["status"] == 404


async def test_its_form_has_every_field_that_the_service_asks_for(server: Server) -> None:
    file = HttpFile.read(FILE)
    file.variables |= {"base": server.url, "user": new_user()}
    ticket, form = file.requests[:2]
    async with aiohttp.ClientSession() as browser:
        answer = await file.send(ticket, browser)
    written = re.findall(r'form-data; name="([^"]+)"', "\n".join(form.body))
    assert written == [*json.loads(answer.body)["fields"], "file"]
