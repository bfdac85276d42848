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
from tests.support.api import new_user
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


async def test_a_service_key_acts_for_the_user_that_is_named(
    visits: Visits, stores: Stores
) -> None:
    visits.expect("status of 400")
    async with guarded(stores) as site:
        key, _ = await keyring.create(site.settings, "*", None, None)
        user = new_user()
        page = await visits.open(f"{site.url}/?tag={user}")
        await sign_in(page, "API key", key)
        await expect(page.get_by_text("Nothing matches")).to_be_visible()
        await choose(page, real_image("image/png"))
        await expect(page.locator(".upload")).to_contain_text("user id: Missing data")
        await page.get_by_label("User").fill(user)
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Clear filters").click()
        await choose(page, real_image())
        await expect(cards(page)).to_have_count(1)
        await page.close()


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
