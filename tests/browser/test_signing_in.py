"""The page where the service wants to know who is there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from service import keyring
from service.settings import Settings
from service.storage.clients import Clients
from tests.browser.site import Site, running_site
from tests.browser.visits import Visits, assert_accessible, card, cards, choose, shot
from tests.support.api import HttpApi, new_user
from tests.support.issuer import AUDIENCE, ISSUER, Signer, claims
from tests.support.real_images import real_image

pytestmark = pytest.mark.asyncio(loop_scope="session")

Stores = tuple[Settings, Clients]


@asynccontextmanager
async def guarded(stores: Stores) -> AsyncIterator[Site]:
    async with running_site(replace(stores[0], auth_mode="api_key")) as site:
        yield site


async def sign_in(page: Page, label: str, credential: str) -> None:
    await page.get_by_label(label).fill(credential)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_key_opens_the_page_and_is_nowhere_but_in_this_tab(
    visits: Visits, stores: Stores
) -> None:
    visits.expect("status of 401")
    async with guarded(stores) as site:
        owner = new_user()
        key, _ = await keyring.create(site.settings, owner, None, None)
        page = await visits.open(site.url)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await expect(page.get_by_label("API key")).to_be_focused()
        await expect(page.get_by_text("Drop images here")).to_be_hidden()
        await assert_accessible(page)
        await shot(page, "sign-in")
        await sign_in(page, "API key", "not-a-key")
        await expect(page.get_by_role("alert")).to_be_visible()
        await shot(page, "sign-in-refused")
        await sign_in(page, "API key", key)
        await expect(page.get_by_text("No images yet")).to_be_visible()
        await choose(page, real_image())
        await expect(cards(page)).to_have_count(1)
        await card(page, "photo.jpg").click()
        dialog = page.get_by_role("dialog", name="photo.jpg")
        await expect(dialog.get_by_text(owner, exact=True)).to_be_visible()
        await dialog.get_by_label("Description").fill("Signed")
        await dialog.get_by_role("button", name="Save changes").click()
        await expect(dialog.get_by_text("Saved", exact=True)).to_be_visible()
        await page.keyboard.press("Escape")
        await assert_accessible(page)
        await shot(page, "signed-in")
        await page.reload()
        await expect(cards(page)).to_have_count(1)
        assert key not in await page.evaluate("JSON.stringify(localStorage) + document.cookie")
        assert asked
        assert not [url for url in [*asked, page.url] if key in url]
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("API key")).to_be_focused()
        await expect(cards(page)).to_have_count(0)
        assert await page.evaluate("JSON.stringify(sessionStorage)") == "{}"
        await page.reload()
        await expect(page.get_by_label("API key")).to_be_focused()
        await page.close()


async def test_a_key_that_is_no_longer_good_asks_for_another_and_says_why(
    visits: Visits, stores: Stores
) -> None:
    visits.expect("status of 401")
    async with guarded(stores) as site:
        key, _ = await keyring.create(site.settings, new_user(), None, None)
        page = await visits.open(site.url)
        await sign_in(page, "API key", key)
        await expect(page.get_by_text("No images yet")).to_be_visible()
        await page.evaluate("sessionStorage.setItem('mont.credential', 'mont_revoked')")
        await page.reload()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await expect(page.get_by_role("alert")).not_to_be_empty()
        await sign_in(page, "API key", key)
        await expect(page.get_by_text("No images yet")).to_be_visible()
        await page.close()


async def test_nothing_of_one_user_is_left_for_the_next(visits: Visits, stores: Stores) -> None:
    visits.expect("status of 401")
    async with guarded(stores) as site:
        alice, bob = new_user(), new_user()
        keys = [(await keyring.create(site.settings, each, None, None))[0] for each in (alice, bob)]
        page = await visits.open(site.url)
        await sign_in(page, "API key", keys[0])
        await choose(page, real_image("image/gif"))
        await expect(cards(page)).to_have_count(1)
        await card(page, "photo.gif").focus()
        await page.keyboard.press("Delete")
        await page.get_by_text("Tags and description for").click()
        await page.get_by_role("textbox", name="Tags").fill("secret")
        await page.get_by_role("textbox", name="Description").fill("Of alice")
        await page.route("**/images/complete", lambda route: None)
        await choose(page, *(real_image("image/png", 64, 120 + n) for n in range(5)))
        await expect(page.get_by_text("Checking")).to_have_count(3)
        async with page.expect_response("**/images/delete") as deletion:
            await page.get_by_role("button", name="Sign out").click()
        assert (await (await deletion.value).json())["results"][0]["status"] == "deleted"
        await expect(
            page.get_by_text("5 uploads stopped. Sign in and choose the files again.")
        ).to_be_visible()
        await assert_accessible(page)
        await shot(page, "signed-out-while-uploading")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        await page.unroute("**/images/complete")
        await sign_in(page, "API key", keys[1])
        await expect(page.get_by_text("No images yet")).to_be_visible()
        await expect(page.locator(".upload")).to_have_count(0)
        await expect(page.get_by_role("textbox", name="Description")).to_have_value("")
        await expect(page.get_by_text("secret")).to_have_count(0)
        await expect(page.locator("#toast")).not_to_have_class("toast shown")
        await choose(page, real_image())
        await expect(cards(page)).to_have_count(1)
        assert [each for each in asked if each.endswith("/images/upload-url")] == [
            f"POST {site.url}/images/upload-url"
        ]
        # A key that is revoked meanwhile ends it as well, and says so.
        await page.set_extra_http_headers({"X-API-Key": "mont_revoked"})
        await choose(page, real_image("image/bmp"))
        await expect(page.get_by_text("1 upload stopped.")).to_be_visible()
        await expect(page.locator(".upload")).to_have_count(0)
        await page.close()


async def test_a_service_key_asks_for_whom_the_images_are_and_then_goes_on(
    visits: Visits, stores: Stores, api: HttpApi
) -> None:
    visits.expect("status of 400")
    async with guarded(stores) as site:
        key, _ = await keyring.create(site.settings, "*", None, None)
        user = new_user()
        page = await visits.open(f"{site.url}/?tag={user}")
        await sign_in(page, "API key", key)
        await expect(page.get_by_text("Nothing matches")).to_be_visible()
        await choose(page, real_image("image/png"), real_image("image/gif"))
        await expect(page.get_by_role("alert")).to_contain_text("whose images these are")
        await expect(page.get_by_label("User")).to_be_focused()
        await expect(page.get_by_text("Waiting until a user is named")).to_have_count(2)
        await assert_accessible(page)
        await shot(page, "whose-images")
        await page.keyboard.type(user)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("2 of 2 files uploaded")).to_be_visible()
        await expect(page.get_by_role("alert")).to_be_hidden()
        await page.get_by_role("button", name="Clear filters").click()
        await expect(cards(page)).to_have_count(2)
        await page.close()
    listed = await api.ok("GET", "/images", params={"user_id": user})
    assert listed["count"] == 2


async def test_a_token_says_itself_whose_it_is(
    visits: Visits, stores: Stores, tmp_path: Path
) -> None:
    signer = Signer("one")
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [signer.public]}))
    settings = replace(
        stores[0], auth_mode="jwt", jwt_jwks=str(jwks), jwt_issuer=ISSUER, jwt_audience=AUDIENCE
    )
    user = new_user()
    async with running_site(settings) as site:
        page = await visits.open(site.url)
        await sign_in(page, "Access token", signer.sign(claims(user)))
        await choose(page, real_image())
        await expect(cards(page)).to_have_count(1)
        await expect(page.get_by_label("Owner")).to_have_value(user)
        await expect(page.get_by_label("User")).to_be_hidden()
        await page.close()
