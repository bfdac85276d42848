"""A small client that says what a door answered, whatever door it is.

The suites in tests/edges use nothing else, so they run against any door: subclass `Api` and give
it `send`.
"""

from __future__ import annotations

import json as json_text
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.support.real_images import RealImage, real_image


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body of a JSON answer."""
        kind = self.headers["Content-Type"].partition(";")[0]
        assert kind in {"application/json", "application/problem+json"}, kind
        return json_text.loads(self.body)

    def problem(self, status: int, slug: str) -> Any:
        """The problem document, once it is the expected one and complete."""
        assert (self.status, self.headers["Content-Type"]) == (
            status,
            "application/problem+json",
        ), self.body
        document = self.json()
        assert document["type"] == f"urn:mont:problem:{slug}", document
        assert document["status"] == status
        assert document["title"]
        assert document["detail"]
        assert document["instance"] == self.headers["X-Request-Id"]
        return document

    def locations(self) -> list[str]:
        """Where the bad fields of a validation problem are."""
        return sorted(each["location"] for each in self.problem(400, "invalid-fields")["errors"])


class Api(ABC):
    """The API behind some door, and S3 as the API's clients reach it."""

    def __init__(self, browser: aiohttp.ClientSession) -> None:
        self.browser = browser

    @abstractmethod
    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """One exchange. `target` is path and query, encoded as it goes on the wire."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        data: bytes = b"",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, object] | list[tuple[str, str]] | None = None,
    ) -> Answer:
        """Send a request with a JSON body, a raw one or none."""
        sent = dict(headers or {})
        if json is not None:
            data = json_text.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        target = f"{path}?{urlencode(params)}" if params else path
        answer = await self.send(method, target, sent, data)
        assert answer.headers.get("X-Request-Id"), "every answer carries X-Request-Id"
        return answer

    async def ok(self, method: str, path: str, **more: Any) -> Any:
        """The document of a request that has to succeed."""
        answer = await self.request(method, path, **more)
        assert answer.status == 200, answer.body
        return answer.json()

    async def declare(self, user_id: str, image: RealImage, **more: object) -> Any:
        """Ask where to upload an image."""
        body = {
            "user_id": user_id,
            "filename": image.filename,
            "content_type": image.content_type,
            "file_size": image.size,
            **more,
        }
        return await self.ok("POST", "/images/upload-url", json=body)

    async def post_form(self, ticket: Any, body: bytes) -> int:
        """Send bytes to S3 as a browser does; gives S3's status."""
        form = aiohttp.FormData(ticket["fields"])
        form.add_field("file", body, filename="blob", content_type="application/octet-stream")
        async with self.browser.post(ticket["presigned_url"], data=form) as answer:
            return answer.status

    async def stage(self, user_id: str, image: RealImage, **more: object) -> Any:
        """Declare an image and send its bytes; gives the ticket."""
        ticket = await self.declare(user_id, image, **more)
        assert await self.post_form(ticket, image.body) in {200, 201, 204}
        return ticket

    async def complete(self, user_id: str, image_id: str, **more: object) -> Answer:
        """Complete an upload with no more than what is required, unless more is said."""
        body = {"user_id": user_id, "image_id": image_id, **more}
        return await self.request("POST", "/images/complete", json=body)

    async def upload(self, user_id: str, image: RealImage | None = None, **more: object) -> str:
        """The whole way; gives the image's id."""
        image = real_image() if image is None else image
        ticket = await self.stage(user_id, image, **more)
        answer = await self.complete(user_id, ticket["image_id"])
        assert answer.status == 200, answer.body
        image_id: str = ticket["image_id"]
        return image_id

    async def show(self, image_id: str) -> Any:
        """One image's document."""
        return await self.ok("GET", f"/images/{image_id}")

    async def ids(self, **query: object) -> list[str]:
        """The ids on a list's first page."""
        page = await self.ok("GET", "/images", params=query)
        return [image["image_id"] for image in page["images"]]

    async def fetch(self, url: str) -> Answer:
        """What a link serves."""
        async with self.browser.get(URL(url, encoded=True)) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


class HttpApi(Api):
    """The API behind an address."""

    def __init__(self, browser: aiohttp.ClientSession, base_url: str) -> None:
        super().__init__(browser)
        self.base_url = base_url

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """See Api."""
        # Without a body there is no type either: aiohttp would add application/octet-stream.
        async with self.browser.request(
            method,
            URL(self.base_url + target, encoded=True),
            headers=CIMultiDict(headers),
            data=body or None,
            skip_auto_headers=["Content-Type", "User-Agent"],
            allow_redirects=False,
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())


def new_user() -> str:
    """A user whom no other test knows."""
    return f"user-{uuid4().hex}"
