"""The page against an S3 that enforces forms and CORS as AWS does."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from tests.browser.site import running_site
from tests.browser.visits import Visits, card, cards, choose, row, shot
from tests.e2e.localstack.harness import Endpoint
from tests.support.api import new_user
from tests.support.real_images import real_image, real_images
from tests.support.stores import provisioned, random_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def strict_visits(
    chromium: Browser, localstack: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Visits]:
    for name, value in localstack.environment().items():
        monkeypatch.setitem(os.environ, name, value)
    settings = random_settings(localstack.url)
    async with provisioned(settings), running_site(settings) as site:
        visits = Visits(chromium, site.url)
        yield visits
        await visits.close()
    visits.check()


async def test_forms_are_accepted_across_origins_and_refusals_are_understood(
    strict_visits: Visits,
) -> None:
    page = await strict_visits.open(user=new_user())
    await choose(page, *real_images())
    await expect(cards(page)).to_have_count(5)
    for place in range(5):
        await expect(cards(page).nth(place)).to_have_class("shown")
    await shot(page, "localstack")

    async def forge(route: Route) -> None:
        answer = await route.fetch()
        ticket = await answer.json()
        ticket["fields"]["Content-Type"] = "text/html"
        await route.fulfill(response=answer, json=ticket)

    strict_visits.expect("status of 403")
    await page.route("**/images/upload-url", forge)
    await choose(page, real_image("image/png", 70, 70))
    refused = row(page, "photo.png").last
    await expect(refused).to_contain_text("Storage refused the file")
    await expect(refused).to_contain_text("AccessDenied")
    await page.unroute("**/images/upload-url")
    await page.get_by_role("button", name="Retry photo.png").click()
    await expect(cards(page)).to_have_count(6)
    async with page.expect_download() as started:
        await card(page, "photo.gif").click()
        await page.get_by_role("button", name="Download").click()
    assert (await started.value).suggested_filename == "photo.gif"
