"""Finding images: the endless list, filters, the address, several tabs and small screens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from service.settings import Settings
from service.storage.clients import Clients
from tests.browser.site import fill
from tests.browser.visits import (
    Visits,
    assert_accessible,
    card,
    cards,
    choose,
    pictures_in_view,
    pictures_shown,
    shot,
)
from tests.support.api import new_user
from tests.support.real_images import real_image

pytestmark = pytest.mark.asyncio(loop_scope="session")

Stores = tuple[Settings, Clients]
FIRST = datetime(2026, 2, 10, tzinfo=UTC)


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query, keep_blank_values=True)


async def test_scrolling_brings_every_image_once_and_pictures_only_where_they_are_seen(
    visits: Visits, stores: Stores
) -> None:
    user = new_user()
    settings, clients = stores
    images = await fill(clients, settings, user, 120, first=FIRST)
    page = await visits.open("/docs", user=user)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto("/")
    await expect(cards(page)).to_have_count(50)
    await expect(page.get_by_text("50 images so far")).to_be_visible()
    await pictures_in_view(page)
    assert 0 < sum(settings.s3_bucket_name in url for url in asked) < 50
    for count in (100, 120):
        await page.mouse.wheel(0, 20_000)
        await expect(cards(page)).to_have_count(count)
    await expect(page.locator("#count")).to_have_text("120 images")
    await expect(page.get_by_role("button", name="Load more")).to_be_hidden()
    names = await page.locator("#grid .name").all_text_contents()
    assert names == [image.filename for image in reversed(images)]
    await pictures_in_view(page)
    await shot(page, "scrolled")


async def test_filters_and_order_are_in_the_address_and_the_back_button_undoes_them(
    visits: Visits, stores: Stores
) -> None:
    user = new_user()
    settings, clients = stores
    await fill(clients, settings, user, 48, first=FIRST)  # two days
    page = await visits.open(user=user)
    await expect(cards(page)).to_have_count(48)
    await page.get_by_label("Tag", exact=True).fill("tenth")
    await page.keyboard.press("Enter")
    await expect(cards(page)).to_have_count(5)
    await page.get_by_label("From").fill("2026-02-11")
    await expect(cards(page)).to_have_count(2)
    await page.get_by_label("Order").select_option("Oldest first")
    await expect(page.locator("#grid .name").first).to_have_text("photo 030.jpg")
    assert query_of(page) == {"tag": ["tenth"], "from": ["2026-02-11"], "order": ["asc"]}
    await assert_accessible(page)
    await shot(page, "filtered")
    copy = await visits.open_in(page.context, page.url)
    await expect(copy.locator("#grid .name")).to_have_text(["photo 030.jpg", "photo 040.jpg"])
    await page.go_back()
    await expect(page.locator("#grid .name")).to_have_text(["photo 040.jpg", "photo 030.jpg"])
    await page.go_back()
    await expect(cards(page)).to_have_count(5)
    await expect(page.get_by_label("From")).to_have_value("")
    await page.get_by_label("To", exact=True).fill("2026-02-10")
    await expect(cards(page)).to_have_count(3)
    await page.get_by_role("button", name="Clear filters").click()
    await expect(cards(page)).to_have_count(48)
    assert query_of(page) == {}
    await page.get_by_label("Tag", exact=True).fill("nothing")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Nothing matches")).to_be_visible()


async def test_everybodys_images_are_shown_when_no_owner_is_named_and_only_ones_own_change(
    visits: Visits, stores: Stores
) -> None:
    one, other = new_user(), new_user()
    settings, clients = stores
    # Later than all others of this run, so that both are on the first page.
    await fill(clients, settings, one, 1, first=datetime(2091, 1, 1, tzinfo=UTC))
    await fill(clients, settings, other, 1, first=datetime(2091, 1, 2, tzinfo=UTC))
    page = await visits.open("/?owner=", user=one)
    await expect(cards(page).nth(1).get_by_role("checkbox")).to_be_attached()
    await expect(cards(page).nth(0).get_by_role("checkbox")).to_be_hidden()
    await pictures_in_view(page)
    await cards(page).nth(0).get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text(other, exact=True)).to_be_visible()
    await expect(dialog.get_by_role("button", name="Download")).to_be_visible()
    await expect(dialog.get_by_role("button", name="Delete")).to_be_hidden()
    await expect(dialog.get_by_role("button", name="Save changes")).to_be_hidden()
    await assert_accessible(page)
    await page.keyboard.press("Escape")
    await page.get_by_label("Owner").fill(other)
    await page.keyboard.press("Enter")
    await expect(cards(page)).to_have_count(1)
    assert query_of(page) == {"owner": [other]}
    await page.get_by_label("User").fill(other)
    await page.keyboard.press("Enter")
    await expect(cards(page).nth(0).get_by_role("checkbox")).to_be_attached()


async def test_an_upload_in_one_tab_is_in_another_after_a_look_at_the_list(visits: Visits) -> None:
    user = new_user()
    page = await visits.open(user=user)
    other = await visits.open_in(page.context)
    await expect(other.get_by_text("No images yet")).to_be_visible()
    await choose(page, real_image())
    await expect(cards(page)).to_have_count(1)
    await other.reload()
    await expect(card(other, "photo.jpg")).to_be_visible()


@pytest.mark.parametrize("width", [360, 768])
async def test_it_fits_on_small_screens(visits: Visits, width: int) -> None:
    page = await visits.open(
        user=new_user(),
        viewport={"width": width, "height": 740},
        is_mobile=True,
        has_touch=True,
    )
    await choose(page, *(real_image("image/png", 90 + n, 120) for n in range(3)))
    await expect(cards(page)).to_have_count(3)
    await pictures_shown(page)
    await assert_accessible(page)
    await shot(page, f"screen-{width}")
    await cards(page).nth(1).locator("input").tap()
    await expect(page.get_by_text("1 image selected")).to_be_visible()
    await page.get_by_role("button", name="Clear finished").tap()
    await shot(page, f"screen-{width}-selected")
    await card(page, "photo.png").first.tap()
    await expect(page.locator("#detail img")).to_be_visible()
    await assert_accessible(page)
    await shot(page, f"screen-{width}-detail")
    widths = await page.evaluate(
        "[document.documentElement.scrollWidth, document.getElementById('detail').scrollWidth]"
    )
    assert max(widths) <= width
    # What is pressed with a finger is large enough for it (WCAG 2.5.8).
    for box in await page.evaluate(
        """() => [...document.querySelectorAll("dialog button, #grid input")]
          .filter((each) => each.checkVisibility())
          .map((each) => each.getBoundingClientRect())
          .map(({ width, height }) => [width, height])"""
    ):
        assert min(box) >= 24, box


async def test_it_says_that_it_loads_before_there_is_any_script_and_asks_for_the_list_first(
    visits: Visits,
) -> None:
    page = await visits.open("/docs", user=new_user())
    seen = asyncio.Event()
    asked: list[str] = []

    async def wait(route: Route) -> None:
        await seen.wait()
        await route.continue_()

    await page.route("**/pages/app.js", wait)
    page.on("request", lambda each: asked.append(urlsplit(each.url).path))
    await page.goto("/", wait_until="commit")
    await expect(page.locator(".skeleton")).to_be_visible()
    await shot(page, "loading")
    seen.set()
    await expect(page.get_by_text("No images yet")).to_be_visible()
    await expect(page.locator(".skeleton")).to_be_hidden()
    # Nothing else has to come over the network before it.
    assert [each for each in asked if not each.startswith(("/pages/", "/docs/"))] == [
        "/",
        "/images",
    ]


async def test_a_page_that_did_not_load_whole_says_so_and_seems_to_load_no_more(
    visits: Visits,
) -> None:
    visits.expect("ERR_FAILED")
    page = await visits.open("/docs")
    await page.route("**/pages/zoom.js", lambda route: route.abort())
    await page.goto("/")
    await expect(page.get_by_role("alert")).to_contain_text("Load the page again")
    await expect(page.locator(".skeleton")).to_be_hidden()


async def test_text_of_twice_the_size_is_cut_off_nowhere(visits: Visits, stores: Stores) -> None:
    user = new_user()
    settings, clients = stores
    await fill(clients, settings, user, 3, first=FIRST)
    page = await visits.open(
        user=user, viewport={"width": 320, "height": 844}, is_mobile=True, has_touch=True
    )
    await page.evaluate("document.documentElement.style.fontSize = '200%'")
    await expect(cards(page)).to_have_count(3)
    await cards(page).nth(0).locator("input").tap()
    await page.get_by_role("button", name="Delete selected").tap()
    await cards(page).nth(0).locator("input").tap()
    # The bar and the message are both there, and neither covers the other.
    boxes = [await page.locator(each).bounding_box() for each in ("#toast", "#selection")]
    toast, bar = (box for box in boxes if box is not None)
    assert toast["y"] + toast["height"] <= bar["y"]
    assert await cut_off(page) == []
    await shot(page, "large-text")
    await page.get_by_role("button", name="Undo").tap()
    await page.get_by_role("button", name="Clear selection").tap()
    await card(page, "photo 001").tap()
    await expect(page.locator("#detail img")).to_be_visible()
    assert await cut_off(page) == []
    await shot(page, "large-text-detail")


async def cut_off(page: Page) -> list[str]:
    """What stands out of the window to the left or to the right."""
    return list(
        await page.evaluate(
            """() => [...document.querySelectorAll("body :is(button, input, p, h1, h2, label, dd)")]
              .filter((each) => each.checkVisibility() && !each.closest(".unseen, .skip"))
              .filter((each) => {
                const { left, right } = each.getBoundingClientRect();
                return left < 0 || right > document.documentElement.clientWidth;
              })
              .map((each) => each.outerHTML)"""
        )
    )
