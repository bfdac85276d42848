"""The documents that the service serves: OpenAPI, Swagger UI, and what doors add."""

import re
from importlib.resources import files
from typing import Any
from urllib.parse import urljoin

import orjson
import pytest
from openapi_spec_validator import validate

from service import problems
from service.documents import file_endpoint, live_endpoint, static_endpoint
from service.endpoints import ENDPOINTS
from service.openapi import build_document
from service.schemas import Rules
from tests.support.makers import RULES, an_api, document_of

DOCUMENT = build_document(ENDPOINTS, RULES)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"][name] if name else schema


async def test_the_served_document_is_the_built_one_and_is_valid() -> None:
    answer = await an_api()("GET", "/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    served = document_of(answer)
    assert served == orjson.loads(orjson.dumps(DOCUMENT))
    assert served["openapi"].startswith("3.1")
    validate(served)


def test_validation_and_document_say_the_same_limits() -> None:
    document = build_document(ENDPOINTS, Rules(("image/png",), 77, 3, 9))
    upload = document["components"]["schemas"]["UploadRequest"]["properties"]
    assert (upload["file_size"]["minimum"], upload["file_size"]["maximum"]) == (1, 77)
    assert upload["content_type"]["enum"] == ["image/png"]
    assert (upload["tags"]["maxItems"], upload["tags"]["items"]["maxLength"]) == (20, 50)
    parameters = {each["name"]: each for each in document["paths"]["/images"]["get"]["parameters"]}
    limit = parameters["limit"]["schema"]
    assert (limit["default"], limit["minimum"], limit["maximum"]) == (3, 1, 9)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.name)
def test_every_problem_of_an_endpoint_is_described(endpoint: Any) -> None:
    responses = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]["responses"]
    for error in endpoint.problems:
        kind = problems.KINDS[error]
        assert f"urn:mont:problem:{kind.slug}" in responses[str(kind.status)]["description"]
    assert ("429" in responses) == endpoint.limited
    content = responses["200"]["content"]["application/json"]["schema"]
    assert resolved(content)["properties"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/start.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
    ],
)
async def test_swagger_ui_is_served_from_here(path: str, kind: str) -> None:
    api = an_api()
    answer = await api("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert answer.body
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    again = await api("GET", path, headers={"if-none-match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_the_docs_page_loads_nothing_from_elsewhere_and_no_inline_script() -> None:
    page = (await an_api()("GET", "/docs")).body.decode()
    assert "http://" not in page
    assert "https://" not in page
    assert "<script>" not in page
    loaded = {urljoin("/docs", each) for each in re.findall(r'(?:src|href)="([^"]+)"', page)}
    assert loaded >= {"/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"}


async def test_a_file_is_read_once_and_a_live_endpoint_every_time() -> None:
    reads = []

    def read() -> bytes:
        reads.append(1)
        return b"%d" % len(reads)

    api = an_api(
        None, static_endpoint("/fixed", "text/plain", read), live_endpoint("/live", "text/x", read)
    )
    assert [(await api("GET", "/fixed")).body for _ in range(2)] == [b"1", b"1"]
    answers = [await api("GET", "/live") for _ in range(2)]
    assert [each.body for each in answers] == [b"2", b"3"]
    assert answers[0].headers["Content-Type"] == "text/x"
    assert answers[0].headers["Cache-Control"] == "no-store"


def test_a_file_of_an_unknown_type_is_refused_at_once() -> None:
    with pytest.raises(KeyError):
        file_endpoint("/typed", files("service") / "py.typed")
