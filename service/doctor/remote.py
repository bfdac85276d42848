"""A service as its clients meet it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import aiohttp

from service.client import (
    ConnectionFailed,
    InvalidFields,
    MontClient,
    MontError,
    NotAllowed,
    Retries,
    Unauthorized,
)
from service.doctor.findings import PIXEL, Finding, clock_finding
from service.doctor.http import check_cors, look, open_browser

_PAGE = "https://example.com"
# Somebody waits for the answer, and a failure is an answer here.
_RETRIES = Retries(attempts=2)


@dataclass(frozen=True, slots=True)
class Target:
    """A service and who asks it."""

    url: str
    api_key: str | None
    token: str | None
    user_id: str | None

    def client(self) -> MontClient:
        """A client that gives up soon. Raises ValueError."""
        return MontClient(
            self.url,
            api_key=self.api_key,
            token=self.token,
            user_id=self.user_id,
            retries=_RETRIES,
        )


async def check_service(target: Target) -> AsyncIterator[Finding]:
    """Reachable, ready, the clock, who asks, a whole upload, CORS of the bucket behind it."""
    if target.user_id is None and not target.api_key and not target.token:
        target = replace(target, user_id="mont-doctor")
    async with open_browser() as browser:
        try:
            ready = await look(browser, target.url.rstrip("/") + "/readyz")
        except ConnectionFailed as error:
            fix = "Is it running (`mont serve` starts one), and --url (MONT_URL) its address?"
            yield Finding("service", "failed", str(error), fix)
            return
        if ready.status == 404:
            fix = "--url (MONT_URL) is the base of the API: what comes before /images."
            yield Finding("service", "failed", f"no Mont service at {target.url}", fix)
            return
        if ready.status != 200:
            fix = "Its log names the store and the cause; `mont doctor` there looks at both."
            yield Finding("service", "failed", f"is not ready ({ready.status})", fix)
        else:
            yield Finding("service", "ok", f"{target.url} is ready")
        yield clock_finding("service", ready.date, datetime.now(UTC))
        async for finding in _upload(target, browser):
            yield finding


async def _upload(target: Target, browser: aiohttp.ClientSession) -> AsyncIterator[Finding]:
    """Upload a picture, read it, remove it; ask for the bucket's CORS on the way."""
    check = "upload and download"
    image_id = None
    async with target.client() as mont:
        try:
            ticket = await mont.request_upload("pixel.png", "image/png", len(PIXEL))
            yield Finding("caller", "ok", f"may upload{_whose(target)}")
            yield await check_cors(browser, ticket.url, _PAGE)
            uploaded = await mont.upload(PIXEL, filename="mont-doctor.png")
            image_id = uploaded.image_id
            served = b"".join([chunk async for chunk in mont.read(image_id)])
            if served == PIXEL:
                yield Finding(check, "ok", "a picture went there and back")
            else:
                fix = "Is there a proxy on the way that changes answers?"
                yield Finding(check, "failed", "another picture came back", fix)
        except (Unauthorized, NotAllowed, InvalidFields) as error:
            yield Finding("caller", "failed", str(error), _caller_fix(error))
        except MontError as error:
            fix = "Its log has the cause; for S3, S3_PUBLIC_ENDPOINT_URL has to be reachable here."
            yield Finding(check, "failed", str(error), fix)
        finally:
            left = None if image_id is None else await _remove(mont, image_id)
        if left is not None:
            yield left


def _whose(target: Target) -> str:
    return f" for {target.user_id}" if target.user_id else ""


def _caller_fix(error: MontError) -> str:
    if isinstance(error, InvalidFields):
        return "This key acts for any user: say for which with --user (MONT_USER)."
    if isinstance(error, NotAllowed):
        return "Leave --user (MONT_USER) out, or name the owner of these credentials."
    return "Set --api-key (MONT_API_KEY) or --token (MONT_TOKEN); `mont keys create` makes a key."


async def _remove(mont: MontClient, image_id: str) -> Finding | None:
    try:
        await mont.delete(image_id)
    except MontError as error:
        return Finding("clean-up", "failed", f"{image_id} stays: {error}", f"mont rm {image_id}")
    return None
