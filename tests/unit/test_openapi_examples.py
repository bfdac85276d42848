"""Every call and every refusal has examples, and each of them fits its schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from service import problems
from service.endpoints import ENDPOINTS
from service.openapi import build_document
from service.openapi_texts import OPERATIONS
from service.schemas import Rules
from service.settings import AuthMode
from tests.support.makers import RULES, World, an_api, an_image, document_of

NARROW = Rules(("image/png",), 77, 3, 9)
DOCUMENTS = {
    **{mode: build_document(ENDPOINTS, RULES, mode) for mode in get_args(AuthMode)},
    "narrow limits": build_document(ENDPOINTS, NARROW),
}


def contents(document: Any) -> Iterator[tuple[str, Any]]:
    """Each request and answer of the document that has a body, by name."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            if "requestBody" in operation:
                yield name, operation["requestBody"]["content"]
            for status, response in operation["responses"].items():
                if status != "304":
                    yield f"{name} {status}", response["content"]


def values(document: Any, media: Any) -> list[Any]:
    """The examples themselves, wherever they stand."""
    named = document["components"]["examples"]
    found = media.get("examples", {}).values()
    return [
        named[each["$ref"].rpartition("/")[2]]["value"] if "$ref" in each else each["value"]
        for each in found
    ]


def misfits(document: Any, schema: Any, value: Any) -> list[str]:
    whole = {**schema, "components": document["components"]}
    checker = Draft202012Validator(whole, format_checker=FormatChecker())
    return [error.message for error in checker.iter_errors(value)]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_request_and_answer_has_examples_that_fit_its_schema(kind: str) -> None:
    document = DOCUMENTS[kind]
    seen = 0
    for name, content in contents(document):
        for media in content.values():
            examples = values(document, media)
            assert examples, f"{name} has none"
            for value in examples:
                assert misfits(document, media["schema"], value) == [], name
                seen += 1
    assert seen > 100


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_refusal_is_shown_under_its_own_status_and_type(kind: str) -> None:
    document = DOCUMENTS[kind]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if int(status) < 400:
                    continue
                shown = values(document, response["content"]["application/problem+json"])
                assert {str(each["status"]) for each in shown} == {status}, (method, path)
                types = [f"`{each['type']}`" for each in shown]
                assert len(types) == response["description"].count("`urn:mont:problem:")
                assert all(each in response["description"] for each in types)


def test_every_kind_of_problem_has_an_example() -> None:
    shown = {
        name: each["value"]["type"].removeprefix(problems.TYPE_PREFIX)
        for name, each in DOCUMENTS["claimed"]["components"]["examples"].items()
    }
    assert shown == {name: name for name in shown}
    # Bad fields are others for each operation, and have their examples there.
    slugs = {each.slug for each in problems.KINDS.values()} | {problems.UNEXPECTED.slug}
    assert slugs - set(shown) == {"invalid-fields"}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_an_example_anywhere_in_a_schema_fits_it(kind: str) -> None:
    document = DOCUMENTS[kind]
    components = document["components"]
    schemas = [(name, header["schema"]) for name, header in components["headers"].items()]
    for whole in components["schemas"].values():
        schemas += whole.get("properties", {}).items()
    seen = 0
    for name, schema in schemas:
        if "example" in schema:
            assert misfits(document, schema, schema["example"]) == [], name
            seen += 1
    assert seen > 5


def test_callers_who_show_who_they_are_are_not_told_to_say_it_again() -> None:
    for kind, says in (("claimed", True), ("api_key", False), ("jwt", False)):
        upload = DOCUMENTS[kind]["paths"]["/images/upload-url"]["post"]["requestBody"]
        for value in values(DOCUMENTS[kind], upload["content"]["application/json"]):
            assert ("user_id" in value) == says


@pytest.mark.parametrize("name", ["described", "plain"])
async def test_the_example_of_an_upload_is_accepted_as_it_is(name: str) -> None:
    upload = DOCUMENTS["claimed"]["paths"]["/images/upload-url"]["post"]["requestBody"]
    body = upload["content"]["application/json"]["examples"][name]["value"]
    ticket = document_of(await an_api()("POST", "/images/upload-url", body))
    assert ticket["fields"]["Content-Type"] == body["content_type"]


async def test_an_image_has_the_fields_of_its_example() -> None:
    world = World()
    image = an_image()
    await world.records.create(image)
    shown = document_of(await an_api(world)("GET", f"/images/{image.image_id}"))
    one = DOCUMENTS["claimed"]["paths"]["/images/{image_id}"]["get"]["responses"]["200"]
    (example,) = values(DOCUMENTS["claimed"], one["content"]["application/json"])
    assert shown.keys() == example.keys()


def test_nothing_that_is_optional_is_filled_in_for_whoever_tries_a_call_out() -> None:
    for operations in DOCUMENTS["claimed"]["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                assert "example" not in parameter["schema"], parameter["name"]
                assert parameter["description"]


def test_every_operation_and_every_schema_is_described_and_no_other() -> None:
    assert set(OPERATIONS) == {each.name for each in ENDPOINTS}
    document = DOCUMENTS["claimed"]
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["description"]
            assert operation["tags"][0] in {tag["name"] for tag in document["tags"]}
    assert all(each["description"] for each in document["components"]["schemas"].values())


def test_the_order_of_the_form_is_said_where_a_front_end_developer_looks() -> None:
    upload = DOCUMENTS["claimed"]["paths"]["/images/upload-url"]["post"]
    assert "`file` **last**" in upload["description"]
    assert 'form.append("file", file);' in upload["description"]
