"""Whoever is told of events, as far as that can be seen without telling an event."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
from yarl import URL

from service.client import ConnectionFailed
from service.client.transport import connection_errors
from service.doctor.findings import Finding
from service.settings import Settings

_CHECK = "webhook receiver"


async def check_webhooks(
    browser: aiohttp.ClientSession, settings: Settings
) -> AsyncIterator[Finding]:
    """The receiver's address and the secrets; nothing where events do not go to a webhook.

    That an address parses, and that each secret is well-formed, the settings have seen to.
    """
    if settings.events != "webhook":
        return
    if settings.webhook_url is None:
        seen = "WEBHOOK_URL is not set here: events wait for a server where it is"
        yield Finding(
            _CHECK, "skipped", seen, "Set it, and WEBHOOK_SECRET, on one server at least."
        )
        return
    count = len(settings.webhook_secret)
    rotated = f"{count} of them: take the older one out once the receiver knows the newer one"
    yield Finding("webhook secret", "ok", "well-formed" if count == 1 else rotated)
    yield await _receiver(browser, URL(settings.webhook_url))


async def _receiver(browser: aiohttp.ClientSession, url: URL) -> Finding:
    """What it says to OPTIONS, which changes nothing there. Any answer shows that it is there."""
    where = str(url.origin())
    try:
        with connection_errors(url):
            # As events go: past the environment's proxy, and after no redirect.
            async with browser.options(url, allow_redirects=False) as answer:
                status = answer.status
    except ConnectionFailed as error:
        fix = "Is WEBHOOK_URL right, and its host to be reached from here? Events wait meanwhile."
        return Finding(_CHECK, "failed", f"could not be reached: {error}", fix)
    if 300 <= status < 400:
        fix = "Set WEBHOOK_URL to where it leads: redirects of events are not followed."
        return Finding(_CHECK, "failed", f"{where} redirects ({status})", fix)
    if status >= 500:
        return Finding(_CHECK, "warning", f"{where} answers {status}", "Its log has the cause.")
    return Finding(_CHECK, "ok", f"{where} answers")
