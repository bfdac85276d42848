"""The page's strict policy, where files and thumbnails come from hosts of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Route, expect

from service.settings import Settings
from service.storage.clients import Clients
from tests.browser.site import running_site
from tests.browser.visits import Visits, card, cards, choose, pictures_shown
from tests.support.api import new_user
from tests.support.real_images import real_image

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMGPROXY = {"imgproxy_url": "http://thumbs.example", "imgproxy_key": "aa", "imgproxy_salt": "bb"}


async def test_hosts_of_links_are_reached_and_no_others(
    visits: Visits, stores: tuple[Settings, Clients]
) -> None:
    # What the browser has against the page is an error on its console, and fails the test.
    visits.expect("violates the")
    public = str(stores[0].aws_endpoint_url).replace("127.0.0.1", "localhost")
    settings = replace(stores[0], s3_public_endpoint_url=public, **IMGPROXY)
    thumbnails: list[str] = []

    async def imgproxy(route: Route) -> None:
        thumbnails.append(route.request.url)
        await route.fulfill(body=real_image().body, content_type="image/jpeg")

    async with running_site(settings) as site:
        page = await visits.open("/docs", user=new_user())
        await page.route("http://thumbs.example/**", imgproxy)
        await page.goto(site.url)
        await choose(page, real_image())
        await expect(cards(page)).to_have_count(1)
        await pictures_shown(page)
        assert thumbnails
        await card(page, "photo.jpg").click()
        picture = page.locator("#detail img")
        await expect(picture).to_be_visible()
        assert str(await picture.get_attribute("src")).startswith(public)
        async with page.expect_download() as started:
            await page.get_by_role("button", name="Download").click()
        assert (await started.value).url.startswith(public)
        refused = await page.evaluate("fetch('http://elsewhere.example/').catch((e) => e.name)")
        assert refused == "TypeError"
        await page.close()
