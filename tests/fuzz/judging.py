"""What has to hold for every answer, whatever was asked."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import Draft202012Validator

from service.endpoints import ENDPOINTS
from service.openapi import build_document
from tests.support.api import Answer
from tests.support.makers import RULES

DOCUMENT: dict[str, Any] = build_document(ENDPOINTS, RULES)

_PROBLEM = Draft202012Validator(
    {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
_REFUSALS = {400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422}
_NO_BODY = {100, 204, 304}
# Header names that are nobody's business to make us send.
_NEVER = {"set-cookie", "location", "refresh", "x-evil", "content-encoding"}


def judge(answer: Answer, method: str = "GET") -> None:
    """Fail unless the answer is a sound one: served, or refused with a problem of the contract."""
    assert answer.status in {200, 204, 304} | _REFUSALS, (answer.status, answer.body)
    assert _REQUEST_ID.fullmatch(answer.headers["X-Request-Id"])
    assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]
    assert not _NEVER & {name.lower() for name in answer.headers}
    if method == "HEAD" or answer.status in _NO_BODY:
        assert answer.body == b""
    elif answer.status in _REFUSALS:
        _judge_problem(answer)
    elif answer.headers["Content-Type"] == "application/json":
        json.loads(answer.body.decode())


def _judge_problem(answer: Answer) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    document = json.loads(answer.body.decode())
    _PROBLEM.validate(document)
    assert document["status"] == answer.status
    assert document["instance"] == answer.headers["X-Request-Id"]
    for name in ("Allow",) if answer.status == 405 else ():
        assert answer.headers[name]
    assert b"Traceback" not in answer.body
    assert b'File "' not in answer.body
