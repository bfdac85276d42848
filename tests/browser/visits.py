"""Visits to the page: what the browser complains of, pictures of what it shows, axe's judgement."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.support.real_images import RealImage

# Long enough for a machine that does much else; what comes sooner is not waited for.
expect.set_options(timeout=20_000)

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Visits:
    """The pages that one test opens, and every error and warning on their consoles."""

    browser: Browser
    url: str
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def open(self, path: str = "/", *, user: str = "", **options: Any) -> Page:
        """A page in a browser of its own, as this user where users are believed."""
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = await self.browser.new_context(
            base_url=self.url, reduced_motion="reduce", locale="en-GB", timezone_id="UTC", **options
        )
        context.set_default_timeout(30_000)
        self.contexts.append(context)
        if user:
            await context.add_init_script(f"localStorage.setItem('mont.user', '{user}')")
        return await self.open_in(context, path)

    async def open_in(self, context: BrowserContext, path: str = "/") -> Page:
        """One more page in the same browser."""
        page = await context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"thrown: {error}"))
        await page.goto(path)
        return page

    def expect(self, *patterns: str) -> None:
        """Complaints that belong to what the test does; each has to come up."""
        self.expected += patterns

    def check(self) -> None:
        """Nothing was complained of but what was expected."""
        unknown = [
            each for each in self.complaints if not any(re.search(p, each) for p in self.expected)
        ]
        assert not unknown, "\n".join(unknown)
        for pattern in self.expected:
            assert any(re.search(pattern, each) for each in self.complaints), pattern

    async def close(self) -> None:
        for context in self.contexts:
            await context.close()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.complaints.append(f"{message.type}: {message.text} {message.location['url']}")


def cards(page: Page) -> Locator:
    """The images in the grid."""
    return page.locator("#grid > li")


def card(page: Page, filename: str) -> Locator:
    """The button that opens an image."""
    return page.locator("#grid .card").filter(has_text=filename)


def row(page: Page, filename: str) -> Locator:
    """A file's row in the queue."""
    return page.locator(".upload").filter(has_text=filename)


async def choose(page: Page, *files: RealImage) -> None:
    """Pick files as the dialog of the system does."""
    await page.locator("#files").set_input_files(
        [
            {"name": each.filename, "mimeType": each.content_type, "buffer": each.body}
            for each in files
        ]
    )


async def shot(page: Page, name: str) -> None:
    """Keep a picture of what is shown."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / f"{name}.png")


async def pictures_shown(page: Page) -> None:
    """Wait until every card shows its picture: on small screens the last one has to be gone to."""
    await cards(page).last.scroll_into_view_if_needed()
    await expect(page.locator("#grid > li:not(.shown)")).to_have_count(0)
    await page.evaluate("scrollTo(0, 0)")


async def pictures_in_view(page: Page) -> None:
    """Wait until the cards in the window show their pictures."""
    for place in await page.evaluate(
        """() => [...document.querySelectorAll("#grid > li")].flatMap((li, at) => {
          const { top, bottom } = li.getBoundingClientRect();
          return bottom > 0 && top < innerHeight ? [at] : [];
        })"""
    ):
        await expect(cards(page).nth(place)).to_have_class("shown")


async def assert_accessible(page: Page) -> None:
    """axe finds nothing against WCAG 2.2 AA and its own best practice."""
    await page.evaluate(_AXE)
    async with asyncio.timeout(60):  # it would wait for ever in a page whose clock stands still
        found = await page.evaluate(
            "async (tags) => (await axe.run({ runOnly: tags })).violations", _RULES
        )
    assert [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ] == []
