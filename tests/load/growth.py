"""`make growth`: what a call costs as images pile up, in the units that AWS charges.

The service runs in this process with its real clients on simulated stores that charge DynamoDB's
and S3's rules (`tests/load/simulated`). The same calls are measured in stores of more and more
images. IMAGES gives their numbers, separated by commas.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from service import naming, timestamps
from service.exchange import ApiRequest, ApiResponse
from service.model import Image
from service.pipeline import Pipeline
from service.settings import Settings
from service.storage.items import to_item
from tests.load import calls
from tests.load.in_process import logging_to_nowhere, running_pipeline
from tests.load.simulated.stores import Bill, SimulatedStores

SIZES = (1_000, 10_000, 100_000, 1_000_000)
RARE = "sunset"
"""Every fourth image has this tag."""
_BUILD = Path(__file__).resolve().parents[2] / "build" / "bench"
_NEWEST = datetime(2026, 2, 13, 12, tzinfo=UTC)
_LEAST, _MOST = 1_000, 5_000_000
# A page of the list of all images falls on sixteen partitions in another way each time.
_SAMPLES = 8
_NAMESPACE = uuid.UUID("1f2a7c52-6f0b-4c55-9a39-7a9f5f8c1d10")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call cost on average. CPU is the service's and the simulated stores' together."""

    read_units: float
    write_units: float
    s3_puts: float
    s3_gets: float
    s3_deletes: float
    rows: float
    store_calls: float
    store_bytes: float
    answer_bytes: float
    cpu_us: float

    @property
    def units(self) -> tuple[float, ...]:
        """All that AWS charges for."""
        return self.read_units, self.write_units, self.s3_puts, self.s3_gets, self.s3_deletes


def image(number: int) -> Image:
    """The `number`th newest image: the same in a store of any size. Four of five are ann's."""
    image_id = str(uuid.uuid5(_NAMESPACE, str(number)))
    user_id = "bob" if number % 5 == 4 else calls.USER
    return Image(
        image_id=image_id,
        user_id=user_id,
        filename=calls.FILENAME,
        content_type=calls.CONTENT_TYPE,
        file_size=calls.FILE_SIZE,
        upload_timestamp=_moment(number),
        s3_key=naming.final_key(user_id, image_id, calls.FILENAME),
        etag=calls.ETAG,
        width=4032,
        height=3024,
        tags=(RARE if number % 4 == 0 else "desert", "vacation"),
        description=calls.DESCRIPTION,
    )


def _moment(number: int) -> str:
    return timestamps.to_text(_NEWEST - timedelta(seconds=7 * number))


def filled(settings: Settings, count: int) -> SimulatedStores:
    """Stores with so many images."""
    stores = SimulatedStores(settings)
    stores.images.fill(to_item(image(number)) for number in range(count))
    return stores


class Measured:
    """The service on one store of so many images, with a way to ask it."""

    def __init__(self, pipeline: Pipeline, stores: SimulatedStores, count: int) -> None:
        self._pipeline = pipeline
        self.stores = stores
        self.count = count

    async def ask(
        self, method: str, path: str, document: object = None, **query: str
    ) -> ApiResponse:
        """One call, which has to succeed."""
        headers = {"content-type": "application/json"}
        body = b"" if document is None else orjson.dumps(document)
        request = ApiRequest(method, path, tuple(query.items()), headers, body)
        answer = await self._pipeline.run(request)
        if answer.status != 200:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.body!r}")
        return answer

    async def uploaded(self) -> str:
        """The id of an upload that is ready to be completed."""
        declared = {
            "user_id": calls.USER,
            "filename": calls.FILENAME,
            "content_type": calls.CONTENT_TYPE,
            "file_size": calls.FILE_SIZE,
            "tags": calls.TAGS,
            "description": calls.DESCRIPTION,
        }
        answer = orjson.loads((await self.ask("POST", "/images/upload-url", declared)).body)
        fields: dict[str, str] = answer["fields"]
        prefix = "x-amz-meta-"
        metadata = {k.removeprefix(prefix): v for k, v in fields.items() if k.startswith(prefix)}
        self.stores.bucket.add([fields["key"]], metadata)
        image_id: str = answer["image_id"]
        return image_id

    async def completed(self) -> str:
        """The id of an image that was just completed."""
        image_id = await self.uploaded()
        await self.ask("POST", "/images/complete", {"image_id": image_id, "user_id": calls.USER})
        return image_id


Prepared = Callable[[], Awaitable[ApiResponse]]
Case = Callable[[Measured, int], Awaitable[Prepared]]
"""(service, number of the sample) -> the call to measure, with all it needs prepared"""


def _listed(at: float, **query: str) -> Case:
    """A page of a list that starts `at` so much of it, reached by a cursor unless at its start."""

    async def prepare(service: Measured, sample: int) -> Prepared:
        asked = {"limit": "50", **query}
        if at:
            # Two pages before its end at the most; the second of them is the one measured.
            start = min(int(service.count * at) + 3 * sample, service.count - 75)
            asked["end_date"] = _moment(start)
            answer = orjson.loads((await service.ask("GET", "/images", None, **asked)).body)
            asked["next_token"] = answer["next_token"]
        return lambda: service.ask("GET", "/images", None, **asked)

    return prepare


async def _upload_url(service: Measured, sample: int) -> Prepared:
    document = orjson.loads(calls.CALLS["upload-url"].body)
    return lambda: service.ask("POST", "/images/upload-url", document)


async def _complete(service: Measured, sample: int) -> Prepared:
    document = {"image_id": await service.uploaded(), "user_id": calls.USER}
    return lambda: service.ask("POST", "/images/complete", document)


async def _get(service: Measured, sample: int) -> Prepared:
    path = f"/images/{image(sample * service.count // _SAMPLES).image_id}"
    return lambda: service.ask("GET", path)


async def _edit(service: Measured, sample: int) -> Prepared:
    path = f"/images/{await service.completed()}"
    return lambda: service.ask("PATCH", path, {"user_id": calls.USER, "tags": ["sea"]})


async def _download_url(service: Measured, sample: int) -> Prepared:
    path = f"/images/{image(sample * service.count // _SAMPLES).image_id}/download-url"
    return lambda: service.ask("GET", path)


async def _delete(service: Measured, sample: int) -> Prepared:
    path = f"/images/{await service.completed()}"
    return lambda: service.ask("DELETE", path, {"user_id": calls.USER})


CASES: Mapping[str, Case] = {
    "upload-url": _upload_url,
    "complete": _complete,
    "list": _listed(0, user_id=calls.USER),
    "list, middle page": _listed(0.5, user_id=calls.USER),
    "list, last page": _listed(1, user_id=calls.USER),
    "list by tag": _listed(0, user_id=calls.USER, tag=RARE),
    "list-all": _listed(0),
    "list-all, middle page": _listed(0.5),
    "list-all, last page": _listed(1),
    "get": _get,
    "edit": _edit,
    "download-url": _download_url,
    "delete": _delete,
}


async def measured(
    stores: SimulatedStores, count: int, samples: int = _SAMPLES, own_calls: int = 0, **changes: Any
) -> dict[str, Cost]:
    """The cost of every case in these stores, with these changes of settings.

    `own_calls` are what the service asks of the stores by itself when it starts.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(await stores.listen())
        host, port = server.sockets[0].getsockname()
        pipeline = await stack.enter_async_context(
            running_pipeline(f"http://{host}:{port}", **changes)
        )
        while own_calls > 0:
            await asyncio.sleep(0)
            own_calls -= len(stores.take_bill().calls)
        service = Measured(pipeline, stores, count)
        # Lists first: the images that other cases add are newer than all of these.
        order = sorted(CASES, key=lambda name: not name.startswith("list"))
        found = {name: await _cost(service, CASES[name], samples) for name in order}
        return {name: found[name] for name in CASES}


async def _cost(service: Measured, case: Case, samples: int) -> Cost:
    bills: list[Bill] = []
    seconds = answered = 0.0
    for sample in range(samples):
        call = await case(service, sample)
        service.stores.take_bill()
        started = time.process_time()
        answer = await call()
        seconds += time.process_time() - started
        answered += len(answer.body)
        bills.append(service.stores.take_bill())
    return Cost(
        read_units=sum(bill.dynamodb.read for bill in bills) / samples,
        write_units=sum(bill.dynamodb.write for bill in bills) / samples,
        s3_puts=sum(bill.s3.puts for bill in bills) / samples,
        s3_gets=sum(bill.s3.gets for bill in bills) / samples,
        s3_deletes=sum(bill.s3.deletes for bill in bills) / samples,
        rows=sum(bill.dynamodb.rows for bill in bills) / samples,
        store_calls=sum(len(bill.calls) for bill in bills) / samples,
        store_bytes=sum(bill.sent_bytes for bill in bills) / samples,
        answer_bytes=answered / samples,
        cpu_us=1e6 * seconds / samples,
    )


def main() -> None:
    """Measure, print the table, write every number."""
    sizes = sizes_in(os.environ.get("IMAGES") or ",".join(map(str, SIZES)))
    results: dict[int, dict[str, Cost]] = {}
    for size in sizes:
        print(f"{size:,} images ...", flush=True)
        stores = filled(Settings(), size)
        with logging_to_nowhere():
            results[size] = asyncio.run(measured(stores, size))
    print(table(results))
    _BUILD.mkdir(parents=True, exist_ok=True)
    report = _BUILD / "growth.json"
    report.write_text(json.dumps(document(results), indent=1) + "\n", "utf-8")
    print(f"\nEvery number: {report.relative_to(_BUILD.parents[1])}")


def sizes_in(text: str) -> list[int]:
    """Numbers of images, ascending. Exits where they cannot be used."""
    parts = [part.strip().replace("_", "") for part in text.split(",") if part.strip()]
    if not parts or not all(p.isascii() and p.isdigit() for p in parts):
        raise SystemExit(f"make growth: IMAGES must be numbers, separated by commas, not {text!r}")
    sizes = sorted({int(part) for part in parts})
    if not _LEAST <= sizes[0] <= sizes[-1] <= _MOST:
        raise SystemExit(f"make growth: IMAGES must be from {_LEAST:,} to {_MOST:,}")
    return sizes


def table(results: Mapping[int, Mapping[str, Cost]]) -> str:
    """Units of every case by size."""
    lines = ["", "DynamoDB units (read + write) and rows read, by images in the store", ""]
    lines.append(f"{'':24}" + "".join(f"{size:>18,}" for size in results) + "   S3 requests")
    lines += list(_rows(results))
    return "\n".join(lines)


def _rows(results: Mapping[int, Mapping[str, Cost]]) -> Iterator[str]:
    for name in CASES:
        costs = [costs[name] for costs in results.values()]
        cells = [f"{c.read_units:.4g} + {c.write_units:.4g}, {c.rows:.0f}" for c in costs]
        last = costs[-1]
        s3 = [
            f"{last.s3_puts:.0f} put" * bool(last.s3_puts),
            f"{last.s3_gets:.0f} get" * bool(last.s3_gets),
        ]
        yield (
            f"{name:24}"
            + "".join(f"{cell:>18}" for cell in cells)
            + "   "
            + " ".join(filter(None, s3))
        )


def document(results: Mapping[int, Mapping[str, Cost]]) -> dict[str, Any]:
    """Every number: size -> case -> cost."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "sizes": {
            str(size): {name: asdict(cost) for name, cost in costs.items()}
            for size, costs in results.items()
        },
    }


if __name__ == "__main__":
    main()
