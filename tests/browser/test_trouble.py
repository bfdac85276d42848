"""What the page makes of lost connections, a busy service and pictures that are not there."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Route, expect

from service.settings import Settings
from service.storage.clients import Clients
from tests.browser.site import Site, fill, running_site
from tests.browser.visits import (
    Visits,
    assert_accessible,
    card,
    cards,
    choose,
    row,
    shot,
)
from tests.support.api import new_user
from tests.support.real_images import real_image

pytestmark = pytest.mark.asyncio(loop_scope="session")

Stores = tuple[Settings, Clients]
FIRST = datetime(2026, 2, 10, tzinfo=UTC)
LIST = "**/images?*"


def problem(status: int, detail: str, **headers: str) -> Callable[[Route], Awaitable[None]]:
    """Answers as the service would."""
    document = {
        "type": "urn:mont:problem:some",
        "title": "Some problem",
        "status": status,
        "detail": detail,
        "instance": "request-1",
    }

    async def answer(route: Route) -> None:
        await route.fulfill(
            status=status,
            content_type="application/problem+json",
            headers=headers,
            body=json.dumps(document),
        )

    return answer


async def test_uploads_wait_while_offline_and_go_on_by_themselves(visits: Visits) -> None:
    page = await visits.open(user=new_user())
    await expect(page.get_by_text("No images yet")).to_be_visible()
    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    await choose(page, *(real_image("image/png", 64, 40 + n) for n in range(2)))
    await expect(page.get_by_text("Waiting for the connection")).to_have_count(2)
    await assert_accessible(page)
    await shot(page, "offline")
    await page.context.set_offline(False)
    await expect(page.get_by_text("2 of 2 files uploaded")).to_be_visible()
    await expect(page.get_by_text("You are offline.")).to_be_hidden()
    await expect(cards(page)).to_have_count(2)


async def test_a_service_that_is_long_away_costs_no_upload_and_is_said_once(
    visits: Visits, site: Site
) -> None:
    visits.expect("ERR_CONNECTION_REFUSED")
    page = await visits.open("/docs", user=new_user())
    await page.clock.install()
    await page.goto("/")
    await expect(page.get_by_text("No images yet")).to_be_visible()
    await page.evaluate(
        """() => {
          const banner = document.getElementById("connection");
          window.said = [];
          new MutationObserver(() => window.said.push(banner.textContent))
            .observe(banner, { childList: true });
        }"""
    )
    await site.stop()
    try:
        await choose(page, *(real_image("image/png", 64, 90 + n) for n in range(5)))
        await expect(page.locator("#connection")).to_contain_text("does not answer. Trying again")
        await shot(page, "server-away")
        for _ in range(12):  # two minutes
            await page.clock.fast_forward(10_000)
        await expect(page.locator(".upload[data-state=held]")).to_have_count(5)
        async with page.expect_event("requestfailed"):
            await page.clock.fast_forward(10_000)
    finally:
        await site.start()
    await page.clock.fast_forward(20_000)
    await expect(page.get_by_text("5 of 5 files uploaded")).to_be_visible()
    await expect(page.locator("#connection")).to_be_empty()
    first, last = await page.evaluate("window.said")
    assert "uploads go on then" in first
    assert last == ""


async def test_a_list_that_stalls_is_told_and_asked_for_again(
    visits: Visits, stores: Stores
) -> None:
    user = new_user()
    settings, clients = stores
    await fill(clients, settings, user, 1, first=FIRST)
    page = await visits.open("/docs", user=user)
    await page.clock.install()
    await page.route(LIST, lambda route: None, times=1)
    async with page.expect_request(LIST):
        await page.goto("/")
    await page.clock.fast_forward(13_000)
    await expect(page.get_by_text("does not answer. Trying again")).to_be_visible()
    await page.clock.fast_forward(2_000)
    await expect(cards(page)).to_have_count(1)
    await expect(page.locator("#connection")).to_be_empty()


async def test_a_busy_service_is_asked_again_when_it_said_and_not_before(
    visits: Visits, stores: Stores
) -> None:
    visits.expect("status of 503")
    user = new_user()
    settings, clients = stores
    await fill(clients, settings, user, 1, first=FIRST)
    page = await visits.open("/docs", user=user)
    await page.clock.install()
    refuse = problem(503, "DynamoDB is unreachable.", **{"Retry-After": "20"})
    await page.route(LIST, refuse, times=1)
    await page.goto("/")
    await expect(page.get_by_text("Trying again in 2")).to_be_visible()
    await expect(cards(page)).to_have_count(0)
    await assert_accessible(page)
    await shot(page, "busy")
    await page.clock.fast_forward(26_000)
    await expect(cards(page)).to_have_count(1)
    await expect(page.locator("#connection")).to_be_empty()


async def test_more_uploads_than_the_throttle_allows_all_get_through(
    visits: Visits, stores: Stores
) -> None:
    visits.expect("status of 429")
    settings = replace(stores[0], throttle_rate_limit=8, throttle_burst_limit=3)
    async with running_site(settings) as slow:
        page = await visits.open(slow.url, user=new_user())
        await choose(page, *(real_image("image/png", 64, 60 + n) for n in range(4)))
        await expect(page.get_by_text("4 of 4 files uploaded")).to_be_visible()
        await expect(cards(page)).to_have_count(4)
        await page.close()


@pytest.mark.parametrize("status", [500, 429])
async def test_a_failure_is_told_with_its_request_and_tried_again_on_demand(
    visits: Visits, stores: Stores, status: int
) -> None:
    visits.expect(f"status of {status}")
    user = new_user()
    settings, clients = stores
    await fill(clients, settings, user, 1, first=FIRST)
    page = await visits.open("/docs", user=user)
    await page.route(LIST, problem(status, "Not today.", **{"Retry-After": "3600"}))
    await page.goto("/")
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Not today.")
    await expect(alert).to_contain_text("Request request-1")
    await assert_accessible(page)
    await shot(page, f"failure-{status}")
    await page.unroute(LIST)
    await page.get_by_role("button", name="Try again").click()
    await expect(cards(page)).to_have_count(1)
    await page.get_by_role("button", name="Dismiss this message").click()
    await expect(alert).to_be_hidden()


async def test_a_picture_that_is_not_there_leaves_its_card_usable(
    visits: Visits, stores: Stores
) -> None:
    visits.expect("status of 404")
    user = new_user()
    settings, clients = stores
    (image,) = await fill(clients, settings, user, 1, first=FIRST)
    page = await visits.open("/docs", user=user)
    picture = f"**/{image.image_id}_*"
    await page.route(picture, lambda route: route.fulfill(status=404))
    await page.goto("/")
    await expect(page.get_by_text("No preview")).to_be_visible()
    await page.unroute(picture)
    await card(page, image.filename).click()
    await expect(page.get_by_role("dialog").get_by_role("img")).to_be_visible()


async def test_thumbnails_are_used_where_there_are_and_missed_where_they_fail(
    visits: Visits, stores: Stores
) -> None:
    visits.expect("status of 502.*img.example")
    user = new_user()
    settings, clients = stores
    await fill(clients, settings, user, 2, first=FIRST)
    imgproxy: Any = {"imgproxy_url": "https://img.example", "imgproxy_key": "aa"}
    small = real_image("image/png", 40, 30)
    asked: list[str] = []

    async def serve(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            await route.fulfill(content_type=small.content_type, body=small.body)
        else:
            await route.fulfill(status=502)

    async with running_site(replace(settings, **imgproxy, imgproxy_salt="bb")) as site:
        page = await visits.open(f"{site.url}/docs", user=user)
        await page.route("https://img.example/**", serve)
        await page.goto(f"{site.url}/")
        for place in (0, 1):
            await expect(cards(page).nth(place)).to_have_class("shown")
        widths = await page.locator("#grid img").evaluate_all(
            "pictures => pictures.map((picture) => picture.naturalWidth)"
        )
        assert sorted(widths) == [40, 120]
        assert len(asked) == 2
        await page.close()


async def test_a_row_that_failed_stays_until_it_is_removed(visits: Visits) -> None:
    visits.expect("status of 400")
    page = await visits.open(user=new_user())
    await page.route("**/images/upload-url", problem(400, "The service is closed."))
    await choose(page, real_image(), real_image("image/png"))
    for name in ("photo.jpg", "photo.png"):
        await expect(row(page, name)).to_contain_text("The service is closed.")
    await page.unroute("**/images/upload-url")
    await page.get_by_role("button", name="Remove photo.jpg").click()
    await expect(row(page, "photo.jpg")).to_have_count(0)
    await page.get_by_role("button", name="Retry photo.png").click()
    await expect(page.get_by_text("1 of 1 file uploaded")).to_be_visible()
