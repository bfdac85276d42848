"""Every request that the OpenAPI document describes, and every way to get one wrong.

Schemathesis makes both from the document and holds each answer against it, with all its checks.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import requests
import schemathesis
from requests.adapters import BaseAdapter
from schemathesis.checks import CHECKS
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import negative_data_rejection
from urllib3 import HTTPResponse

from service.endpoints import ENDPOINTS
from service.openapi import build_document
from tests.fuzz.judging import DOCUMENT, judge
from tests.fuzz.knocking import Door, HttpDoor
from tests.support.api import Answer
from tests.support.effort import LONG, searching
from tests.support.makers import RULES

# Of a server named relatively to the document it would ask that unknown parameters be refused.
AT_THE_ROOT = {"servers": [{"url": "/"}]}
schema = schemathesis.openapi.from_dict(DOCUMENT | AT_THE_ROOT)
with_keys = schemathesis.openapi.from_dict(
    build_document(ENDPOINTS, RULES, "api_key") | AT_THE_ROOT
)

# What a schema cannot say of a request: the type of the problem, and how its details begin.
BEYOND_SCHEMAS: dict[str, tuple[str, ...]] = {
    "invalid-next-token": (),
    "declaration-too-long": (),
    "revision-mismatch": (),
    "invalid-fields": (
        "Not a date that exists",
        "Must not be before start_date.",
        # A caller with a key need not say whose image it edits, but what about it.
        "Nothing to change",
    ),
}
# Who deletes says so in the body or in the query, and the same where in both.
OF_DELETE = ("Missing data for required field.", "Differs from the one in the query.")


def filter_failure(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Whether it is one: a request may fit its schema and still make no sense."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    problem = json.loads(response.content)
    slug = problem["type"].removeprefix("urn:mont:problem:")
    known = BEYOND_SCHEMAS.get(slug)
    if known is None:
        return True
    if slug == "invalid-fields" and case.operation.label.startswith("DELETE"):
        known += OF_DELETE
    details = [each["detail"] for each in problem.get("errors", [])]
    return not all(detail.startswith(known) for detail in details)


schema.hook(filter_failure)
with_keys.hook(filter_failure)


class ThroughDoor(BaseAdapter):
    """Hands requests that were made for HTTP to a door."""

    def __init__(self, knock: Door) -> None:
        super().__init__()
        self._knock = knock

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        body = request.body or b""
        headers = [(name, _text(value)) for name, value in request.headers.items()]
        answer = self._knock.ask(
            request.method or "",
            request.path_url,
            [each for each in headers if each[0].lower() != "content-length"],
            body.encode() if isinstance(body, str) else body,
        )
        judge(answer, request.method or "")
        return _response(request, answer)

    def close(self) -> None:
        pass


def _text(value: str | bytes) -> str:
    # As http.client does it: header text is Latin-1 where it is no ASCII.
    return value if isinstance(value, str) else value.decode("latin-1")


def _response(request: requests.PreparedRequest, answer: Answer) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.url = request.url or ""
    response.request = request
    response.headers = requests.structures.CaseInsensitiveDict(answer.headers)
    response.raw = HTTPResponse(
        io.BytesIO(answer.body), answer.headers, status=answer.status, preload_content=False
    )
    return response


def test_no_check_of_schemathesis_is_left_out() -> None:
    schemathesis.checks.load_all_checks()
    assert len(CHECKS.get_all_names()) >= 14
    disabled = [
        name for name in CHECKS.get_all_names() if not getattr(schema.config.checks, name).enabled
    ]
    assert disabled == []


def session_through(knock: Door, address: str) -> requests.Session:
    session = requests.Session()
    session.mount(address, ThroughDoor(knock))
    return session


@schema.parametrize()
@searching(short=8, long=150)
def test_an_operation_answers_as_described(case: Any, knock: Door) -> None:
    case.call_and_validate(base_url="http://door", session=session_through(knock, "http://door"))


@pytest.mark.skipif(not LONG, reason="make fuzz")
@with_keys.parametrize()
@searching(short=5, long=60)
def test_an_operation_that_asks_for_a_key_answers_as_described(
    case: Any, guarded: tuple[HttpDoor, str]
) -> None:
    knock, key = guarded
    case.call_and_validate(
        # One check asks again without the key, by a session of its own.
        base_url=knock.address,
        session=session_through(knock, knock.address),
        headers={"X-API-Key": key},
        # It takes a request to be wrong whose key it left out, and which gets the good one here.
        excluded_checks=[negative_data_rejection],
    )
