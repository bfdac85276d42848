"""The page by keyboard alone, in the dark, and for those who hear it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, expect

from service.settings import Settings
from service.storage.clients import Clients
from tests.browser.site import fill
from tests.browser.visits import Visits, assert_accessible, card, cards, pictures_shown, shot
from tests.support.api import HttpApi, new_user

pytestmark = pytest.mark.asyncio(loop_scope="session")

Stores = tuple[Settings, Clients]
FIRST = datetime(2026, 2, 10, tzinfo=UTC)


async def with_images(visits: Visits, stores: Stores, count: int, **options: str) -> Page:
    user = new_user()
    settings, clients = stores
    await fill(clients, settings, user, count, first=FIRST)
    page = await visits.open(user=user, **options)
    await expect(cards(page)).to_have_count(count)
    await pictures_shown(page)
    return page


async def tab_until(page: Page, name: str) -> None:
    """Press the tab key until the element of this name has the focus, always visibly."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        found, outlined = await page.evaluate(
            """() => {
              const each = document.activeElement;
              if (each === document.body) return ["the browser itself", true];
              const name = each.getAttribute("aria-label") || each.labels?.[0]?.innerText
                || each.innerText;
              const shown = each.id === "files" ? each.previousElementSibling : each;
              const around = [shown, shown.closest(".tagfield") ?? shown];
              return [name, around.some((one) => getComputedStyle(one).outlineStyle !== "none")];
            }"""
        )
        assert outlined, f"nothing shows that {found!r} has the focus"
        if found.partition("\n")[0] == name:
            return
    raise AssertionError(f"the tab key never gets to {name!r}")


async def test_everything_is_done_without_a_mouse(
    visits: Visits, stores: Stores, api: HttpApi
) -> None:
    page = await with_images(visits, stores, 6)
    await tab_until(page, "Skip to the images")
    await tab_until(page, "Choose images")
    await tab_until(page, "Tag")
    await page.keyboard.type("tenth")
    await page.keyboard.press("Enter")
    await expect(cards(page)).to_have_count(1)
    await tab_until(page, "Clear filters")
    await page.keyboard.press("Enter")
    await expect(cards(page)).to_have_count(6)
    await tab_until(page, "photo 005.jpg")
    await page.keyboard.press("ArrowRight")
    await expect(card(page, "photo 004")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(card(page, "photo 000")).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(card(page, "photo 005")).to_be_focused()
    await page.keyboard.press("End")
    await expect(card(page, "photo 000")).to_be_focused()
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="photo 005.jpg")
    await expect(dialog.get_by_role("img")).to_be_visible()
    await tab_until(page, "Tags")
    await page.keyboard.type("dawn")
    await page.keyboard.press("Enter")
    await tab_until(page, "Save changes")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_text("Saved", exact=True)).to_be_visible()
    image_id = page.url.partition("image=")[2]
    assert "dawn" in (await api.show(image_id))["tags"]
    await page.keyboard.press("Escape")
    await expect(card(page, "photo 005")).to_be_focused()
    await tab_until(page, "Select photo 005.jpg")
    await page.keyboard.press("Space")
    await expect(page.get_by_text("1 image selected")).to_be_visible()
    await tab_until(page, "Delete")
    await page.keyboard.press("Enter")
    await expect(cards(page)).to_have_count(5)
    await page.keyboard.press("Control+z")
    await expect(cards(page)).to_have_count(6)
    await expect(page.get_by_text("Kept photo 005.jpg")).to_be_visible()


async def test_it_is_dark_where_the_system_is_and_otherwise_on_demand(
    visits: Visits, stores: Stores
) -> None:
    page = await with_images(visits, stores, 4, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(ground)
    toggle = page.get_by_role("button", name="Dark theme")
    await expect(toggle).to_have_attribute("aria-pressed", "true")
    await cards(page).nth(1).get_by_role("checkbox").check()
    await assert_accessible(page)
    await shot(page, "dark")
    await cards(page).nth(2).get_by_role("button").click()
    await expect(page.get_by_role("dialog").get_by_role("img")).to_be_visible()
    await assert_accessible(page)
    await shot(page, "dark-detail")
    await page.keyboard.press("Escape")
    await toggle.click()
    light = await page.evaluate(ground)
    assert light != dark
    await page.reload()
    await expect(toggle).to_have_attribute("aria-pressed", "false")
    assert await page.evaluate(ground) == light
    await toggle.click()
    assert await page.evaluate(ground) == dark
    await page.emulate_media(color_scheme="light")  # it follows the system again
    await expect(toggle).to_have_attribute("aria-pressed", "false")


async def test_what_happens_is_said_to_those_who_do_not_see_it(
    visits: Visits, stores: Stores
) -> None:
    page = await with_images(visits, stores, 2)
    await expect(page.get_by_role("status").filter(has_text="2 images")).to_have_count(1)
    await card(page, "photo 001").focus()
    await page.keyboard.press("Delete")
    said = page.get_by_role("status").filter(has_text="Deleting photo 001.jpg")
    await expect(said).to_have_count(1)
    await expect(card(page, "photo 000")).to_be_focused()
    await expect(page.get_by_role("list", name="Images").get_by_role("listitem")).to_have_count(1)
