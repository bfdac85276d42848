"""Values and services with everything filled in, so that a test says only what it is about."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from service import errors, naming
from service.auth.callers import Authenticator
from service.cursor import CursorSealer
from service.endpoints import Call, Endpoint, Reply
from service.exchange import ApiRequest, ApiResponse
from service.limits import Limits
from service.model import Image, StorageQuota, UploadForm, Usage
from service.operations.desk import Desk
from service.operations.readiness import Readiness
from service.operations.uploading import CompleteUpload, RequestUpload, request_upload
from service.pipeline import Pipeline
from service.ports import ImageObjects, ImageRecords
from service.ratelimit import TokenBucket
from service.schemas import Rules
from service.settings import Settings
from service.storage.memory import MemoryImageObjects, MemoryImageRecords
from service.telemetry import Observer
from service.wiring import build_pipeline, rules_of
from tests.support.real_images import RealImage, real_image

NOON = "2026-02-13T12:00:00.000000Z"
RULES: Rules = rules_of(Settings())


def an_id(number: int) -> str:
    """The same UUID for the same number, ordered as the numbers are."""
    return str(uuid.UUID(int=number + (1 << 96)))


def an_image(**changes: Any) -> Image:
    """A completed image."""
    image_id = changes.get("image_id", an_id(1))
    return replace(
        Image(
            image_id=image_id,
            user_id="ann",
            filename="beach.jpg",
            content_type="image/jpeg",
            file_size=2_048,
            upload_timestamp=NOON,
            s3_key=f"images/ann/{image_id}_beach.jpg",
            etag="0123456789abcdef0123456789abcdef",
            width=64,
            height=48,
            tags=("sea",),
            description="Evening",
        ),
        **changes,
    )


ABANDONED_AFTER = timedelta(minutes=1)
"""How long a world's deletions are left to whoever marked them."""


@dataclass
class FakeClock:
    """A clock that stands still until it is moved. Seconds when called."""

    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 2, 13, 12, tzinfo=UTC) + timedelta(seconds=self.seconds - 1_000)


@dataclass
class World:
    """A desk with its stores in memory and a clock that the test moves."""

    objects: MemoryImageObjects = field(default_factory=MemoryImageObjects)
    records: MemoryImageRecords = field(default_factory=MemoryImageRecords)
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def desk(self) -> Desk:
        return self.desk_on(self.objects, self.records)

    def desk_on(self, objects: ImageObjects, records: ImageRecords) -> Desk:
        """A desk on other stores, such as wrappers around this world's."""
        return Desk(
            objects=objects,
            records=records,
            sealer=CursorSealer(b"secret"),
            now=self.clock.now,
            new_id=naming.new_image_id,
            upload_expiry=3600,
            download_expiry=900,
            abandoned_after=ABANDONED_AFTER,
            readiness=Readiness((objects.check, records.check), self.clock),
        )

    async def declared(
        self, file: RealImage | None = None, *, user_id: str = "ann", **said: Any
    ) -> tuple[CompleteUpload, UploadForm]:
        """A declared upload: what to complete it with, and the form to send the bytes with."""
        file = file or real_image()
        ticket = await request_upload(
            self.desk,
            RequestUpload(
                user_id,
                said.pop("filename", file.filename),
                file.content_type,
                said.pop("file_size", file.size),
                **said,
            ),
            None,
        )
        return CompleteUpload(ticket.image_id, user_id), ticket.form

    async def uploaded(self, file: RealImage | None = None, **said: Any) -> CompleteUpload:
        """An upload whose bytes have arrived; what to complete it with."""
        file = file or real_image()
        request, form = await self.declared(file, **said)
        self.objects.put(form, file.body)
        return request

    async def staged_bytes(self, request: CompleteUpload) -> int | None:
        """How many bytes are staged for an upload; None when nothing is."""
        key = naming.staging_key(request.user_id, request.image_id)
        stored = await self.objects.read_head(key, 1)
        return None if stored is None else stored.size


def an_error(kind: type[errors.MontError]) -> errors.MontError:
    """An error of this kind as its raiser makes it."""
    arguments: dict[type[errors.MontError], tuple[Any, ...]] = {
        errors.InvalidFields: ([errors.FieldError("body.tags.3", "Too long.")],),
        errors.MethodRefused: (("GET", "OPTIONS"),),
        errors.DeletionPending: (an_image(status="deleting"),),
        errors.Throttled: (1.2,),
        errors.QuotaExceeded: (43_200.0,),
        errors.StorageQuotaExceeded: (7, Usage(4, 1), StorageQuota(10, 5)),
        errors.UploadRejected: ("not_an_image",),
        errors.Unauthenticated: ('ApiKey realm="mont"', "unknown key"),
        errors.StoreUnavailable: ("S3", "connection to 10.1.2.3 refused"),
    }
    return kind(*arguments.get(kind, ()))


def an_endpoint(function: Callable[[Call[Any, Any]], Any], **changes: Any) -> Endpoint:
    """GET /probe, answered by `function`."""
    return replace(Endpoint("probe", "GET", "/probe", "Probe", function), **changes)


def failing(error: BaseException) -> Endpoint:
    """GET /probe, which raises this."""

    async def fail(call: Call[Any, Any]) -> Reply:
        raise error

    return an_endpoint(fail)


@dataclass
class Api:
    """A pipeline and a short way to ask it."""

    pipeline: Pipeline

    async def __call__(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        query: Iterable[tuple[str, str]] = (),
    ) -> ApiResponse:
        sent = orjson.dumps(json) if json is not None else body
        named = {"content-type": "application/json", **(headers or {})}
        return await self.pipeline.run(ApiRequest(method, path, tuple(query), named, sent))


def an_api(
    world: World | None = None,
    *extra: Endpoint,
    identity: Authenticator | None = None,
    bucket: TokenBucket | None = None,
    limits: Limits | None = None,
    observers: Sequence[Observer] = (),
    **settings: Any,
) -> Api:
    """The service as it is wired, on stores in memory."""
    world = world or World()
    return Api(
        build_pipeline(
            Settings(**settings),
            world.objects,
            world.records,
            identity=identity,
            limits=limits or Limits(bucket),
            observers=observers,
            extra=extra,
        )
    )


def document_of(answer: ApiResponse) -> dict[str, Any]:
    """The JSON document of an answer."""
    document = orjson.loads(answer.body)
    assert isinstance(document, dict)
    return document
