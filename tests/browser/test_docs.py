"""The documentation page: calls are tried out, under the policy that forbids nearly everything.

Whatever the browser has against the page, of its policy above all, is a complaint on the console.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from service import keyring
from service.settings import Settings
from service.storage.clients import Clients
from tests.browser.site import Site, running_site
from tests.browser.visits import Visits, shot
from tests.support.api import HttpApi, new_user
from tests.support.issuer import AUDIENCE, ISSUER, Signer, claims

pytestmark = pytest.mark.asyncio(loop_scope="session")

Stores = tuple[Settings, Clients]


async def opened(page: Page, operation: str) -> Locator:
    """An operation of the page, unfolded."""
    block = page.locator(f"#operations-images-{operation}")
    await block.locator(".opblock-summary-control").click()
    await expect(block.get_by_role("button", name="Execute")).to_be_visible()
    return block


async def executed(page: Page, block: Locator) -> tuple[int, Any]:
    """Try it out with what is filled in; gives status and document, once the page shows them."""
    async with page.expect_response(lambda each: "/images" in each.url) as awaited:
        await block.get_by_role("button", name="Execute").click()
    answer = await awaited.value
    shown = block.locator(".live-responses-table tbody .response-col_status")
    await expect(shown).to_contain_text(str(answer.status))
    return answer.status, await answer.json()


async def authorized(page: Page, credential: str) -> None:
    """Show who you are, by the button for it."""
    await page.get_by_role("button", name="Authorize").click()
    dialog = page.locator(".modal-ux")
    await dialog.get_by_role("textbox").fill(credential)
    await dialog.get_by_role("button", name="Apply").click()
    await expect(dialog.get_by_text("Logout")).to_be_visible()
    await dialog.get_by_role("button", name="Close").click()


async def test_an_upload_is_declared_with_the_example_as_it_is(visits: Visits) -> None:
    page = await visits.open("/docs")
    block = await opened(page, "upload_url")
    status, ticket = await executed(page, block)
    assert status == 200
    assert ticket["fields"]["key"].endswith(ticket["image_id"])
    await expect(block.get_by_text(ticket["s3_key"])).to_be_visible()
    await expect(page.get_by_role("button", name="Authorize")).to_have_count(0)
    await shot(page, "docs")


async def test_lists_are_asked_for_without_filling_anything_in(
    visits: Visits, api: HttpApi
) -> None:
    image_id = await api.upload(new_user())
    page = await visits.open("/docs")
    status, found = await executed(page, await opened(page, "list_images"))
    assert status == 200
    assert image_id in [image["image_id"] for image in found["images"]]


async def test_an_image_is_edited_and_deleted_from_the_page(visits: Visits, api: HttpApi) -> None:
    image_id = await api.upload("user123")  # as the examples call their user
    page = await visits.open("/docs")
    for operation, value in (("edit_image", ["vacation", "sunset"]), ("delete_image", "deleted")):
        block = await opened(page, operation)
        await block.get_by_placeholder("image_id").fill(image_id)
        status, answer = await executed(page, block)
        assert (status, answer["tags" if operation == "edit_image" else "status"]) == (200, value)
    visits.expect("status of 404")
    block = await opened(page, "get_image")
    await block.get_by_placeholder("image_id").fill(image_id)
    status, problem = await executed(page, block)
    assert (status, problem["type"]) == (404, "urn:mont:problem:image-not-found")


async def test_a_refusal_is_shown_with_its_examples_in_the_dark_where_that_is_wanted(
    visits: Visits,
) -> None:
    turned = "getComputedStyle(document.documentElement).filter !== 'none'"
    page = await visits.open("/docs", color_scheme="dark")
    block = await opened(page, "complete")
    assert await page.evaluate(turned)
    await shot(page, "docs-dark")
    await page.emulate_media(color_scheme="light")
    assert not await page.evaluate(turned)
    conflict = block.locator(".responses-wrapper tr[data-code='409']")
    await expect(conflict.get_by_text("urn:mont:problem:upload-unsettled")).to_be_visible()
    examples = conflict.locator("select.examples-select-element")
    await examples.select_option("upload-unsettled")
    await expect(conflict.get_by_text('"Upload unsettled"')).to_be_visible()
    await page.evaluate("localStorage.setItem('mont.theme', 'dark')")  # as the gallery does
    await page.reload()
    assert await page.evaluate(turned)


async def test_behind_a_path_prefix_calls_go_through_it_too(visits: Visits) -> None:
    page = await visits.open("/docs")

    async def strip(route: Route) -> None:
        await route.fulfill(
            response=await route.fetch(url=route.request.url.replace("/stage/", "/"))
        )

    await page.context.route("**/stage/**", strip)
    await page.goto("/stage/docs")
    block = await opened(page, "upload_url")  # by then the page has loaded all of its own
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    status, _ = await executed(page, block)
    assert (status, asked) == (200, [f"{visits.url}/stage/images/upload-url"])


@asynccontextmanager
async def guarded(stores: Stores, mode: str, folder: Path) -> AsyncIterator[tuple[Site, str, str]]:
    """A site that asks who is there; with it a user, and what shows that one is it."""
    user, signer = new_user(), Signer("one")
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps({"keys": [signer.public]}))
    tokens = {"jwt_jwks": str(jwks), "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    settings = replace(stores[0], auth_mode=mode, **(tokens if mode == "jwt" else {}))
    async with running_site(settings) as site:
        if mode == "jwt":
            yield site, user, signer.sign(claims(user))
        else:
            key, _ = await keyring.create(site.settings, user, None, None)
            yield site, user, key


@pytest.mark.parametrize("mode", ["api_key", "jwt"])
async def test_where_it_matters_who_asks_the_page_lets_one_say_so(
    visits: Visits, stores: Stores, mode: str, tmp_path: Path
) -> None:
    visits.expect("status of 401")
    async with guarded(stores, mode, tmp_path) as (site, user, credential):
        page = await visits.open(f"{site.url}/docs")
        block = await opened(page, "upload_url")
        assert (await executed(page, block))[0] == 401
        await authorized(page, credential)
        status, ticket = await executed(page, block)
        assert status == 200
        assert ticket["s3_key"].startswith(f"images/{user}/")
        assert credential not in json.dumps(await page.context.storage_state())
        await shot(page, f"docs-{mode}")
        await page.close()
