"""One browser, one server and one pair of stores for all tests of the page, in one event loop.

The page keeps its strict policy: nothing here may need `eval` in it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from service.settings import Settings
from service.storage.clients import Clients
from tests.browser.site import Site, running_site
from tests.browser.visits import Visits
from tests.support.api import HttpApi
from tests.support.stores import no_real_account, provisioned, random_settings

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
in_session = pytest_asyncio.fixture(loop_scope="session", scope="session")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    found = [path for path in map(shutil.which, _BROWSERS) if path]
    if not found and os.environ.get("CI"):  # there a skip would hide that nothing was tested
        pytest.fail("no Chromium here: install Debian's package chromium")
    if not found:
        pytest.skip("no Chromium here")
    return found[0]


@in_session
async def chromium(chromium_path: str) -> AsyncIterator[Browser]:
    # Chromium's sandbox refuses to run as root, and containers often allow it to nobody.
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path,
            chromium_sandbox=False,
            args=["--disable-dev-shm-usage"],
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def credentials() -> Iterator[None]:
    """Keys of no account, so that nothing here can ever reach a real one."""
    with no_real_account():
        yield


@in_session
async def stores(credentials: None, embedded: str) -> AsyncIterator[tuple[Settings, Clients]]:
    settings = random_settings(embedded)
    async with provisioned(settings) as clients:
        yield settings, clients


@in_session
async def site(stores: tuple[Settings, Clients]) -> AsyncIterator[Site]:
    async with running_site(stores[0]) as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def visits(chromium: Browser, site: Site) -> AsyncIterator[Visits]:
    visits = Visits(chromium, site.url)
    yield visits
    await visits.close()
    visits.check()


@pytest_asyncio.fixture(loop_scope="session")
async def api(site: Site) -> AsyncIterator[HttpApi]:
    """The service without a browser, to see what really happened."""
    async with aiohttp.ClientSession() as session:
        yield HttpApi(session, site.url)
