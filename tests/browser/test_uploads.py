"""Files on their way into the service, as somebody at the page sees them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from tests.browser.visits import (
    Visits,
    assert_accessible,
    card,
    cards,
    choose,
    pictures_shown,
    row,
    shot,
)
from tests.support.api import HttpApi, new_user
from tests.support.real_images import RealImage, large_jpeg, real_image, real_images

pytestmark = pytest.mark.asyncio(loop_scope="session")

STORAGE = re.compile(r"/images-[0-9a-f]{32}/?$")


async def test_files_of_every_format_are_uploaded_and_shown(visits: Visits, api: HttpApi) -> None:
    user = new_user()
    page = await visits.open(user=user)
    await expect(page.get_by_text("No images yet")).to_be_visible()
    await assert_accessible(page)
    await shot(page, "empty")
    await page.get_by_text("Tags and description for").click()
    await page.get_by_role("textbox", name="Tags").fill("holiday")
    await page.keyboard.press("Enter")
    await page.keyboard.type("sea")
    await page.get_by_role("textbox", name="Description").fill("The last evening")
    files = real_images()
    await choose(page, *files)
    await expect(page.get_by_text("5 of 5 files uploaded")).to_be_visible()
    await expect(cards(page)).to_have_count(5)
    await pictures_shown(page)
    await assert_accessible(page)
    await shot(page, "uploaded")
    listed = (await api.ok("GET", "/images", params={"user_id": user}))["images"]
    assert {each["filename"] for each in listed} == {each.filename for each in files}
    for each in listed:
        assert (each["tags"], each["description"]) == (["holiday", "sea"], "The last evening")
        link = await api.ok("GET", f"/images/{each['image_id']}/download-url")
        (file,) = (file for file in files if file.filename == each["filename"])
        assert (await api.fetch(link["presigned_url"])).body == file.body
    await page.get_by_role("button", name="Clear finished").click()
    await expect(page.locator("#uploads")).to_be_hidden()


async def test_a_large_file_shows_how_far_it_is_and_can_be_stopped_and_sent_again(
    visits: Visits,
) -> None:
    page = await visits.open(user=new_user())
    line = await page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1}
    await line.send("Network.enable")
    await line.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 800_000})
    file = large_jpeg()
    await choose(page, file)
    state = row(page, file.filename).locator("[data-part=state]")
    await expect(state).to_have_text(re.compile(r"Uploading, [1-9]\d?%, .+ [kM]B/s, \d+ s left"))
    await expect(page.get_by_role("progressbar")).to_be_visible()
    await assert_accessible(page)
    await shot(page, "uploading")
    await page.get_by_role("button", name=f"Cancel {file.filename}").click()
    await expect(state).to_have_text("Cancelled")
    await expect(page.get_by_role("button", name=f"Retry {file.filename}")).to_be_focused()
    await line.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    await page.keyboard.press("Enter")
    await expect(state).to_have_text("Uploaded")
    await expect(cards(page)).to_have_count(1)


async def test_files_that_the_service_would_refuse_are_not_even_sent(
    visits: Visits, tmp_path: Path
) -> None:
    page = await visits.open(user=new_user())
    await expect(page.get_by_text("No images yet")).to_be_visible()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    good = real_image()
    sizes = {"huge.jpg": 12_000_000, "a byte.jpg": 10_485_761, "notes.txt": 12, "empty.png": 0}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
    await page.locator("#files").set_input_files([tmp_path / name for name in sizes])
    await expect(row(page, "huge.jpg")).to_contain_text("12 MB is too large: at most 10 MB")
    await expect(row(page, "a byte.jpg")).to_contain_text(
        "10,485,761 bytes is too large: at most 10,485,760 bytes can be uploaded."
    )
    await expect(row(page, "notes.txt")).to_contain_text(
        "By its content this is no image that can be uploaded: only JPEG, PNG, GIF, WEBP, BMP."
    )
    await expect(row(page, "empty.png")).to_contain_text("The file is empty.")
    assert [url for url in sent if not url.startswith("blob:")] == []
    await assert_accessible(page)
    await shot(page, "refused")
    await choose(page, good)
    await expect(page.get_by_text("1 of 5 files uploaded, 4 failed")).to_be_visible()


async def test_a_file_is_what_its_bytes_say_and_not_what_its_name_does(
    visits: Visits, api: HttpApi
) -> None:
    user = new_user()
    page = await visits.open(user=user)
    visits.expect("status of 422.*/images/complete")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    jpeg = real_image()
    await choose(
        page,
        RealImage("really a.png", "image/png", 64, 48, jpeg.body),
        RealImage("page.jpg", "image/jpeg", 0, 0, b"<!doctype html><title>Not found</title>"),
        RealImage("cut.jpg", "image/jpeg", 64, 48, jpeg.body[:-20]),
    )
    await expect(row(page, "page.jpg")).to_contain_text("By its content this is no image")
    await expect(row(page, "cut.jpg")).to_contain_text("The uploaded bytes are no image")
    await expect(row(page, "really a.png")).to_have_attribute("data-state", "done")
    await expect(page.get_by_text("1 of 3 files uploaded, 2 failed")).to_be_visible()
    await expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    await expect(page.get_by_role("button", name="Remove")).to_have_count(2)
    assert not [each for each in sent if "page.jpg" in each]
    (image,) = (await api.ok("GET", "/images", params={"user_id": user}))["images"]
    assert (image["filename"], image["content_type"]) == ("really a.png", "image/jpeg")


async def test_the_same_file_is_one_image_however_often_it_comes(
    visits: Visits, api: HttpApi
) -> None:
    user = new_user()
    page = await visits.open(user=user)
    files = [real_image("image/png", 64, 50 + n) for n in range(2)]
    one, other = (replace(each, filename=f"{at}.png") for at, each in enumerate(files))
    sent: list[str] = []
    page.on("request", lambda request: STORAGE.search(request.url) and sent.append(request.url))
    await choose(page, one, other, one)
    await expect(page.get_by_text("3 of 3 files uploaded")).to_be_visible()
    await expect(page.get_by_text("Already uploaded")).to_have_count(1)
    await page.reload()
    await expect(cards(page)).to_have_count(2)
    await choose(page, one, replace(one, filename="a copy.png"))
    await expect(row(page, "0.png")).to_contain_text("Already uploaded")
    await expect(row(page, "a copy.png")).to_contain_text("Uploaded")
    await expect(cards(page)).to_have_count(3)
    assert len(sent) == 3
    # Deleted here, it is wanted again.
    await card(page, "1.png").focus()
    await page.keyboard.press("Delete")
    await expect(cards(page)).to_have_count(2)
    await choose(page, other)
    await expect(row(page, "1.png")).to_contain_text("Uploaded")
    await expect(cards(page)).to_have_count(3)
    assert len(sent) == 4
    await page.reload()
    await expect(cards(page)).to_have_count(3)


async def test_where_browsers_digest_nothing_files_are_uploaded_all_the_same(
    visits: Visits,
) -> None:
    page = await visits.open("/docs", user=new_user())
    # As on plain HTTP from another machine.
    await page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    await page.goto("/")
    await choose(page, real_image())
    await expect(row(page, "photo.jpg")).to_have_attribute("data-state", "done")


async def test_storage_that_stalls_is_given_up_and_tried_again(visits: Visits) -> None:
    page = await visits.open("/docs", user=new_user())
    await page.clock.install()
    stalled: list[Route] = []

    async def stall(route: Route) -> None:
        stalled.append(route)  # never answered

    await page.route(STORAGE, stall, times=1)
    await page.goto("/")
    async with page.expect_request(STORAGE):
        await choose(page, real_image())
    await page.clock.fast_forward(29_000)
    await expect(row(page, "photo.jpg")).to_contain_text("Uploading")
    await page.clock.fast_forward(2_000)
    await expect(row(page, "photo.jpg")).to_contain_text("The connection was lost")
    await expect(page.get_by_text("does not answer. Trying again")).to_be_visible()
    await page.clock.fast_forward(1_000)
    await expect(row(page, "photo.jpg")).to_have_attribute("data-state", "done")
    await expect(page.locator("#connection")).to_be_empty()
    assert len(stalled) == 1


async def test_in_a_long_queue_what_is_through_makes_room_for_what_is_not(
    visits: Visits,
) -> None:
    page = await visits.open(user=new_user())
    bad = RealImage("bad.jpg", "image/jpeg", 0, 0, b"no image")
    files = [real_image("image/png", 64, 70 + n) for n in range(7)]
    files = [replace(each, filename=f"{at}.png") for at, each in enumerate(files)]
    await page.route("**/images/complete", lambda route: None)  # held until it is unrouted
    await choose(page, *files[:4], bad, *files[4:])
    shown = page.locator(".upload:visible")
    overall = page.get_by_role("progressbar", name="Progress of all uploads")
    await expect(overall).to_be_visible()
    await expect(page.get_by_text("Checking")).to_have_count(3)
    await expect(shown).to_have_count(8)
    await expect(shown.first).to_contain_text("bad.jpg")
    await assert_accessible(page)
    await shot(page, "long-queue")
    await page.unroute("**/images/complete")
    await expect(page.get_by_text("7 of 8 files uploaded, 1 failed")).to_be_visible()
    await expect(overall).to_be_hidden()
    await expect(shown).to_have_count(1)
    await expect(shown).to_contain_text("bad.jpg")
    await assert_accessible(page)
    await page.get_by_role("button", name="Show 7 uploaded").click()
    await expect(shown).to_have_count(8)
    await page.get_by_role("button", name="Hide uploaded").click()
    await expect(shown).to_have_count(1)


async def test_why_storage_refuses_a_file_is_told_and_a_retry_gets_through(visits: Visits) -> None:
    page = await visits.open(user=new_user())
    visits.expect("status of 400")
    refusal = "<Error><Code>EntityTooLarge</Code><Message>Your upload is too big</Message></Error>"

    async def refuse(route: Route) -> None:
        await route.fulfill(
            status=400,
            content_type="application/xml",
            headers={"Access-Control-Allow-Origin": "*"},
            body=refusal,
        )

    await page.route(STORAGE, refuse)
    await choose(page, real_image())
    failed = row(page, "photo.jpg")
    await expect(failed).to_contain_text("Storage refused the file: Your upload is too big")
    await page.unroute(STORAGE)
    await page.get_by_role("button", name="Retry photo.jpg").click()
    await expect(failed).to_have_attribute("data-state", "done")
    await expect(card(page, "photo.jpg")).to_be_visible()


async def test_a_connection_that_breaks_half_way_costs_no_file(visits: Visits) -> None:
    page = await visits.open(user=new_user())
    visits.expect("ERR_CONNECTION_RESET")
    await page.route(STORAGE, lambda route: route.abort("connectionreset"), times=1)
    await choose(page, real_image())
    await expect(row(page, "photo.jpg")).to_contain_text("The connection was lost. Trying again.")
    await expect(row(page, "photo.jpg")).to_have_attribute("data-state", "done")
    await expect(cards(page)).to_have_count(1)


async def test_files_are_dropped_and_pasted_too(visits: Visits) -> None:
    page = await visits.open(user=new_user())
    await expect(page.get_by_text("No images yet")).to_be_visible()
    dropped, pasted = real_image("image/png"), real_image("image/gif")
    script = """([kind, name, type, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], name, { type }));
      const options = { bubbles: true, cancelable: true };
      if (kind === "paste") {
        const paste = new ClipboardEvent(kind, { ...options, clipboardData: data });
        document.body.dispatchEvent(paste);
        return null;
      }
      const event = new DragEvent(kind, { ...options, dataTransfer: data });
      document.body.dispatchEvent(event);
      return [event.defaultPrevented, document.getElementById("veil").hidden];
    }"""
    file = [dropped.filename, dropped.content_type, list(dropped.body)]
    assert await page.evaluate(script, ["dragover", *file]) == [True, False]
    await shot(page, "dropping")
    assert await page.evaluate(script, ["drop", *file]) == [True, True]
    file = [pasted.filename, pasted.content_type, list(pasted.body)]
    await page.evaluate(script, ["paste", *file])
    await expect(page.get_by_text("2 of 2 files uploaded")).to_be_visible()
    await expect(cards(page)).to_have_count(2)
