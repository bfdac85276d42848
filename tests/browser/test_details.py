"""One image: looked at closely, edited, linked to and downloaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.visits import Visits, assert_accessible, card, cards, choose, shot
from tests.support.api import HttpApi, new_user
from tests.support.real_images import RealImage, real_image

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAME = "Straße am Meer <b>.jpg"


def named(filename: str, turned: int = 0) -> RealImage:
    file = real_image("image/jpeg", 640, 480, turned)
    return RealImage(filename, file.content_type, file.width, file.height, file.body)


async def with_images(visits: Visits, *files: RealImage) -> Page:
    """A page whose user has these images, the last one first."""
    page = await visits.open(user=new_user())
    for number, file in enumerate(files, 1):  # one by one, for the order
        await choose(page, file)
        await expect(cards(page)).to_have_count(number)
    await page.get_by_role("button", name="Clear finished").click()
    return page


async def opened(page: Page, filename: str) -> Locator:
    await card(page, filename).click()
    dialog = page.get_by_role("dialog", name=filename)
    await expect(dialog.get_by_role("img")).to_be_visible()
    return dialog


async def test_a_name_of_any_letters_is_shown_and_the_very_bytes_are_downloaded(
    visits: Visits,
) -> None:
    file = named(NAME)
    page = await with_images(visits, file)
    dialog = await opened(page, NAME)
    await expect(dialog.get_by_text("640 × 480")).to_be_visible()
    await expect(dialog.get_by_text(f"({file.size:,} bytes)")).to_be_visible()
    await assert_accessible(page)
    await shot(page, "detail")
    async with page.expect_download() as started:
        await dialog.get_by_role("button", name="Download").click()
    download = await started.value
    assert Path(await download.path()).read_bytes() == file.body
    assert download.suggested_filename.startswith("Straße am Meer")


async def test_tags_and_description_are_edited_and_shown_at_once(
    visits: Visits, api: HttpApi
) -> None:
    page = await with_images(visits, named("a.jpg"))
    dialog = await opened(page, "a.jpg")
    await dialog.get_by_label("Tags").fill("night")
    await dialog.get_by_label("Description").fill("Fog over the bay")
    await dialog.get_by_role("button", name="Save changes").click()
    await expect(dialog.get_by_text("Saved", exact=True)).to_be_visible()
    image_id = page.url.partition("image=")[2]
    image = await api.show(image_id)
    assert (image["tags"], image["description"]) == (["night"], "Fog over the bay")
    await dialog.get_by_role("button", name="Remove tag night").click()
    await dialog.get_by_role("button", name="Save changes").click()
    await expect(dialog.get_by_text("Saved", exact=True)).to_be_visible()
    assert (await api.show(image_id))["tags"] == []
    await dialog.get_by_role("button", name="Save changes").click()
    await expect(dialog.get_by_text("Nothing to save")).to_be_visible()


async def test_of_two_tabs_that_edit_the_slower_one_sees_what_it_would_replace(
    visits: Visits, api: HttpApi
) -> None:
    visits.expect("status of 412")
    page = await with_images(visits, named("a.jpg"))
    mine = await opened(page, "a.jpg")
    other = await visits.open_in(page.context, f"/?image={page.url.partition('image=')[2]}")
    theirs = other.get_by_role("dialog", name="a.jpg")
    await theirs.get_by_label("Description").fill("Theirs")
    await theirs.get_by_role("button", name="Save changes").click()
    await expect(theirs.get_by_text("Saved", exact=True)).to_be_visible()
    await mine.get_by_label("Description").fill("Mine")
    await mine.get_by_role("button", name="Save changes").click()
    conflict = mine.get_by_role("alert")
    await expect(conflict).to_contain_text("Somebody else changed this image meanwhile")
    await expect(conflict).to_contain_text("Theirs")
    await expect(mine.get_by_label("Description")).to_have_value("Mine")
    await assert_accessible(page)
    await shot(page, "conflict")
    await mine.get_by_role("button", name="Take theirs").click()
    await expect(mine.get_by_label("Description")).to_have_value("Theirs")
    await mine.get_by_label("Description").fill("Mine after all")
    await mine.get_by_role("button", name="Save changes").click()
    await expect(mine.get_by_text("Saved", exact=True)).to_be_visible()
    image = await api.show(page.url.partition("image=")[2])
    assert image["description"] == "Mine after all"


async def test_escape_does_not_throw_away_what_was_typed(visits: Visits) -> None:
    page = await with_images(visits, named("a.jpg"))
    dialog = await opened(page, "a.jpg")
    await dialog.get_by_label("Description").fill("Half a sen")
    await page.keyboard.press("Escape")
    await expect(dialog.get_by_text("Not saved yet")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()


async def test_the_picture_is_looked_at_closely_and_moved_about(visits: Visits) -> None:
    page = await with_images(visits, named("a.jpg"))
    dialog = await opened(page, "a.jpg")
    width = "document.querySelector('#detail img').getBoundingClientRect().width"
    fitting = await page.evaluate(width)
    for _ in range(3):
        await dialog.get_by_role("button", name="Zoom in").click()
    await expect(dialog.get_by_role("button", name="%")).to_be_visible()
    assert await page.evaluate(width) == pytest.approx(fitting * 1.5**3, rel=0.01)
    place = "document.querySelector('#detail .stage').scrollLeft"
    before = await page.evaluate(place)
    await page.mouse.move(400, 400)
    await page.mouse.down()
    await page.mouse.move(250, 400, steps=3)
    await page.mouse.up()
    assert await page.evaluate(place) == before + 150
    await assert_accessible(page)
    await shot(page, "zoomed")
    await page.keyboard.press("-")
    assert await page.evaluate(width) == pytest.approx(fitting * 1.5**2, rel=0.01)
    await page.keyboard.press("0")
    assert await page.evaluate(width) == fitting


async def test_from_image_to_image_and_back_to_where_the_list_was(visits: Visits) -> None:
    page = await with_images(visits, named("a.jpg"), named("b.jpg", 45), named("c.jpg", 90))
    await opened(page, "c.jpg")
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("dialog", name="b.jpg")).to_be_visible()
    await page.get_by_role("button", name="Next image").click()
    await expect(page.get_by_role("dialog", name="a.jpg")).to_be_visible()
    await expect(page.get_by_role("button", name="Next image")).to_be_disabled()
    await page.go_back()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(card(page, "a.jpg")).to_be_focused()
    await page.go_forward()
    await expect(page.get_by_role("dialog", name="a.jpg")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Enter")  # before the browser has gone back
    await expect(page.get_by_role("dialog", name="a.jpg")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/\?image=[0-9a-f-]{36}$"))
    await page.get_by_role("button", name="Close").click()
    await expect(page).to_have_url(f"{visits.url}/")


async def test_an_image_opened_again_before_its_closing_is_told_stays_open(visits: Visits) -> None:
    page = await with_images(visits, named("a.jpg"))
    dialog = await opened(page, "a.jpg")
    await page.evaluate(
        """() => {
            const told = new Promise((done) =>
                document.querySelector("#detail").addEventListener("close", done, { once: true }));
            document.querySelector("#detail").close();
            document.querySelector("#grid [data-id] button").click();
            return told;
        }"""
    )
    await expect(dialog.get_by_role("img")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/\?image=[0-9a-f-]{36}$"))
    await page.get_by_role("button", name="Close").click()
    await expect(page).to_have_url(f"{visits.url}/")
    await expect(card(page, "a.jpg")).to_be_focused()


async def test_an_address_opens_its_image_and_a_link_is_copied(visits: Visits) -> None:
    page = await with_images(visits, named("a.jpg"))
    dialog = await opened(page, "a.jpg")
    await page.reload()
    await expect(dialog.get_by_role("img")).to_be_visible()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await dialog.get_by_role("button", name="Copy link").click()
    await expect(dialog.get_by_text("Link copied: good for 15 min")).to_be_visible()
    link = await page.evaluate("navigator.clipboard.readText()")
    assert "X-Amz-Signature=" in link
    answer = await page.context.request.get(link)
    assert await answer.body() == named("a.jpg").body


async def test_where_there_is_no_clipboard_the_link_is_shown(visits: Visits) -> None:
    page = await with_images(visits, named("a.jpg"))
    dialog = await opened(page, "a.jpg")
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await dialog.get_by_role("button", name="Copy link").click()
    field = dialog.get_by_label("Link to the picture")
    await expect(field).to_be_focused()
    assert "X-Amz-Signature=" in await field.input_value()


async def test_an_image_that_is_not_there_is_said_so(visits: Visits) -> None:
    visits.expect("status of 404")
    page = await visits.open("/?image=0b0c4f0e-7a25-4f0c-8b52-8f2f6d8e7a11", user=new_user())
    dialog = page.get_by_role("dialog", name="This image cannot be opened")
    await expect(dialog.get_by_role("alert")).to_be_visible()
    await assert_accessible(page)
    await shot(page, "missing")


async def test_an_image_that_somebody_else_deleted_leaves_the_list_when_that_is_noticed(
    visits: Visits, api: HttpApi
) -> None:
    visits.expect("status of 404")
    page = await with_images(visits, named("a.jpg"), named("b.jpg", 45), named("c.jpg", 90))
    image_id = await page.locator("#grid > li").nth(1).get_attribute("data-id")
    gone = await api.show(str(image_id))
    await api.ok("DELETE", f"/images/{image_id}", json={"user_id": gone["user_id"]})
    await card(page, "b.jpg").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    await expect(page.locator("#grid .name")).to_have_text(["c.jpg", "a.jpg"])
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("dialog", name="a.jpg")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(card(page, "a.jpg")).to_be_focused()
