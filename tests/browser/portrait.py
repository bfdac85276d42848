"""The picture of the page in the documentation, docs/gallery.png, taken anew.

    python -m tests.browser.portrait

Its photos are mountains that are made up here, the same each time.
"""

from __future__ import annotations

import asyncio
import io
import math
import random
import shutil

from PIL import Image, ImageDraw, ImageFilter
from playwright.async_api import Page, async_playwright, expect

from service.client import MontClient
from tests.support.pages import ROOT
from tests.support.server import running_server

_TARGET = ROOT / "docs" / "gallery.png"
_SIZE = (960, 720)
_VIEWPORT = {"width": 1280, "height": 800}
Colour = tuple[int, int, int]
# Name, tags, sky above, sky below, nearest ridge.
_SCENES: tuple[tuple[str, list[str], Colour, Colour, Colour], ...] = (
    ("Gipfel am Mittag.jpg", ["alps"], (58, 123, 189), (198, 224, 240), (30, 62, 56)),
    ("first light.jpg", ["alps", "dawn"], (72, 61, 110), (250, 180, 132), (38, 30, 56)),
    ("valley fog.jpg", ["fog"], (150, 170, 184), (228, 234, 236), (66, 84, 92)),
    ("last sun.jpg", ["evening"], (64, 46, 92), (244, 128, 84), (44, 22, 38)),
    ("above the lake.jpg", ["lake"], (84, 160, 200), (232, 240, 226), (22, 74, 84)),
    ("autumn.jpg", ["october"], (120, 150, 180), (250, 222, 170), (110, 54, 24)),
    ("blue hour.jpg", ["evening"], (16, 28, 66), (92, 130, 186), (8, 14, 34)),
    ("spring snow.jpg", ["alps", "snow"], (96, 150, 206), (236, 242, 248), (120, 142, 160)),
    ("Abendrot.jpg", ["evening", "alps"], (110, 50, 80), (252, 190, 110), (40, 16, 28)),
    ("after the rain.jpg", ["fog"], (92, 116, 120), (204, 220, 206), (28, 54, 44)),
)


def photo(seed: int, above: Colour, below: Colour, near: Colour) -> bytes:
    """Ridges behind each other under a sky, as a JPEG."""
    draws, (width, height) = random.Random(seed), _SIZE
    sky = Image.linear_gradient("L").resize(_SIZE)
    picture = Image.composite(Image.new("RGB", _SIZE, below), Image.new("RGB", _SIZE, above), sky)
    sun = Image.new("L", _SIZE, 0)
    x, y, radius = draws.randrange(150, width - 150), draws.randrange(150, 330), 46
    ImageDraw.Draw(sun).ellipse((x - radius, y - radius, x + radius, y + radius), fill=230)
    picture.paste((255, 246, 222), mask=sun.filter(ImageFilter.GaussianBlur(5)))
    for layer in range(5):
        share = (layer + 1) / 5
        colour = tuple(round(b + (n - b) * share**1.3) for b, n in zip(below, near, strict=True))
        waves = [(draws.uniform(0.6, 1.4) * 2**k, draws.uniform(0, 7)) for k in range(7)]
        line = [
            (
                x,
                height * (0.42 + 0.12 * layer)
                + sum(
                    110 * (1.2 - 0.5 * share) / 1.8**k * -abs(math.sin(x / width * 3 * f + phase))
                    for k, (f, phase) in enumerate(waves)
                )
                + 90,
            )
            for x in range(0, width + 4, 4)
        ]
        ImageDraw.Draw(picture).polygon([*line, (width, height), (0, height)], fill=colour)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


async def settled(page: Page) -> None:
    """All of them are listed, and those in view are decoded."""
    await expect(page.get_by_role("button", name=_SCENES[-1][0])).to_be_visible()
    pictures = page.locator("img[src^='http']")
    await expect(pictures).to_have_count(len(_SCENES))
    await page.evaluate("Promise.all([...document.images].map(each => each.src && each.decode()))")


async def take() -> None:
    async with running_server("--backend", "embedded") as server, async_playwright() as playwright:
        async with MontClient(server.url, user_id="ann") as mont:
            for seed, (name, tags, *colours) in reversed(list(enumerate(_SCENES))):
                await mont.upload(photo(seed, *colours), filename=name, tags=tags)
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=False
        )
        page = await browser.new_page(
            viewport=_VIEWPORT, locale="en-GB", timezone_id="UTC", reduced_motion="reduce"
        )
        await page.add_init_script("localStorage.setItem('mont.user', 'ann')")
        await page.goto(server.url)
        await settled(page)
        await page.screenshot(path=_TARGET)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(take())
