"""No request makes the service fail, hang, or say what it should not, through either door."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_bridge.functions import FUNCTIONS
from tests.fuzz.hostile import (
    BODIES,
    GOOD,
    INJECTION,
    KNOWN_ID,
    MARKUP,
    METHODS,
    REQUESTS,
    TARGETS,
    TEXTS,
    VALUES,
    Hostile,
)
from tests.fuzz.judging import judge
from tests.fuzz.knocking import BridgeDoor, Door
from tests.support.api import Answer
from tests.support.effort import searching
from tests.support.gateway import Lambda

JSON = [("Content-Type", "application/json")]


def post(knock: Door, path: str, document: object) -> Answer:
    return knock.ask("POST", path, JSON, json.dumps(document).encode())


@searching(short=100, long=3_000)
@given(request=REQUESTS)
def test_whatever_is_asked_is_answered_soundly(knock: Door, request: Hostile) -> None:
    answer = knock.ask(request.method, request.target, request.headers, request.body)
    judge(answer, request.method)


@pytest.mark.parametrize("path", ["/images/upload-url", "/images/complete", "/images/delete"])
@searching(short=30, long=1_000)
@given(body=BODIES)
def test_whatever_is_sent_is_answered_soundly(knock: Door, path: str, body: bytes) -> None:
    judge(knock.ask("POST", path, JSON, body))


@pytest.mark.parametrize("field", ["filename", "description", "tags"])
@pytest.mark.parametrize("text", [INJECTION, MARKUP, "\0", "\u202e", "\ufeff"], ids=ascii)
def test_text_is_data_and_nothing_else(knock: Door, field: str, text: str) -> None:
    answer = post(knock, "/images/upload-url", {**GOOD, field: [text] if field == "tags" else text})
    judge(answer)
    assert answer.status == 200
    ticket = answer.json()
    sent = json.dumps(ticket["fields"])
    assert "<" not in sent
    assert "\\r" not in sent
    assert ticket["s3_key"].isascii()
    assert ticket["s3_key"].startswith("images/ann/")


@searching(short=40, long=1_000)
@given(user_id=TEXTS)
def test_a_user_id_that_is_none_is_refused_and_moves_nothing(knock: Door, user_id: str) -> None:
    answer = post(knock, "/images/upload-url", {**GOOD, "user_id": user_id})
    judge(answer)
    if answer.status == 200:
        assert answer.json()["fields"]["key"].split("/")[:2] == ["uploads", user_id]
        assert user_id.isascii()
        assert user_id not in {"", ".", ".."}


@pytest.mark.parametrize("text", [MARKUP, INJECTION, "\ud800", "x" * 9_000], ids=ascii)
def test_what_is_refused_is_not_shown_again(knock: Door, text: str) -> None:
    for answer in (
        post(knock, "/images/upload-url", {**GOOD, "user_id": text}),
        post(knock, "/images/delete", {"user_id": "ann", "image_ids": [text]}),
        post(knock, "/images/complete", {**GOOD, "image_id": text}),
        post(knock, "/images/upload-url", {**GOOD, "content_type": text}),
    ):
        judge(answer)
        assert answer.status == 400
        assert text.encode("utf-8", "surrogatepass") not in answer.body
        assert b"<script" not in answer.body


_members = st.sampled_from(
    [
        *("httpMethod", "path", "resource", "body", "isBase64Encoded", "headers", "version"),
        *("multiValueHeaders", "queryStringParameters", "multiValueQueryStringParameters"),
        *("pathParameters", "stageVariables", "requestContext", "rawPath", "rawQueryString"),
        *("cookies", "Records", "source", "detail"),
    ]
)
_events = st.builds(
    lambda sound, strange: {**sound, **strange},
    st.fixed_dictionaries(
        {},
        optional={
            "httpMethod": METHODS,
            "path": TARGETS,
            "pathParameters": st.fixed_dictionaries({"image_id": st.just(KNOWN_ID) | TEXTS}),
            "body": st.builds(json.dumps, VALUES) | TEXTS,
            "requestContext": st.fixed_dictionaries({}, optional={"http": VALUES, "stage": VALUES}),
        },
    ),
    st.dictionaries(_members, VALUES, max_size=3),
)


@searching(short=100, long=3_000)
@given(function=st.sampled_from(sorted(FUNCTIONS)), event=_events)
def test_whatever_event_a_function_gets_is_answered_soundly(
    functions: Lambda, function: str, event: Any
) -> None:
    judge(BridgeDoor(functions).deliver(function, event), str(event.get("httpMethod")))
