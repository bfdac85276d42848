"""What the measured functions are asked, and stores that hold what they ask for.

Each function has a bucket and a table of its own, so that none is slowed by another's images.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from service import declaration, naming, timestamps
from service.model import Description, Image
from service.provisioning import provision_stores
from service.settings import Settings
from service.storage.clients import Clients, open_admin_clients
from service.storage.dynamodb import DynamoDBImageRecords, names_of
from tests.support.gateway import proxy_event
from tests.support.real_images import real_image
from tests.support.stores import environment_of, random_settings

Event = dict[str, Any]

_USER, _NAME, _LISTED = "ann", "beach.jpg", 20
_PHOTO = real_image()
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Workload:
    """One function's settings, as environment variables, and one event for each invocation."""

    function: str
    environment: dict[str, str]
    events: list[Event]


async def prepare(endpoint: str, count: int) -> list[Workload]:
    """A workload for each of the five functions, of `count` events; none can be used twice."""
    return [await _prepared(endpoint, count, prepared) for prepared in _PREPARED]


async def _prepared(endpoint: str, count: int, fill: _Fill) -> Workload:
    settings = random_settings(endpoint)
    async with open_admin_clients(settings) as clients:
        await provision_stores(clients, settings)
        events = await fill(_Stores(settings, clients), count)
    function, _ = events[0]
    return Workload(function, environment_of(settings), [event for _, event in events])


class _Stores:
    """Puts images where the service would have put them."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self._bucket = settings.s3_bucket_name
        self._s3 = clients.s3
        names = names_of(settings)
        self._records = DynamoDBImageRecords(clients.dynamodb, names)

    async def stage(self) -> str:
        """The id of an image that is uploaded and waits to be completed."""
        image_id = str(uuid4())
        said = Description(_NAME, ("sea",))
        await self._put(
            naming.staging_key(_USER, image_id), declaration.to_metadata(said, _PHOTO.size)
        )
        return image_id

    async def complete(self, age: int = 0) -> str:
        """The id of an image that is completed, `age` seconds ago."""
        image_id = str(uuid4())
        key = naming.final_key(_USER, image_id, _NAME)
        await self._put(key, {})
        moment = timestamps.to_text(datetime.now(UTC) - timedelta(seconds=age))
        await self._records.create(
            Image(image_id, _USER, _NAME, "image/jpeg", _PHOTO.size, moment, key, "0" * 32, 64, 48)
        )
        return image_id

    async def _put(self, key: str, metadata: dict[str, str]) -> None:
        await self._s3.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=_PHOTO.body,
            ContentType="image/jpeg",
            Metadata=metadata,
        )


async def _uploads(stores: _Stores, count: int) -> list[Routed]:
    declared = {
        "user_id": _USER,
        "filename": _NAME,
        "content_type": "image/jpeg",
        "file_size": _PHOTO.size,
        "tags": ["sea"],
    }
    return [_event("POST", "/images/upload-url", declared)] * count


async def _completions(stores: _Stores, count: int) -> list[Routed]:
    def completion(image_id: str) -> Routed:
        declared = {"filename": _NAME, "content_type": "image/jpeg", "file_size": _PHOTO.size}
        whole = {"image_id": image_id, "user_id": _USER, **declared}
        return _event("POST", "/images/complete", whole)

    return [completion(await stores.stage()) for _ in range(count)]


async def _lists(stores: _Stores, count: int) -> list[Routed]:
    for age in range(_LISTED):
        await stores.complete(age)
    return [_event("GET", f"/images?user_id={_USER}&limit={_LISTED}")] * count


async def _downloads(stores: _Stores, count: int) -> list[Routed]:
    image_id = await stores.complete()
    return [_event("GET", f"/images/{image_id}/download-url")] * count


async def _deletions(stores: _Stores, count: int) -> list[Routed]:
    return [
        _event("DELETE", f"/images/{await stores.complete()}", {"user_id": _USER})
        for _ in range(count)
    ]


def _event(method: str, target: str, body: dict[str, object] | None = None) -> Routed:
    return proxy_event(method, target, _JSON, b"" if body is None else orjson.dumps(body))


Routed = tuple[str, Event]  # the function that API Gateway calls, and with what
_Fill = Callable[[_Stores, int], Awaitable[list[Routed]]]
_PREPARED: tuple[_Fill, ...] = (_uploads, _completions, _lists, _downloads, _deletions)
