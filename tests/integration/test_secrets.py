"""Nothing that would let somebody in is ever logged: canaries through both doors, at DEBUG."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

from service.settings import Settings
from tests.edges import conftest as edges
from tests.support.api import Answer
from tests.support.identities import Kept, with_api_keys, with_tokens
from tests.support.lambda_process import running_functions
from tests.support.real_images import real_image
from tests.support.server import running_server
from tests.support.stores import environment_of, free_port

credentials, stores = edges.credentials, edges.stores

Ask = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Answer]]

AWS = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws-secret-1kLq",
    "AWS_SESSION_TOKEN": "canary-aws-session-8sGw",
}
CANARIES = {**AWS, "CURSOR_SECRET": "canary-cursor-7QzT"}
BASIC = "Y2FuYXJ5OnBhc3N3b3Jk"  # canary:password


def environment(settings: Settings, **changes: str) -> dict[str, str]:
    """What the service's process gets: every secret is one that can be looked for."""
    return {
        **environment_of(settings),
        "PORT": "0",
        "AWS_ACCESS_KEY_ID": "AKIACANARY",
        "LOG_LEVEL": "DEBUG",
        **CANARIES,
        **changes,
    }


@asynccontextmanager
async def behind(door: str, given: Mapping[str, str], log: Path) -> AsyncIterator[Ask]:
    """The service in a process of its own, behind a door; all that it writes goes to `log`."""
    with log.open("wb") as file:
        if door == "bridge":
            async with running_functions(given, file) as functions:
                yield functions.ask
            return
        async with (
            running_server("--backend", "aws", environment=given, log=file) as server,
            aiohttp.ClientSession() as browser,
        ):

            async def ask(
                method: str, target: str, headers: Mapping[str, str], body: bytes
            ) -> Answer:
                url = URL(server.url + target, encoded=True)
                async with browser.request(
                    method, url, headers=CIMultiDict(headers), data=body or None
                ) as answer:
                    return Answer(answer.status, answer.headers, await answer.read())

            yield ask


async def workflow(ask: Ask, user: str, credentials: Mapping[str, str]) -> set[str]:
    """Everything once; gives what was handed out that nobody else may see."""
    image = real_image()
    headers = {"Content-Type": "application/json", **credentials}

    async def call(method: str, target: str, **document: object) -> Any:
        answer = await ask(method, target, headers, json.dumps(document).encode())
        assert answer.status == 200, answer.body
        return answer.json()

    ticket = await call(
        "POST",
        "/images/upload-url",
        user_id=user,
        filename=image.filename,
        content_type=image.content_type,
        file_size=image.size,
    )
    async with aiohttp.ClientSession() as browser:
        form = aiohttp.FormData(ticket["fields"])
        form.add_field("file", image.body, filename="x")
        async with browser.post(ticket["presigned_url"], data=form) as sent:
            assert sent.status < 300
    image_id = ticket["image_id"]
    await call("POST", "/images/complete", user_id=user, image_id=image_id)
    page = await ask("GET", "/images?limit=1", credentials, b"")
    assert page.status == 200
    link = await ask("GET", f"/images/{image_id}/download-url", credentials, b"")
    links = await call("POST", "/images/download-urls", user_id=user, image_ids=[image_id])
    await call("PATCH", f"/images/{image_id}", user_id=user, tags=["x"])
    await call("DELETE", f"/images/{image_id}", user_id=user)
    urls = [link.json()["presigned_url"], links["results"][0]["presigned_url"]]
    signatures = {re.search("X-Amz-Signature=([0-9a-f]+)", url)[1] for url in urls}  # type: ignore[index]
    return {ticket["fields"]["x-amz-signature"], ticket["fields"]["policy"], *signatures}


async def wrong_places(ask: Ask, secret: str) -> None:
    """Where clients put credentials that do not belong there."""
    document = json.dumps({"user_id": secret, "api_key": secret, "filename": 1}).encode()
    kind = {"Content-Type": "application/json"}
    for headers in (
        {"Authorization": secret},
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": f"Token {secret}"},
        {"Authorization": f"Basic {BASIC}"},
        {"Authorization": f"Bearer {secret}.{secret}.{secret}"},
        {"X-API-Key": f"Bearer {secret}"},
        {"X-API-Key": f"{secret}x"},
        {"Cookie": f"key={secret}", "X-Request-Id": f"<{secret}>"},
        {"If-Match": secret, "Idempotency-Key": secret, "Origin": f"https://{secret}"},
    ):
        await ask("GET", f"/images?api_key={secret}&next_token={secret}", headers, b"")
        await ask("POST", "/images/upload-url", {**kind, **headers}, document)
        await ask("POST", "/images/complete", {**kind, **headers}, document[:-1])


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Callable[[set[str]], list[str]]]:
    def look(secrets: set[str]) -> list[str]:
        written = b"".join(path.read_bytes() for path in tmp_path.glob("*.log")).decode()
        assert '"route":' in written, "nothing was logged"
        return [
            line[:500] for line in written.splitlines() if any(each in line for each in secrets)
        ]

    yield look


Looking = Callable[[set[str]], list[str]]


async def tried_out(door: str, kept: Kept, log: Path) -> set[str]:
    """The secrets that a whole workflow and much that fails went through a service with."""
    credentials = kept.good["owner"]
    (secret,) = [value.removeprefix("Bearer ") for value in credentials.values()]
    async with behind(door, environment(kept.settings), log) as ask:
        handed_out = await workflow(ask, kept.owner, credentials)
        await wrong_places(ask, secret)
    return {*CANARIES.values(), BASIC, secret, secret.rpartition(".")[2], *handed_out}


@pytest.mark.parametrize("door", ["aiohttp", "bridge"])
async def test_no_api_key_and_no_secret_of_ours_is_logged(
    door: str, stores: Settings, tmp_path: Path, found: Looking
) -> None:
    async with with_api_keys(stores) as kept:
        assert found(await tried_out(door, kept, tmp_path / "keys.log")) == []


@pytest.mark.parametrize("door", ["aiohttp", "bridge"])
async def test_no_token_is_logged(
    door: str, stores: Settings, tmp_path: Path, found: Looking
) -> None:
    async with with_tokens(stores, tmp_path) as kept:
        assert found(await tried_out(door, kept, tmp_path / "tokens.log")) == []


async def telling_store(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, seen: set[str]
) -> None:
    """Refuses every request, and repeats all that it was told, as AWS does in such answers."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        writer.close()
        return
    seen |= set(re.findall("Signature=([0-9a-f]{64})", head))
    if "AmazonDynamoDB" in head or "DynamoDB_" in head:
        kind = "application/x-amz-json-1.0"
        body = json.dumps(
            {
                "__type": "com.amazon.coral.service#InvalidSignatureException",
                "message": f"The Canonical String for this request should have been {head!r}",
            }
        )
    else:
        kind = "application/xml"
        body = (
            "<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we "
            f"calculated does not match.</Message><CanonicalRequest>{head}</CanonicalRequest>"
            f"<StringToSign>{head}</StringToSign></Error>"
        )
    writer.write(
        f"HTTP/1.1 403 Forbidden\r\nContent-Type: {kind}\r\nConnection: close\r\n"
        f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()
    )
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("door", ["aiohttp", "bridge"])
async def test_what_a_store_says_of_a_refused_request_is_logged_without_its_secrets(
    door: str, tmp_path: Path, found: Looking
) -> None:
    seen: set[str] = set()

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await telling_store(reader, writer, seen=seen)

    async with await asyncio.start_server(told, "127.0.0.1", 0) as store:
        port = store.sockets[0].getsockname()[1]
        settings = Settings(aws_endpoint_url=f"http://127.0.0.1:{port}")
        async with behind(door, environment(settings), tmp_path / "refused.log") as ask:
            await everything_fails(ask)
    assert seen
    assert found({*CANARIES.values(), *seen}) == []


async def test_stores_that_are_not_there_are_logged_without_secrets(
    tmp_path: Path, found: Looking
) -> None:
    settings = Settings(aws_endpoint_url=f"http://127.0.0.1:{free_port()}")
    async with behind("aiohttp", environment(settings), tmp_path / "dead.log") as ask:
        await everything_fails(ask)
    assert found(set(CANARIES.values())) == []


async def everything_fails(ask: Ask) -> None:
    image_id = str(uuid4())
    kind = {"Content-Type": "application/json"}
    body = json.dumps({"user_id": "ann", "image_id": image_id, "image_ids": [image_id]}).encode()
    answers = [
        await ask("POST", "/images/complete", kind, body),
        await ask("GET", "/images", {}, b""),
        await ask("GET", f"/images/{image_id}/download-url", {}, b""),
        await ask("POST", "/images/delete", kind, body),
        await ask("DELETE", f"/images/{image_id}", kind, body),
        await ask("GET", "/readyz", {}, b""),
    ]
    assert {answer.status for answer in answers} <= {200, 503}
    for answer in answers:
        for canary in CANARIES.values():
            assert canary.encode() not in answer.body
