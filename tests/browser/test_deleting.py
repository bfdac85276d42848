"""Deleting one image or many, and thinking again in time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, Route, expect

from service.model import Image
from service.settings import Settings
from service.storage.clients import Clients
from tests.browser.site import fill
from tests.browser.visits import (
    Visits,
    assert_accessible,
    card,
    cards,
    pictures_in_view,
    shot,
)
from tests.support.api import HttpApi, new_user

pytestmark = pytest.mark.asyncio(loop_scope="session")

Stores = tuple[Settings, Clients]
AFTER_THE_WINDOW = 9_000


async def with_images(
    visits: Visits, stores: Stores, count: int
) -> tuple[Page, Sequence[Image], str]:
    """A page that shows these images, and whose they are."""
    user = new_user()
    settings, clients = stores
    images = await fill(clients, settings, user, count, first=datetime(2026, 2, 10, tzinfo=UTC))
    page = await visits.open("/docs", user=user)
    await page.clock.install()
    await page.goto("/")
    await expect(cards(page)).to_have_count(min(count, 50))
    await pictures_in_view(page)
    return page, images, user


async def stop_the_clock(page: Page) -> None:
    """However slow the machine, a window for undoing is open until the test closes it."""
    await page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=10))


async def test_a_deletion_is_undone_in_time_and_nothing_happened(
    visits: Visits, stores: Stores, api: HttpApi
) -> None:
    page, images, user = await with_images(visits, stores, 3)
    await card(page, "photo 001").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    # Whoever points at the offer has all the time to take it.
    await page.get_by_text("Deleting photo 001.jpg").hover()
    await page.clock.fast_forward(AFTER_THE_WINDOW)
    await expect(cards(page)).to_have_count(2)
    await expect(card(page, "photo 000")).to_be_focused()
    await assert_accessible(page)
    await shot(page, "undo")
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator("#grid .name")).to_have_text(
        [image.filename for image in reversed(images)]
    )
    await page.clock.fast_forward(AFTER_THE_WINDOW)
    assert len(await api.ids(user_id=user)) == 3


async def test_a_deletion_is_sent_when_nobody_took_it_back(
    visits: Visits, stores: Stores, api: HttpApi
) -> None:
    page, images, user = await with_images(visits, stores, 2)
    await card(page, "photo 000").focus()
    await stop_the_clock(page)
    await page.keyboard.press("Delete")
    await expect(cards(page)).to_have_count(1)
    assert len(await api.ids(user_id=user)) == 2
    await expect(page.get_by_text("Deleting photo 000.jpg")).to_be_visible()
    await expect(page.get_by_text("Deleted")).to_have_count(0)
    async with page.expect_response("**/images/delete") as answered:
        await page.clock.fast_forward(AFTER_THE_WINDOW)
    assert (await (await answered.value).json())["results"][0]["status"] == "deleted"
    await expect(page.get_by_text("Deleted photo 000.jpg")).to_be_visible()
    assert await api.ids(user_id=user) == [images[1].image_id]


async def test_what_is_offered_for_undoing_or_not_answered_yet_is_sent_when_the_page_is_left(
    visits: Visits, stores: Stores, api: HttpApi
) -> None:
    page, _, user = await with_images(visits, stores, 102)
    for count in (100, 102):
        await page.mouse.wheel(0, 40_000)
        await expect(cards(page)).to_have_count(count)
    asked: list[int] = []

    async def hold_the_first(route: Route) -> None:
        asked.append(len(route.request.post_data_json["image_ids"]))
        if len(asked) > 1:
            await route.continue_()

    await page.route("**/images/delete", hold_the_first)
    await stop_the_clock(page)
    await card(page, "photo 000").focus()
    await page.keyboard.press("Control+a")
    await card(page, "photo 000").click(modifiers=["Control"])
    await page.get_by_role("button", name="Delete selected").click()
    await expect(cards(page)).to_have_count(1)
    async with page.expect_request("**/images/delete"):
        await page.clock.fast_forward(AFTER_THE_WINDOW)
    await expect(page.get_by_text("Deleted")).to_have_count(0)
    await card(page, "photo 000").focus()
    await page.keyboard.press("Delete")
    await expect(page.get_by_text("Deleting photo 000.jpg")).to_be_visible()
    assert asked == [100]
    assert len(await api.ids(user_id=user, limit=100)) == 100
    await page.goto("/docs")
    # Nobody is left in the browser who would hear of the answers.
    async with asyncio.timeout(10):
        while await api.ids(user_id=user):
            pass


async def test_many_are_selected_by_range_and_deleted_together(
    visits: Visits, stores: Stores, api: HttpApi
) -> None:
    page, images, user = await with_images(visits, stores, 12)
    await cards(page).nth(1).get_by_role("checkbox").check()
    await cards(page).nth(5).get_by_role("checkbox").click(modifiers=["Shift"])
    await expect(page.get_by_text("5 images selected")).to_be_visible()
    await card(page, "photo 009").click(modifiers=["Control"])  # the third of them: out again
    await expect(page.get_by_text("4 images selected")).to_be_visible()
    await assert_accessible(page)
    await shot(page, "selected")
    await stop_the_clock(page)
    await page.get_by_role("button", name="Delete selected").click()
    await expect(cards(page)).to_have_count(8)
    await expect(page.get_by_text("Deleting 4 images")).to_be_visible()
    async with page.expect_response("**/images/delete"):
        await page.clock.fast_forward(AFTER_THE_WINDOW)
    await expect(page.get_by_text("Deleted 4 images")).to_be_visible()
    gone = {images[11 - place].image_id for place in (1, 3, 4, 5)}
    assert set(await api.ids(user_id=user)) == {each.image_id for each in images} - gone


async def test_all_that_are_shown_are_selected_and_deleted_and_more_come_up(
    visits: Visits, stores: Stores, api: HttpApi
) -> None:
    page, _, user = await with_images(visits, stores, 60)
    await cards(page).nth(0).get_by_role("checkbox").focus()
    await page.keyboard.press("Control+a")
    await expect(page.get_by_text("50 images selected")).to_be_visible()
    await stop_the_clock(page)
    await page.get_by_role("button", name="Delete selected").click()
    await expect(cards(page)).to_have_count(10)
    async with page.expect_response("**/images/delete"):
        await page.clock.fast_forward(AFTER_THE_WINDOW)
    assert len(await api.ids(user_id=user)) == 10
    await expect(cards(page)).to_have_count(10)


async def test_what_cannot_be_deleted_comes_back_with_the_reason(
    visits: Visits, stores: Stores
) -> None:
    page, images, _ = await with_images(visits, stores, 3)
    visits.expect("status of 500")
    await page.route("**/images/delete", lambda route: route.fulfill(status=500, body="{}"))
    await card(page, "photo 001").focus()
    await stop_the_clock(page)
    await page.keyboard.press("Delete")
    await expect(cards(page)).to_have_count(2)
    await page.clock.fast_forward(AFTER_THE_WINDOW)
    await expect(page.get_by_role("alert")).to_contain_text("photo 001.jpg could not be deleted")
    await expect(page.locator("#grid .name")).to_have_text(
        [image.filename for image in reversed(images)]
    )
    await shot(page, "not-deleted")


async def test_an_image_that_another_tab_deleted_is_simply_gone(
    visits: Visits, stores: Stores, api: HttpApi
) -> None:
    page, images, user = await with_images(visits, stores, 2)
    await api.ok("DELETE", f"/images/{images[0].image_id}", json={"user_id": user})
    await card(page, "photo 000").focus()
    await stop_the_clock(page)
    await page.keyboard.press("Delete")
    async with page.expect_response("**/images/delete"):
        await page.clock.fast_forward(AFTER_THE_WINDOW)
    await expect(cards(page)).to_have_count(1)
    await expect(page.get_by_role("alert")).to_be_hidden()
