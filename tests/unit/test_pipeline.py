"""The path of one request: whatever happens on it, the caller gets one well-formed answer."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
import pytest

from service import errors, problems
from service.auth.callers import ClaimedIdentity
from service.endpoints import Call, Reply
from service.exchange import ApiRequest
from service.limits import NO_LIMITS
from service.pipeline import MAX_BODY_BYTES, Pipeline
from service.ratelimit import TokenBucket
from service.telemetry import Answered, request_id
from tests.support.makers import (
    RULES,
    Api,
    FakeClock,
    World,
    an_api,
    an_endpoint,
    an_error,
    an_id,
    an_image,
    document_of,
    failing,
)

DECLARATION = {
    "user_id": "ann",
    "filename": "beach.jpg",
    "content_type": "image/jpeg",
    "file_size": 2_048,
}
SECRET = "postgres://admin:hunter2@10.0.0.1"


async def ok(call: Call[Any, Any]) -> Reply:
    return Reply({"seen": request_id.get(), "given": call.request_id})


# Request ids


@pytest.mark.parametrize(
    "given", ["abc", "A" * 128, "Root=1-67891233-abcdef012345678912345678", "a/b+c=:.-_"]
)
async def test_a_usable_request_id_is_kept(given: str) -> None:
    answer = await an_api(None, an_endpoint(ok))("GET", "/probe", headers={"x-request-id": given})
    assert answer.headers["X-Request-Id"] == given
    assert document_of(answer) == {"seen": given, "given": given}


@pytest.mark.parametrize("given", ["", "a b", "a\nb", "é", "A" * 129, '"x"', "<script>", "a\udce9"])
async def test_an_unusable_request_id_is_replaced(given: str) -> None:
    answer = await an_api()("GET", "/livez", headers={"x-request-id": given})
    made = answer.headers["X-Request-Id"]
    assert made != given
    assert len(made) == 32
    assert made.isalnum()


async def test_each_request_has_an_id_of_its_own_and_leaves_none_behind() -> None:
    api = an_api(None, an_endpoint(ok))
    answers = [await api("GET", "/probe") for _ in range(2)]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 2
    assert request_id.get() is None


# Errors


@pytest.mark.parametrize("kind", problems.KINDS, ids=lambda kind: kind.__name__)
async def test_every_error_becomes_its_problem(kind: type[errors.MontError]) -> None:
    error = an_error(kind)
    answer = await an_api(None, failing(error))("GET", "/probe", headers={"x-request-id": "r1"})
    expected = problems.KINDS[kind]
    assert answer.status == expected.status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-Id"] == "r1"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    document = document_of(answer)
    assert document.pop("errors", None) == (
        [{"location": "body.tags.3", "detail": "Too long."}]
        if kind is errors.InvalidFields
        else None
    )
    assert document == {
        "type": f"urn:mont:problem:{expected.slug}",
        "title": expected.title,
        "status": expected.status,
        "detail": str(error),
        "instance": "r1",
    }
    assert document["detail"]


class Unheard(errors.MontError):
    """hunter2"""


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(SECRET),
        KeyError(SECRET),
        Unheard(SECRET),
        RecursionError(),
        AssertionError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_unexpected_error_is_logged_and_never_shown(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await an_api(None, failing(error))("GET", "/probe")
    assert answer.status == 500
    assert "hunter2" not in repr(answer)
    assert type(error).__name__ not in repr(answer)
    assert document_of(answer)["instance"] == answer.headers["X-Request-Id"]
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_the_cause_of_an_unreachable_store_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    error = errors.StoreUnavailable("S3", "10.1.2.3 refused")
    answer = await an_api(None, failing(error))("GET", "/probe")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "10.1.2.3" not in repr(answer)
    assert "10.1.2.3 refused" in caplog.text


async def test_a_request_that_takes_too_long_is_answered_503(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cancelled = asyncio.Event()

    async def hang(call: Call[Any, Any]) -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    answer = await an_api(None, an_endpoint(hang), request_time_limit=0.001)("GET", "/probe")
    assert (answer.status, cancelled.is_set()) == (503, True)
    assert document_of(answer)["type"] == "urn:mont:problem:store-unavailable"
    assert "ran out of time" in caplog.text


async def test_what_the_door_could_not_read_is_refused_without_being_routed() -> None:
    api = an_api()
    for refusal, status in ((errors.BodyTooLarge(), 413), (errors.BodyTooSlow(), 408)):
        answer = await api.pipeline.run(ApiRequest("POST", "/images/complete"), refusal)
        assert answer.status == status
        assert answer.headers["X-Request-Id"]


async def test_whoever_cancels_a_request_cancels_it() -> None:
    with pytest.raises(asyncio.CancelledError):
        await an_api(None, failing(asyncio.CancelledError()))("GET", "/probe")


# Throttle


async def test_a_throttled_request_is_told_when_to_come_back() -> None:
    clock = FakeClock()
    api = an_api(None, an_endpoint(ok), bucket=TokenBucket(0.5, 2, clock))
    answers = [await api("GET", "/probe") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["RateLimit"] for answer in answers] == [
        '"burst";r=1;t=2',
        '"burst";r=0;t=4',
        '"burst";r=0;t=4',
    ]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"burst";q=2;w=4'}
    assert answers[2].headers["Retry-After"] == "2"
    clock.seconds += 2
    assert (await api("GET", "/probe")).status == 200


async def test_errors_carry_the_throttles_headers_too_and_count() -> None:
    api = an_api(None, bucket=TokenBucket(1, 5, FakeClock()))
    answer = await api("POST", "/images/complete", body=b"{")
    assert (answer.status, answer.headers["RateLimit"]) == (400, '"burst";r=4;t=1')


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/nowhere"])
async def test_health_and_documents_are_never_throttled(path: str) -> None:
    api = an_api(None, bucket=TokenBucket(1, 1, FakeClock()))
    answers = [await api("GET", path) for _ in range(3)]
    assert 429 not in {answer.status for answer in answers}
    assert "RateLimit" not in answers[0].headers


async def test_behind_a_gateway_nothing_is_throttled_here() -> None:
    answer = await an_api(None, an_endpoint(ok), bucket=None)("GET", "/probe")
    assert (answer.status, "RateLimit" in answer.headers) == (200, False)


# CORS, OPTIONS, HEAD


@pytest.mark.parametrize(
    ("allowed", "origin", "answered", "varies"),
    [
        (("*",), "https://a.example", "*", None),
        (("*",), None, "*", None),
        (("https://a.example",), "https://a.example", "https://a.example", "Origin"),
        (("https://a.example",), "https://b.example", None, "Origin"),
        (("https://a.example",), "https://a.example.evil", None, "Origin"),
        (("https://a.example",), "null", None, "Origin"),
        (("https://a.example",), None, None, "Origin"),
        ((), "https://a.example", None, "Origin"),
    ],
)
@pytest.mark.parametrize("path", ["/livez", "/nowhere"])
async def test_only_pages_of_allowed_origins_read_answers(
    allowed: tuple[str, ...],
    origin: str | None,
    answered: str | None,
    varies: str | None,
    path: str,
) -> None:
    headers = {} if origin is None else {"origin": origin}
    answer = await an_api(cors_allow_origins=allowed)("GET", path, headers=headers)
    assert answer.headers.get("Access-Control-Allow-Origin") == answered
    assert answer.headers.get("Vary") == varies
    exposed = answer.headers.get("Access-Control-Expose-Headers", "")
    assert ("X-Request-Id" in exposed) == (answered is not None)


async def test_a_preflight_learns_what_it_may_send() -> None:
    headers = {"origin": "https://a.example", "access-control-request-method": "PATCH"}
    answer = await an_api()("OPTIONS", f"/images/{an_id(1)}", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Methods"] == answer.headers["Allow"]
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, PATCH, OPTIONS"
    allowed = answer.headers["Access-Control-Allow-Headers"]
    assert {"Content-Type", "Idempotency-Key", "If-Match"} <= set(allowed.split(", "))


async def test_plain_options_names_the_methods_and_nowhere_is_nowhere() -> None:
    answer = await an_api()("OPTIONS", "/images/complete")
    assert (answer.status, answer.headers["Allow"]) == (204, "POST, OPTIONS")
    assert "Access-Control-Allow-Methods" not in answer.headers
    assert (await an_api()("OPTIONS", "/nowhere")).status == 404


@pytest.mark.parametrize(
    "path", ["/livez", "/images", "/openapi.json", "/images/" + an_id(404), "/no"]
)
async def test_head_is_get_without_its_body(path: str) -> None:
    api = an_api()
    got, head = [
        await api(method, path, headers={"x-request-id": "r"}) for method in ("GET", "HEAD")
    ]
    assert (head.status, head.body) == (got.status, b"")
    assert head.headers == {**got.headers, "Content-Length": str(len(got.body))}


async def test_a_wrong_method_names_the_right_ones() -> None:
    answer = await an_api()("PUT", "/images/complete", DECLARATION)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST, OPTIONS")


# Bodies and queries


MALFORMED = {
    "nothing": b"",
    "no JSON": b"user_id=ann",
    "cut": b'{"user_id": "ann"',
    "trailing": b"{} {}",
    "NaN": b'{"file_size": NaN}',
    "Infinity": b'{"file_size": Infinity}',
    "too large a number": b'{"file_size": 1e999}',
    "lone surrogate": rb'{"filename": "\ud800"}',
    "invalid UTF-8": b'{"filename": "\xff"}',
    "UTF-16": '{"user_id": "ann"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep nesting": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "deep array": b"[" * 60_000,
    "array": b"[]",
    "text": b'"x"',
    "number": b"1",
    "null": b"null",
    "comment": b"{} // x",
    "single quotes": b"{'a': 1}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    answer = await an_api()("POST", "/images/upload-url", body=body)
    assert answer.status == 400
    document = document_of(answer)
    assert document["type"] == "urn:mont:problem:malformed-body"
    assert document["detail"].endswith(".")


async def test_of_a_key_given_twice_the_last_counts() -> None:
    body = orjson.dumps(DECLARATION)[:-1] + b',"file_size":"no","file_size":7}'
    answer = await an_api()("POST", "/images/upload-url", body=body)
    assert answer.status == 200


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf8"',
     "application/merge-patch+json", "application/json; charset=us-ascii"],
)  # fmt: skip
async def test_json_by_any_of_its_names_is_read(kind: str) -> None:
    answer = await an_api()(
        "POST", "/images/upload-url", DECLARATION, headers={"content-type": kind}
    )
    assert answer.status == 200


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
     "application/xml", "application/json; charset=utf-16", "application/json;charset=latin1",
     "text/json", "application/+jsonx"],
)  # fmt: skip
async def test_another_type_of_body_is_refused(kind: str) -> None:
    answer = await an_api()(
        "POST", "/images/upload-url", DECLARATION, headers={"content-type": kind}
    )
    assert answer.status == 415


async def test_a_body_without_a_type_is_taken_for_json() -> None:
    request = ApiRequest("POST", "/images/upload-url", body=orjson.dumps(DECLARATION))
    assert (await an_api().pipeline.run(request)).status == 200


async def test_a_body_may_be_just_so_long() -> None:
    body = orjson.dumps(DECLARATION)
    api = an_api()
    longest = body + b" " * (MAX_BODY_BYTES - len(body))
    assert (await api("POST", "/images/upload-url", body=longest)).status == 200
    assert (await api("POST", "/images/upload-url", body=longest + b" ")).status == 413


async def test_every_bad_field_is_named_with_its_place() -> None:
    body = {
        "user_id": "a/b",
        "content_type": "text/html",
        "file_size": True,
        "tags": ["fine", 7, "x" * 51],
        "description": "x" * 501,
    }
    answer = await an_api()("POST", "/images/upload-url", body)
    assert answer.status == 400
    places = [each["location"] for each in document_of(answer)["errors"]]
    assert sorted(places) == [
        "body.content_type",
        "body.description",
        "body.file_size",
        "body.filename",
        "body.tags.1",
        "body.tags.2",
        "body.user_id",
    ]


async def test_every_bad_part_of_a_query_is_named() -> None:
    query = [("limit", "101"), ("order", "up"), ("start_date", "never"), ("user_id", "../x")]
    answer = await an_api()("GET", "/images", query=query)
    assert answer.status == 400
    places = {each["location"] for each in document_of(answer)["errors"]}
    assert places >= {"query.limit", "query.order", "query.user_id"}
    answer = await an_api()("GET", "/images", query=[("start_date", "never")])
    assert [each["location"] for each in document_of(answer)["errors"]] == ["query.start_date"]


async def test_a_known_parameter_given_twice_is_refused_and_an_unknown_one_is_not_read() -> None:
    answer = await an_api()("GET", "/images", query=[("limit", "1"), ("limit", "2")])
    assert [each["location"] for each in document_of(answer)["errors"]] == ["query.limit"]
    answer = await an_api()("GET", "/images", query=[("utm", "1"), ("utm", "2"), ("_", "")])
    assert answer.status == 200


# The endpoints' own rules


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [
        (None, [("user_id", "ann")], 200),
        ({"user_id": "ann"}, [], 200),
        ({"user_id": "ann"}, [("user_id", "ann")], 200),
        ({}, [("user_id", "ann")], 200),
        ({"user_id": "ann"}, [("user_id", "bob")], 400),
        (None, [], 400),
        ({}, [], 400),
        ({"user_id": None}, [("user_id", "ann")], 400),
        ({"user_id": "bob"}, [], 401),
    ],
)
async def test_who_deletes_may_say_so_in_the_body_or_in_the_query(
    body: dict[str, object] | None, query: list[tuple[str, str]], status: int
) -> None:
    world = World()
    await world.records.create(an_image())
    answer = await an_api(world)("DELETE", f"/images/{an_id(1)}", body, query=query)
    assert answer.status == status
    if status == 400:
        assert document_of(answer)["errors"][0]["location"] == "body.user_id"
    if status == 401:
        assert answer.headers["WWW-Authenticate"]


async def test_an_image_is_not_sent_again_to_whoever_has_it() -> None:
    world = World()
    await world.records.create(an_image())
    api = an_api(world)
    first = await api("GET", f"/images/{an_id(1)}")
    held = {"if-none-match": first.headers["ETag"]}
    again = await api("GET", f"/images/{an_id(1)}", headers=held)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    edited = await api("PATCH", f"/images/{an_id(1)}", {"user_id": "ann", "tags": ["new"]})
    assert edited.headers["ETag"] != first.headers["ETag"]
    assert (await api("GET", f"/images/{an_id(1)}", headers=held)).status == 200


async def test_an_edit_of_a_state_that_has_passed_is_refused() -> None:
    world = World()
    await world.records.create(an_image())
    api, path = an_api(world), f"/images/{an_id(1)}"
    etag = (await api("GET", path)).headers["ETag"]
    edits = [
        await api("PATCH", path, {"user_id": "ann", "tags": [tag]}, headers={"if-match": etag})
        for tag in ("one", "two")
    ]
    assert [edit.status for edit in edits] == [200, 412]
    assert document_of(await api("GET", path))["tags"] == ["one"]


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_idempotency_key_has_a_length(key: str) -> None:
    answer = await an_api()(
        "POST", "/images/upload-url", DECLARATION, headers={"idempotency-key": key}
    )
    assert answer.status == 400
    assert document_of(answer)["errors"][0]["location"] == "header.Idempotency-Key"


async def test_each_item_of_a_batch_is_an_answer_or_a_problem() -> None:
    world = World()
    await world.records.create(an_image())
    ids = [an_id(1).upper(), an_id(404)]
    answer = await an_api(world)(
        "POST", "/images/download-urls", {"user_id": "ann", "image_ids": ids}
    )
    found, missing = document_of(answer)["results"]
    assert (found["image_id"], found["filename"]) == (an_id(1), "beach.jpg")
    assert (missing["image_id"], missing["status"]) == (an_id(404), 404)
    assert missing["instance"] == answer.headers["X-Request-Id"]
    assert document_of(answer)["count"] == 2


async def test_an_upload_is_completed_and_deleted_through_the_door() -> None:
    world = World()
    request = await world.uploaded()
    api = an_api(world)
    named = {"image_id": request.image_id, "user_id": "ann"}
    answers = [await api("POST", "/images/complete", named) for _ in range(2)]
    assert [document_of(answer) for answer in answers] == [
        {
            "image_id": request.image_id,
            "status": "completed",
            "message": "Image upload completed successfully",
        }
    ] * 2
    batch = {"user_id": "ann", "image_ids": [request.image_id, an_id(404)]}
    deleted, missing = document_of(await api("POST", "/images/delete", batch))["results"]
    assert deleted == {
        "image_id": request.image_id,
        "status": "deleted",
        "message": "Image deleted successfully",
    }
    assert missing["status"] == 404
    assert (await api("POST", "/images/complete", named)).status == 404


async def test_a_list_tells_whether_there_is_more() -> None:
    world = World()
    for number in range(3):
        await world.records.create(an_image(image_id=an_id(number)))
    first = document_of(await an_api(world)("GET", "/images", query=[("limit", "2")]))
    assert (first["count"], first["has_more"]) == (2, True)
    more = [("limit", "2"), ("next_token", first["next_token"])]
    last = document_of(await an_api(world)("GET", "/images", query=more))
    assert (last["count"], last["has_more"], last["next_token"]) == (1, False, None)


# Observers


async def test_observers_see_every_request_by_the_name_of_its_endpoint() -> None:
    class Seen(list[Answered]):
        def answered(self, request: Answered) -> None:
            self.append(request)

    seen = Seen()
    api = an_api(None, failing(RuntimeError()), observers=[seen])
    for method, path in (("GET", "/livez"), ("GET", "/probe"), ("GET", "/no"), ("PUT", "/livez")):
        await api(method, path)
    assert [(each.route, each.method, each.path, each.status) for each in seen] == [
        ("livez", "GET", "/livez", 200),
        ("probe", "GET", "/probe", 500),
        ("unrouted", "GET", "/no", 404),
        ("unrouted", "PUT", "/livez", 405),
    ]
    assert all(each.seconds >= 0 for each in seen)


async def test_a_pipeline_without_endpoints_answers_too() -> None:
    bare = Pipeline(
        [],
        World().desk,
        RULES,
        [],
        identity=ClaimedIdentity(),
        limits=NO_LIMITS,
        time_limit=1,
        allowed_origins=(),
    )
    assert (await Api(bare)("GET", "/livez")).status == 404
