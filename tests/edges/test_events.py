"""Events as other tools make them: never an exception, never another operation than they name."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.support.api import new_user
from tests.support.gateway import BridgeApi, Lambda

BODY = json.dumps(
    {"user_id": "a", "filename": "a.png", "content_type": "image/png", "file_size": 1}
)


async def invoke(functions: Lambda, name: str, event: Any) -> tuple[int, Any]:
    answer = await functions.invoke(name, event)
    json.dumps(answer)
    return answer["statusCode"], json.loads(answer["body"] or "null")


@pytest.mark.parametrize("event", [None, [], "ping", 5, True, {}, {"headers": "x"}])
@pytest.mark.parametrize("name", ["upload_presigned_url", "delete_image", "image_api"])
async def test_what_is_no_event_is_answered(functions: Lambda, name: str, event: Any) -> None:
    status, document = await invoke(functions, name, event)
    assert status == (200 if name == "image_api" else document["status"])
    assert status < 500


@pytest.mark.parametrize(
    "odd",
    [
        {"headers": None, "multiValueHeaders": None, "requestContext": None},
        {"headers": ["a"], "pathParameters": "x", "queryStringParameters": "y"},
        {"multiValueHeaders": {"X": [None], "Y": [5], "Z": "z"}},
        {"headers": {"Content-Type": 5, "Idempotency-Key": 7, "X-Request-Id": 9}},
        {"requestContext": {"requestId": 7, "http": "x"}},
        {"path": 5, "httpMethod": 7, "resource": []},
    ],
)
async def test_members_of_other_types_are_passed_over(
    functions: Lambda, odd: dict[str, Any]
) -> None:
    status, document = await invoke(functions, "upload_presigned_url", {"body": BODY, **odd})
    assert status in {200, 415}, document


async def test_a_direct_body_may_be_the_document_itself(functions: Lambda) -> None:
    status, _ = await invoke(functions, "upload_presigned_url", {"body": json.loads(BODY)})
    assert status == 200
    for bad in ({**json.loads(BODY), "file_size": 10**30}, {"user_id": "\ud800"}, [1], 5):
        assert (await invoke(functions, "upload_presigned_url", {"body": bad}))[0] == 400


async def test_an_event_of_format_2_does_what_it_says_and_nothing_else(
    functions: Lambda, browser: aiohttp.ClientSession
) -> None:
    api, user = BridgeApi(browser, functions), new_user()
    image_id = await api.upload(user)

    def event(method: str, path: str, query: str = "") -> dict[str, Any]:
        return {
            "version": "2.0",
            "rawPath": f"/dev{path}",
            "rawQueryString": query,
            "headers": {"host": "x"},
            "pathParameters": {"image_id": image_id},
            "queryStringParameters": {"user_id": user},
            "requestContext": {
                "stage": "dev",
                "requestId": "gateway-1",
                "http": {"method": method, "path": f"/dev{path}"},
            },
        }

    shown = event("GET", f"/images/{image_id}", f"user_id={user}")
    status, document = await invoke(functions, "delete_image", shown)
    assert (status, document["image_id"], document.get("status")) == (200, image_id, "completed")
    assert (await invoke(functions, "image_api", event("GET", "/nope")))[0] == 404
    listed = await invoke(functions, "image_api", event("GET", "/images", f"user_id={user}"))
    assert [each["image_id"] for each in listed[1]["images"]] == [image_id]


@pytest.mark.parametrize(
    ("resource", "parameter"),
    [("/images/{id}/download-url", "id"), ("/{path+}", "path"), ("/{proxy+}", "proxy")],
)
async def test_resources_by_other_names_lead_to_the_same_image(
    functions: Lambda, browser: aiohttp.ClientSession, resource: str, parameter: str
) -> None:
    image_id = await BridgeApi(browser, functions).upload(new_user())
    path = f"/images/{image_id}/download-url"
    value = image_id if parameter == "id" else path
    event = {"httpMethod": "GET", "path": path, "resource": resource}
    for parameters in ({parameter: value}, {parameter: value.lstrip("/")}, None):
        named = {**event, "pathParameters": parameters}
        assert (await invoke(functions, "image_api", named))[0] == 200
    direct = {"pathParameters": {"imageId": image_id}}
    assert (await invoke(functions, "get_image_presigned_url", direct))[0] == 200


@pytest.mark.parametrize("method", ["PROPFIND", "FOO", "QUERY"])
async def test_a_method_that_has_no_route_gets_an_answer_of_ours(
    functions: Lambda, method: str
) -> None:
    event = {"httpMethod": method, "path": "/images", "resource": "/images"}
    status, document = await invoke(functions, "image_api", event)
    assert (status, document["type"]) == (405, "urn:mont:problem:method-not-allowed")


@pytest.mark.parametrize("path", ["\n0", "/images\n", "\n/images/\n"])
async def test_a_path_that_no_client_can_send_gets_an_answer_of_ours(
    functions: Lambda, path: str
) -> None:
    status, document = await invoke(functions, "image_api", {"httpMethod": "GET", "path": path})
    assert (status, document["type"]) == (404, "urn:mont:problem:no-such-path")


async def test_an_id_that_cannot_be_used_is_not_logged_as_one(functions: Lambda) -> None:
    event = {
        "httpMethod": "GET",
        "path": "/nope",
        "headers": {"X-Request-Id": "evil " * 100},
        "requestContext": {"requestId": "gateway-2"},
    }
    assert (await invoke(functions, "image_api", event))[1]["instance"] == "gateway-2"
