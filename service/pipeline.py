"""The whole path of one request. Read this first.

    edge in -> ApiRequest -> id -> route -> overall limit -> caller -> the caller's limits
            -> path, query and body checked -> endpoint function -> Reply or error
            -> ApiResponse -> edge out

Every door runs exactly this, so whatever holds here holds on all of them.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import orjson
from marshmallow import ValidationError

from service import problems, trail
from service.auth.callers import ANYBODY, Authenticator, Caller
from service.auth.scope import as_seen_by, desk_for
from service.endpoints import Call, Endpoint, Reply
from service.errors import (
    BodyTooLarge,
    FieldError,
    InvalidFields,
    MalformedBody,
    MontError,
    NotAllowed,
    NotOwner,
    StoreUnavailable,
    Unauthenticated,
    UnsupportedBody,
)
from service.exchange import JSON, ApiRequest, ApiResponse
from service.limits import Limits, Passage
from service.operations.desk import Desk
from service.ratelimit import limit_headers
from service.routing import Route, Router
from service.schemas import RequestSchema, Rules
from service.telemetry import Answered, Observer, request_id
from service.timelimit import TimeLimit
from service.trail import Trail

# The longest body of any endpoint, every character escaped, is below 40 KB.
MAX_BODY_BYTES = 64 * 1024

NOT_SNIFFED = {"X-Content-Type-Options": "nosniff"}
"""On every answer: a browser must not find a page in text that somebody else chose."""

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)
_CORS_MAX_AGE = "7200"
_EXPOSED = "ETag, X-Request-Id, RateLimit, RateLimit-Policy, Retry-After, Allow"
_ALLOWED_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-API-Key, X-Request-Id"
)
UNROUTED = "unrouted"


class Answerer(Protocol):
    """What a door hands its requests to: the pipeline, or one that watches it. Never raises."""

    async def run(
        self, request: ApiRequest, refusal: MontError | None = None, *, waited: float = 0.0
    ) -> ApiResponse:
        """See `Pipeline.run`."""
        ...

    def refuse(self, error: Exception) -> ApiResponse:
        """See `Pipeline.refuse`."""
        ...

    def turned_away(
        self, request: ApiRequest, error: Exception, this_id: str | None = None
    ) -> ApiResponse:
        """See `Pipeline.turned_away`."""
        ...


class Pipeline:
    """Answers requests with the endpoints it was given. Never raises."""

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        desk: Desk,
        rules: Rules,
        observers: Sequence[Observer],
        *,
        identity: Authenticator,
        limits: Limits,
        time_limit: float,
        allowed_origins: tuple[str, ...],
    ) -> None:
        """`time_limit` of one request, in seconds."""
        self._router = Router(endpoints)
        self._desk = desk
        self._loaders = _Loaders(rules)
        self._identity = identity
        self._limits = limits
        self._observers = observers
        self._time_limit = TimeLimit(time_limit)
        self._allowed_origins = allowed_origins

    async def run(
        self, request: ApiRequest, refusal: MontError | None = None, *, waited: float = 0.0
    ) -> ApiResponse:
        """The answer to a request; to `refusal` where the door could not read the request whole.

        `waited` in seconds: what the door took to read it, which counts as part of its time.
        """
        started = time.perf_counter() - waited
        this_id = _id_of(request)
        token = request_id.set(this_id)
        learnt = Trail()
        trail_token = trail.current.set(learnt)
        route: Route | None = None
        passage = Passage(self._limits)
        try:
            if refusal is not None:
                raise refusal
            if len(request.body) > MAX_BODY_BYTES:
                raise BodyTooLarge
            if request.method == "OPTIONS":
                answer = self._options(request)
            else:
                route = self._router.find(request.method, request.path)
                if route.endpoint.limited:
                    passage.enter()
                with self._time_limit.hold(waited, learnt.expire):
                    answer = await self._answer(request, route, passage, this_id, learnt)
        except Exception as error:  # the one place where every error becomes an answer
            learnt.error = _named(error, learnt)
            answer = _refuse(learnt.error, this_id)
        answer.headers.update(limit_headers(passage.allowances))
        answer = self._dressed(request, answer, this_id)
        name = route.endpoint.name if route else UNROUTED
        self._observe(name, request, answer, time.perf_counter() - started, learnt)
        trail.current.reset(trail_token)
        request_id.reset(token)
        return answer

    def refuse(self, error: Exception) -> ApiResponse:
        """The answer to what a door could make no request of at all."""
        nothing = ApiRequest(method="", path="")
        this_id = new_request_id()
        token = request_id.set(this_id)
        answer = self.turned_away(nothing, error, this_id)
        self._observe(UNROUTED, nothing, answer, 0.0)
        request_id.reset(token)
        return answer

    def turned_away(
        self, request: ApiRequest, error: Exception, this_id: str | None = None
    ) -> ApiResponse:
        """The answer to a request that is not even looked at; no observer hears of it."""
        this_id = this_id or _id_of(request)
        return self._dressed(request, _refuse(error, this_id), this_id)

    def _dressed(self, request: ApiRequest, answer: ApiResponse, this_id: str) -> ApiResponse:
        """The answer with what every answer carries."""
        answer.headers["X-Request-Id"] = this_id
        answer.headers.update(NOT_SNIFFED)
        self._allow_origin(request, answer)
        return _without_body(answer) if request.method == "HEAD" else answer

    def _observe(
        self,
        name: str,
        request: ApiRequest,
        answer: ApiResponse,
        seconds: float,
        learnt: Trail | None = None,
    ) -> None:
        done = Answered(name, request.method, request.path, answer.status, seconds, learnt)
        for observer in self._observers:
            observer.answered(done)

    async def _answer(
        self,
        request: ApiRequest,
        route: Route,
        passage: Passage,
        this_id: str,
        learnt: Trail,
    ) -> ApiResponse:
        endpoint = route.endpoint
        try:
            caller = ANYBODY if endpoint.public else await self._identity.identify(request.headers)
        except Unauthenticated:
            passage.unidentified()
            raise
        learnt.caller = caller
        if endpoint.limited:
            await passage.identified(caller)
        call: Call[Any, Any] = Call(
            caller=caller,
            desk=desk_for(self._desk, caller),
            body=self._loaders.body(endpoint, request, caller),
            query=self._loaders.query(endpoint, request, caller),
            image_id=route.image_id,
            headers=request.headers,
            request_id=this_id,
        )
        try:
            reply = await endpoint.function(call)
        except NotOwner as error:
            raise as_seen_by(caller, error) from error
        return _rendered(reply)

    def _options(self, request: ApiRequest) -> ApiResponse:
        allowed = ", ".join(self._router.allowed(request.path))
        headers = {"Allow": allowed}
        if "access-control-request-method" in request.headers:
            headers["Access-Control-Allow-Methods"] = allowed
            headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
            headers["Access-Control-Max-Age"] = _CORS_MAX_AGE
        return ApiResponse(204, headers)

    def _allow_origin(self, request: ApiRequest, answer: ApiResponse) -> None:
        if "*" in self._allowed_origins:
            answer.headers["Access-Control-Allow-Origin"] = "*"
        else:
            vary = answer.headers.get("Vary")
            answer.headers["Vary"] = "Origin" if vary is None else f"{vary}, Origin"
            origin = request.headers.get("origin")
            if origin not in self._allowed_origins:
                return
            answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Expose-Headers"] = _EXPOSED


class _Loaders:
    """Turns bodies and queries into what endpoint functions take, for the user who may ask it."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._schemas: dict[type[RequestSchema], RequestSchema] = {}

    def body(self, endpoint: Endpoint, request: ApiRequest, caller: Caller) -> Any:
        """The checked body; None where the endpoint takes none or was rightly sent none."""
        if endpoint.body is None or (endpoint.body_optional and not request.body):
            return None
        _check_type(request)
        try:
            data = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise MalformedBody(_what_is_malformed(request.body, error)) from error
        if not isinstance(data, dict):
            raise MalformedBody
        return self._load(endpoint.body, "body", data, caller)

    def query(self, endpoint: Endpoint, request: ApiRequest, caller: Caller) -> Any:
        """The checked query; None where the endpoint takes none."""
        if endpoint.query is None:
            return None
        data: dict[str, str] = {}
        known = self._schema(endpoint.query).fields
        for name, value in request.query:
            if name in data and name in known:
                raise InvalidFields([FieldError(f"query.{name}", "Given more than once.")])
            data[name] = value
        return self._load(endpoint.query, "query", data, caller)

    def _load(
        self, kind: type[RequestSchema], place: str, data: dict[str, Any], caller: Caller
    ) -> Any:
        """Load, with the user_id that a verified caller may leave out. Raises NotAllowed."""
        schema = self._schema(kind)
        own = caller.user_id if "user_id" in schema.fields else None
        if own is not None:
            data.setdefault("user_id", own)
        spared = ("user_id",) if kind.names_images and caller.verified and own is None else None
        try:
            loaded = schema.take(data, spared)
        except ValidationError as error:
            raise InvalidFields(list(_flat(place, error.messages))) from error
        if own is not None and data["user_id"] != own:
            raise NotAllowed
        return loaded

    def _schema(self, kind: type[RequestSchema]) -> RequestSchema:
        schema = self._schemas.get(kind)
        if schema is None:
            schema = self._schemas[kind] = kind(self._rules)
        return schema


def _flat(place: str, messages: object) -> Iterable[FieldError]:
    """marshmallow's nested messages as one line a field."""
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flat(place if key == "_schema" else f"{place}.{key}", inner)
    elif isinstance(messages, list):
        yield FieldError(place, " ".join(str(message) for message in messages))


def _check_type(request: ApiRequest) -> None:
    """Refuse what calls itself something else than JSON; what says nothing is taken for JSON.

    But not where a browser says nothing: pages of any origin may send that without asking first.
    """
    headers = request.headers
    if headers.get("content-type") == JSON and "content-encoding" not in headers:
        return  # as nearly all do
    if headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        # A few compressed bytes can be gigabytes, and no request here is long enough to gain by it.
        raise UnsupportedBody
    if "content-type" not in headers and "origin" in headers:
        raise UnsupportedBody
    kind, _, parameters = headers.get("content-type", JSON).lower().partition(";")
    kind = kind.strip()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        raise UnsupportedBody
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters)
    if charset and charset[1] not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedBody


def _what_is_malformed(body: bytes, error: orjson.JSONDecodeError) -> str:
    if not body:
        return "A JSON object is required as body, and there is none."
    return f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."


def is_request_id(text: str) -> bool:
    """Whether a request may go by this id, in answers and logs."""
    return _REQUEST_ID.fullmatch(text) is not None


def new_request_id() -> str:
    """An id for a request that brought none that can be used."""
    return os.urandom(16).hex()


def _id_of(request: ApiRequest) -> str:
    given = request.headers.get("x-request-id")
    return given if given is not None and is_request_id(given) else new_request_id()


def _named(error: Exception, learnt: Trail) -> Exception:
    """The error, where time that ran out is the doing of the stores that were waited for."""
    if not isinstance(error, TimeoutError):
        return error
    late = learnt.unanswered
    if not late:
        return StoreUnavailable("stores", "the request ran out of time")
    operations = " and ".join(late.values())
    return StoreUnavailable(
        " and ".join(late), f"the request ran out of time waiting for {operations}"
    )


def _refuse(error: Exception, this_id: str) -> ApiResponse:
    if isinstance(error, StoreUnavailable):
        _log.error("%s unavailable: %s", error.store, error.cause)
    elif isinstance(error, Unauthenticated):
        _log.info("credentials refused: %s", error.reason)
    elif problems.kind_of(error) is problems.UNEXPECTED:
        _log.error("unexpected error", exc_info=error)
    return problems.answer(error, this_id)


def _rendered(reply: Reply) -> ApiResponse:
    if reply.document is None:
        return ApiResponse(reply.status, dict(reply.headers), reply.body)
    headers = {"Content-Type": JSON, **reply.headers}
    return ApiResponse(reply.status, headers, orjson.dumps(reply.document))


def _without_body(answer: ApiResponse) -> ApiResponse:
    """The answer to HEAD: the same, and how long the body would have been."""
    if answer.status != 304:
        answer.headers["Content-Length"] = str(len(answer.body))
    return ApiResponse(answer.status, answer.headers)
