"""The OpenAPI document is valid and says what the endpoints really answer."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.endpoints import ENDPOINTS
from tests.support.api import Answer, Api, new_user
from tests.support.real_images import real_image


@pytest.fixture
async def document(api: Api) -> Any:
    return await api.ok("GET", "/openapi.json")


class Described:
    """Answers held against the document; keeps account of what was seen."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self.seen: set[tuple[str, str, str]] = set()

    def check(self, method: str, path: str, answer: Answer) -> Any:
        """The answer's body, once it is one of those that the document describes."""
        responses = self._document["paths"][path][method.lower()]["responses"]
        assert str(answer.status) in responses, f"{method} {path} does not tell of {answer.status}"
        kind = answer.headers["Content-Type"].partition(";")[0]
        schema = responses[str(answer.status)]["content"][kind]["schema"]
        whole = {**schema, "components": self._document["components"]}
        Draft202012Validator(whole, format_checker=FormatChecker()).validate(answer.json())
        self.seen.add((method, path, str(answer.status)))
        return answer.json()


def test_the_document_is_valid_openapi(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_endpoint_is_in_it(document: Any) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method in {"get", "post", "patch", "delete", "put"}
    }
    assert described == {(each.method, each.path) for each in ENDPOINTS}


def test_the_limits_of_the_contract_are_in_it(document: Any) -> None:
    upload = document["components"]["schemas"]["UploadRequest"]["properties"]
    assert (upload["filename"]["minLength"], upload["filename"]["maxLength"]) == (1, 255)
    assert (upload["file_size"]["minimum"], upload["file_size"]["maximum"]) == (1, 10_485_760)
    assert sorted(upload["content_type"]["enum"]) == [
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
    ]
    assert upload["tags"]["maxItems"] == 20
    assert upload["tags"]["items"]["maxLength"] == 50
    assert upload["description"]["maxLength"] == 500
    assert set(document["components"]["schemas"]["UploadRequest"]["required"]) == {
        "user_id",
        "filename",
        "content_type",
        "file_size",
    }
    query = {each["name"]: each for each in document["paths"]["/images"]["get"]["parameters"]}
    assert set(query) == {
        "user_id",
        "start_date",
        "end_date",
        "limit",
        "next_token",
        "tag",
        "order",
    }
    limit = query["limit"]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 100, 50)
    assert query["order"]["schema"]["default"] == "desc"


async def test_every_endpoint_answers_as_described(api: Api, document: Any) -> None:
    described = Described(document)
    user, stranger = new_user(), new_user()

    async def ask(method: str, path: str, image_id: str = "", **more: Any) -> Any:
        answer = await api.request(method, path.replace("{image_id}", image_id), **more)
        return described.check(method, path, answer)

    image = real_image()
    declaration = {
        "user_id": user,
        "filename": "Ü 1.jpg",
        "content_type": image.content_type,
        "file_size": image.size,
    }
    ticket = await ask("POST", "/images/upload-url", json=declaration)
    await ask("POST", "/images/upload-url", json={})
    image_id = ticket["image_id"]
    complete = {"user_id": user, "image_id": image_id}
    await ask("POST", "/images/complete", json=complete)  # 404: nothing there yet
    await api.post_form(ticket, b"x" * image.size)
    await ask("POST", "/images/complete", json=complete)  # 422: no image
    await api.post_form(ticket, image.body)
    await ask("POST", "/images/complete", json=complete)
    await ask("POST", "/images/complete", json={**complete, "user_id": stranger})  # 409
    await ask("POST", "/images/complete", json=[])
    second = await api.upload(user)

    page = await ask("GET", "/images", params={"user_id": user, "limit": 1})
    assert page["next_token"]
    await ask("GET", "/images", params={"user_id": stranger})
    await ask("GET", "/images", params={"next_token": "forged", "limit": "many"})

    for path in ("/images/download-urls", "/images/delete"):
        await ask("POST", path, json={"user_id": user, "image_ids": [second, str(uuid4())]})
        await ask("POST", path, json={"image_ids": ["x"]})

    one = "/images/{image_id}"
    await ask("GET", one, image_id)
    await ask("GET", one, "x")
    await ask("PATCH", one, image_id, json={"user_id": user, "description": None})
    await ask("PATCH", one, image_id, json={"user_id": user})
    await ask("PATCH", one, image_id, json={"user_id": stranger, "tags": []})
    await ask(
        "PATCH", one, image_id, json={"user_id": user, "tags": []}, headers={"If-Match": '"x"'}
    )
    await ask("GET", one + "/download-url", image_id)
    await ask("GET", one + "/download-url", image_id, params={"disposition": "x"})
    await ask("GET", one + "/download-url", str(uuid4()))
    await ask("DELETE", one, image_id)
    await ask("DELETE", one, image_id, json={"user_id": stranger})
    await ask("DELETE", one, image_id, json={"user_id": user})
    await ask("DELETE", one, image_id, json={"user_id": user})
    await ask("GET", "/livez")
    await ask("GET", "/readyz")

    answered = {(method, path) for method, path, status in described.seen if status == "200"}
    assert answered == {(each.method, each.path) for each in ENDPOINTS}
    refused = {status for _, _, status in described.seen}
    assert refused == {"200", "400", "401", "404", "409", "412", "422"}


async def test_a_304_is_described(document: Any) -> None:
    assert "304" in document["paths"]["/images/{image_id}"]["get"]["responses"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/docs", "text/html"),
        ("/docs/start.js", "text/javascript"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/swagger-ui.css", "text/css"),
    ],
)
async def test_the_documentation_is_served_with_all_that_it_needs(
    api: Api, path: str, kind: str
) -> None:
    answer = await api.request("GET", path)
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, kind)
    assert answer.body
