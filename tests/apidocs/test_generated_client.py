"""A client that a generator makes of the served document does everything the API does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4

import httpx
import pytest

from service.endpoints import ENDPOINTS
from service.openapi import build_document
from service.settings import AuthMode
from tests.support.api import new_user
from tests.support.makers import RULES
from tests.support.real_images import real_image
from tests.support.server import Server

PACKAGE = "mont_generated"


def generate(folder: Path, *source: str) -> str:
    """Generate as a user does, but for formatting; gives what was printed."""
    configuration = folder / "generator.yaml"
    configuration.write_text("post_hooks: []\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", *source]
    command += ["--meta", "none", "--output-path", PACKAGE, "--fail-on-warning"]
    done = subprocess.run(
        [*command, "--config", str(configuration)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def generated(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The generated package, ready to be imported."""
    folder = tmp_path_factory.mktemp("generated")
    printed = generate(folder, "--url", f"{server.url}/openapi.json")
    assert printed.split() == ["Generating", PACKAGE]
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))
    for name in [each for each in sys.modules if each.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def of(operation: str, tag: str = "images") -> Any:
    """The module of an operation."""
    return import_module(f"{PACKAGE}.api.{tag}.{operation}")


def models() -> Any:
    return import_module(f"{PACKAGE}.models")


@pytest.fixture
async def client(generated: Path, server: Server) -> Any:
    async with import_module(PACKAGE).Client(base_url=server.url) as client:
        yield client


@pytest.mark.parametrize("auth_mode", [mode for mode in get_args(AuthMode) if mode != "claimed"])
def test_the_generator_warns_of_nothing_where_callers_show_who_they_are(
    auth_mode: AuthMode, tmp_path: Path
) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(build_document(ENDPOINTS, RULES, auth_mode)))
    assert generate(tmp_path, "--path", "openapi.json").split() == ["Generating", PACKAGE]
    call = (tmp_path / PACKAGE / "api" / "images" / "get_image.py").read_text()
    assert "client: AuthenticatedClient,\n" in call


def test_every_operation_is_a_module_under_its_name(generated: Path) -> None:
    made = {path.stem for path in generated.glob("api/*/*.py")} - {"__init__"}
    assert made == {each.name for each in ENDPOINTS}


def test_no_model_has_a_name_that_somebody_else_had_to_invent(generated: Path) -> None:
    made = {path.stem for path in generated.glob("models/*.py")}
    assert not [name for name in made if "type_0" in name or "item" in name or "response" in name]
    content_type = models().UploadRequestContentType
    assert content_type.JPEG == "image/jpeg"
    assert models().UploadRequest.__doc__.strip().startswith("An upload, declared")


async def upload(client: Any, user_id: str, **more: Any) -> UUID:
    """All three steps; gives the image's id."""
    image = real_image()
    ticket = await of("upload_url").asyncio(
        client=client,
        body=models().UploadRequest(
            user_id=user_id,
            filename="Straße am Meer.jpg",
            content_type=models().UploadRequestContentType.JPEG,
            file_size=image.size,
            **more,
        ),
        idempotency_key=uuid4().hex,
    )
    async with httpx.AsyncClient() as storage:
        sent = await storage.request(
            ticket.method,
            ticket.presigned_url,
            data=ticket.fields.additional_properties,
            files={"file": image.body},
        )
    assert sent.status_code in {200, 204}, sent.text
    completed = await of("complete").asyncio(
        client=client, body=models().CompleteRequest(user_id=user_id, image_id=ticket.image_id)
    )
    assert (completed.status, completed.image_id) == ("completed", ticket.image_id)
    return ticket.image_id


async def test_the_whole_workflow(client: Any) -> None:
    user = new_user()
    ids = [await upload(client, user, tags=["beach", str(number)]) for number in range(3)]

    pages = [await of("list_images").asyncio(client=client, user_id=user, limit=2)]
    while pages[-1].has_more:
        token = pages[-1].next_token
        pages.append(
            await of("list_images").asyncio(client=client, user_id=user, limit=2, next_token=token)
        )
    assert [page.count for page in pages] == [2, 1]
    listed = [image for page in pages for image in page.images]
    assert [image.image_id for image in listed] == ids[::-1]
    assert listed[0].filename == "Straße am Meer.jpg"
    assert listed[0].upload_timestamp.tzinfo is not None
    oldest = models().ListImagesOrder.ASC
    found = await of("list_images").asyncio(client=client, user_id=user, tag="beach", order=oldest)
    assert [image.image_id for image in found.images] == ids

    one = ids[0]
    got = await of("get_image").asyncio_detailed(one, client=client)
    assert got.parsed == listed[-1]
    etag = got.headers["ETag"]
    again = await of("get_image").asyncio_detailed(one, client=client, if_none_match=etag)
    assert (again.status_code, again.parsed) == (304, None)
    change = models().EditRequest(user_id=user, tags=["sunset"], description=None)
    edited = await of("edit_image").asyncio(one, client=client, body=change, if_match=etag)
    assert (edited.tags, edited.description) == (["sunset"], None)

    attachment = models().DownloadUrlDisposition.ATTACHMENT
    link = await of("download_url").asyncio(one, client=client, disposition=attachment)
    async with httpx.AsyncClient() as storage:
        served = await storage.get(link.presigned_url)
    assert served.content == real_image().body
    assert served.headers["Content-Disposition"].startswith("attachment")

    missing = uuid4()
    batch = models().BatchRequest(user_id=user, image_ids=[ids[1], missing])
    links = await of("download_urls").asyncio(client=client, body=batch)
    assert isinstance(links.results[0], models().DownloadLink)
    assert isinstance(links.results[1], models().BatchProblem)
    assert (links.results[1].image_id, links.results[1].status) == (missing, 404)
    deleted = await of("delete_images").asyncio(client=client, body=batch)
    assert isinstance(deleted.results[0], models().Outcome)
    assert isinstance(deleted.results[1], models().BatchProblem)

    owner = models().DeleteRequest(user_id=user)
    gone = await of("delete_image").asyncio(one, client=client, body=owner)
    assert gone.status == "deleted"
    gone = await of("delete_image").asyncio(ids[2], client=client, user_id=user)
    assert gone.status == "deleted"
    rest = await of("list_images").asyncio(client=client, user_id=user)
    assert (rest.images, rest.next_token, rest.has_more) == ([], None, False)


async def test_a_refusal_is_a_problem(client: Any) -> None:
    missing = await of("get_image").asyncio(uuid4(), client=client)
    assert isinstance(missing, models().Problem)
    assert (missing.status, missing.type_) == (404, "urn:mont:problem:image-not-found")
    bad = await of("list_images").asyncio_detailed(client=client, limit=0, next_token="forged")
    assert bad.status_code == 400
    assert bad.parsed.instance == bad.headers["X-Request-Id"]
    assert [each.location for each in bad.parsed.errors] == ["query.limit"]


async def test_everything_is_there_without_async_too(generated: Path, server: Server) -> None:
    with import_module(PACKAGE).Client(base_url=server.url) as client:
        for name in ("livez", "readyz"):
            assert of(name, "health").sync(client=client).status == "ok"
