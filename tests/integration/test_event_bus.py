"""The function that takes events from their table's stream to AWS's event bus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from aiohttp import web

from lambda_bridge.event_bus import run, told_by
from service.events.event import image_completed
from service.model import Event
from service.storage.outbox import event_item
from tests.support.gateway import LambdaContext
from tests.support.makers import an_image
from tests.support.stores import held_open

TABLE = "Events-here"
CONTEXT = LambdaContext("publish_events", "c6af9ac6-7b61-11e6-9a41-93e8deadbeef")


@dataclass
class Aws:
    """An event bus that refuses what it is told to, and a table that takes every note."""

    refused: set[str] = field(default_factory=set)
    down: bool = False
    taken: list[dict[str, Any]] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        assert "AWS4-HMAC-SHA256" in request.headers["Authorization"]
        target, body = request.headers["X-Amz-Target"], orjson.loads(await request.read())
        if self.down:
            return web.Response(status=400, body=orjson.dumps({"__type": "Refused"}))
        if target != "AWSEvents.PutEvents":
            assert (target, body["TableName"]) == ("DynamoDB_20120810.UpdateItem", TABLE)
            self.noted.append(body["Key"]["event_id"]["S"])
            event = image_completed(an_image())
            return web.Response(body=orjson.dumps({"Attributes": event_item(event, "eventbridge")}))
        assert "/events/aws4_request" in request.headers["Authorization"]
        assert len(body["Entries"]) <= 10
        outcomes: list[dict[str, str]] = []
        for entry in body["Entries"]:
            if json.loads(entry["Detail"])["event_id"] in self.refused:
                outcomes.append({"ErrorCode": "ThrottlingException", "ErrorMessage": "slowly"})
            else:
                self.taken.append(entry)
                outcomes.append({"EventId": "1"})
        return web.Response(body=orjson.dumps({"Entries": outcomes}))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    aws = Aws()

    @asynccontextmanager
    async def served() -> Any:
        runner = web.ServerRunner(web.Server(aws.answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    with held_open(served()) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("EVENTS", "eventbridge")
        monkeypatch.setenv("EVENTS_TABLE_NAME", TABLE)
        monkeypatch.setenv("EVENT_BUS_NAME", "ours")
        yield aws


def events(number: int) -> list[Event]:
    return [image_completed(an_image()) for _ in range(number)]


def record(event: Event, kind: str = "INSERT", **before: str) -> dict[str, Any]:
    """A record of the stream, as Lambda hands it out."""
    new = event_item(event, "eventbridge")
    change: dict[str, Any] = {"SequenceNumber": f"at {event.event_id}", "NewImage": new}
    if kind == "MODIFY":
        change["OldImage"] = {**new, **{name: {"S": text} for name, text in before.items()}}
    return {"eventName": kind, "dynamodb": change}


def test_new_events_go_to_the_bus_and_are_noted(aws: Aws) -> None:
    told = events(23)
    answer = run({"Records": [record(each) for each in told]}, CONTEXT)
    assert answer == {"batchItemFailures": []}
    assert aws.noted == [each.event_id for each in told]
    for entry, event in zip(aws.taken, told, strict=True):
        assert (entry["EventBusName"], entry["Source"]) == ("ours", "mont")
        assert entry["DetailType"] == event.type
        detail = json.loads(entry["Detail"])
        assert detail.pop("event_id") == event.event_id
        assert detail == json.loads(event.payload)


def test_after_a_refusal_the_stream_begins_there_anew(aws: Aws) -> None:
    told = events(5)
    aws.refused = {told[2].event_id}
    answer = run({"Records": [record(each) for each in told]}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": f"at {told[2].event_id}"}]}
    assert aws.noted == [each.event_id for each in told[:2]]


def test_while_aws_is_away_nothing_is_passed_over(aws: Aws) -> None:
    told = events(3)
    aws.down = True
    answer = run({"Records": [record(each) for each in told]}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": f"at {told[0].event_id}"}]}


def test_only_what_is_new_or_asked_for_again_is_told() -> None:
    (event,) = events(1)
    replayed = record(event, "MODIFY")
    replayed["dynamodb"]["NewImage"]["replayed_at"] = {"S": "2026-02-14"}
    gone = {"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "1", "OldImage": {}}}
    assert told_by([record(event, "MODIFY"), gone]) == []
    assert [each.event for each in told_by([record(event), replayed])] == [event, event]


def test_a_batch_of_nothing_asks_nobody(aws: Aws) -> None:
    aws.down = True
    assert run({"Records": []}, CONTEXT) == {"batchItemFailures": []}
