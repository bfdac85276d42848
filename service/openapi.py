"""The OpenAPI 3.1 document, from the endpoint table and the marshmallow schemas."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.openapi import OpenAPIConverter

from service import __version__, errors, schemas
from service.endpoints import Endpoint
from service.exchange import JSON
from service.openapi_examples import Examples, answers, problem_examples, requests
from service.openapi_fields import wire_format
from service.openapi_responses import CONDITIONAL, HEADERS, responses
from service.openapi_texts import ABOUT, OPERATIONS, TAGS
from service.routing import IMAGE_ID
from service.schemas import RequestSchema, Rules
from service.settings import AuthMode


def build_document(
    endpoints: Iterable[Endpoint], rules: Rules, auth_mode: AuthMode = "claimed"
) -> dict[str, Any]:
    """The document for these endpoints under these limits, ready for JSON."""
    scheme = _SCHEMES.get(auth_mode)
    bodies = requests(rules, verified=scheme is not None)
    api = _Api(rules, scheme, bodies, answers(rules))
    plugin = MarshmallowPlugin(schema_name_resolver=_component_name)
    spec = APISpec(
        title="Mont Image Service",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={"description": ABOUT, "license": {"name": "MIT", "identifier": "MIT"}},
        # Where the document itself is: behind a gateway that is not the root of its host.
        servers=[{"url": "."}],
        tags=list(TAGS),
    )
    converter = plugin.converter
    if converter is None:
        raise RuntimeError("apispec did not set up its marshmallow plugin")
    converter.add_attribute_function(wire_format)  # type: ignore[no-untyped-call]
    spec.components.schema("Problem", schema=schemas.ProblemSchema)
    for kind in (schemas.UploadRequest, schemas.CompleteRequest, schemas.EditRequest):
        spec.components.schema(kind.__name__, schema=api.schema(kind))
    # An edit names something to change beside whose image it is.
    edit = spec.components.schemas[schemas.EditRequest.__name__]
    edit["minProperties"] = 1 + len(edit.get("required", ()))
    for name, header in HEADERS.items():
        spec.components.header(name, header)
    for name, example in problem_examples().items():
        spec.components.example(name, example)
    if api.scheme is not None:
        spec.components.security_scheme(*api.scheme)
    for endpoint in endpoints:
        if endpoint.answer is not None:
            spec.path(
                path=endpoint.path,
                operations={endpoint.method.lower(): _operation(endpoint, api, converter)},
            )
    _describe_schemas(spec, converter)
    return spec.to_dict()


def _describe_schemas(spec: APISpec, converter: OpenAPIConverter) -> None:
    """Give each component the words of its class."""
    for key, name in converter.refs.items():
        spec.components.schemas[name]["description"] = inspect.getdoc(key[0])


_SCHEMES: dict[AuthMode, tuple[str, dict[str, str]]] = {
    "api_key": ("ApiKey", {"type": "apiKey", "in": "header", "name": "X-API-Key"}),
    "jwt": ("Bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
}


@dataclass(frozen=True, slots=True)
class _Api:
    """What holds for all endpoints. `scheme` names and describes what callers have to show.

    `bodies` and `answers` are examples, by endpoint.
    """

    rules: Rules
    scheme: tuple[str, dict[str, str]] | None
    bodies: dict[str, Examples]
    answers: dict[str, Examples]

    def schema(self, kind: type[RequestSchema]) -> RequestSchema:
        """A request's schema. Who has shown who they are need not say it."""
        return kind(self.rules, partial=None if self.scheme is None else ("user_id",))

    def security(self, endpoint: Endpoint) -> list[dict[str, list[str]]]:
        """What an endpoint asks its callers for."""
        return [] if endpoint.public or self.scheme is None else [{self.scheme[0]: []}]


def _operation(endpoint: Endpoint, api: _Api, converter: OpenAPIConverter) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": OPERATIONS[endpoint.name].description,
        "tags": ["images" if endpoint.limited else "health"],
        "security": api.security(endpoint),
        "parameters": _parameters(endpoint, api, converter),
        "responses": responses(
            endpoint,
            _problems(endpoint, api),
            set(_HEADERS.get(endpoint.name, {})),
            api.answers[endpoint.name],
        ),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": not endpoint.body_optional,
            "content": {
                JSON: {
                    "schema": api.schema(endpoint.body),
                    "examples": api.bodies[endpoint.name],
                }
            },
        }
    return operation


def _parameters(endpoint: Endpoint, api: _Api, converter: OpenAPIConverter) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if IMAGE_ID in endpoint.path:
        parameters.append(
            {
                "in": "path",
                "name": "image_id",
                "description": "As `POST /images/upload-url` and lists tell it.",
                "required": True,
                "schema": {"type": "string", "format": "uuid"},
            }
        )
    if endpoint.query is not None:
        for name, each in api.schema(endpoint.query).fields.items():
            described = converter.field2property(each)
            text = described.pop("description", "")
            parameters.append(
                {"in": "query", "name": name, "description": text, "schema": described}
            )
    for name, (meaning, schema) in _HEADERS.get(endpoint.name, {}).items():
        parameters.append({"in": "header", "name": name, "description": meaning, "schema": schema})
    return parameters


_TAG = r'(W/)?"[!#-~]*"'
_TAGS = {"type": "string", "pattern": rf"^(\*|{_TAG}(, *{_TAG})*)$"}
_HEADERS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "upload_url": {
        "Idempotency-Key": (
            "A random value of yours, the same with every attempt for one file: "
            "repeating a declaration with the same key gives the same `image_id`.",
            {"type": "string", "minLength": 1, "maxLength": 255},
        )
    },
    "get_image": {CONDITIONAL: ("Answer 304 if the image still has this `ETag`.", _TAGS)},
    "edit_image": {"If-Match": ("Refuse with 412 unless the image still has this `ETag`.", _TAGS)},
}


def _problems(endpoint: Endpoint, api: _Api) -> list[type[errors.MontError]]:
    found = [*endpoint.problems, *_common_problems(endpoint)]
    if api.security(endpoint):
        # Nobody claims to be somebody: what is not the caller's is missing or not allowed.
        found = [each for each in found if each is not errors.NotOwner]
        found += [errors.Unauthenticated, errors.NotAllowed]
        if api.scheme is _SCHEMES["api_key"] and endpoint.limited:
            found.append(errors.QuotaExceeded)
    return found


def _common_problems(endpoint: Endpoint) -> list[type[errors.MontError]]:
    found: list[type[errors.MontError]] = []
    if endpoint.body is not None:
        found += [errors.MalformedBody, errors.MalformedMessage]
        found += [errors.BodyTooLarge, errors.BodyTooSlow, errors.UnsupportedBody]
    if endpoint.body is not None or endpoint.query is not None:
        found.append(errors.InvalidFields)
    if endpoint.limited:
        found += [errors.Throttled, errors.StoreUnavailable]
    return found


def _component_name(schema: Any) -> str:
    name: str = schema.__name__ if isinstance(schema, type) else type(schema).__name__
    return name.removesuffix("Schema")
