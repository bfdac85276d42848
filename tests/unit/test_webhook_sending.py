"""What a webhook's receiver gets, and what each of its answers means."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from service import timestamps
from service.events.event import image_deleted
from service.events.sending import webhook_sender
from service.events.serving import delivering
from service.events.signing import sign
from service.storage.memory_outbox import MemoryOutbox
from tests.support.makers import an_image

SECRETS = (b"s" * 32,)
EVENT = image_deleted(an_image(filename="übung <b>.png"), "2026-02-13T10:30:00.000000Z")
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def receiver(answer: Answer) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def test_it_carries_the_event_and_its_signature() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.append((request.path, dict(request.headers), await request.read()))
        return web.Response(status=204)

    async with (
        receiver(answer) as url,
        webhook_sender(url, SECRETS, clock=lambda: 1_770_978_600.9) as send,
    ):
        assert (await send(EVENT)).outcome == "delivered"
    ((path, headers, body),) = seen
    assert (path, headers["Content-Type"]) == ("/hook", "application/json")
    assert headers["webhook-id"] == EVENT.event_id
    assert headers["webhook-timestamp"] == "1770978600"
    assert body.decode() == EVENT.payload
    assert headers["webhook-signature"] == sign(SECRETS, EVENT.event_id, 1_770_978_600, body)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((200, "delivered"), (202, "delivered"), (301, "failed"), (400, "failed")),
        *((410, "gone"), (429, "failed"), (500, "failed"), (503, "failed")),
    ],
)
async def test_what_each_status_means(status: int, outcome: str) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        # Followed, a redirect would be delivered: /elsewhere takes everything.
        if request.path == "/elsewhere":
            return web.Response()
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with receiver(answer) as url, webhook_sender(url, SECRETS) as send:
        verdict = await send(EVENT)
    assert verdict.outcome == outcome
    assert verdict.reason == ("" if outcome == "delivered" else f"answered {status}")


@pytest.mark.parametrize(
    ("text", "seconds"), [("120", 120.0), ("-1", None), ("Wed, 21 Oct 2015 07:28:00 GMT", None)]
)
async def test_a_wish_for_time_is_passed_on(text: str, seconds: float | None) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": text})

    async with receiver(answer) as url, webhook_sender(url, SECRETS) as send:
        assert (await send(EVENT)).retry_after == seconds


async def test_nobody_there_is_a_failure_with_its_reason() -> None:
    async with receiver(lambda _: None) as url:  # type: ignore[arg-type,return-value]
        pass
    async with webhook_sender(url, SECRETS) as send:
        verdict = await send(EVENT)
    assert verdict.outcome == "failed"
    assert "Connect" in verdict.reason


async def test_a_receiver_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.events.sending._SECONDS", 0.05)

    hold = asyncio.Event()

    async def silent(_: web.BaseRequest) -> web.Response:
        await hold.wait()
        return web.Response()

    async with receiver(silent) as url, webhook_sender(url, SECRETS) as send:
        verdict = await send(EVENT)
        hold.set()
    assert (verdict.outcome, verdict.reason) == ("failed", "no answer within 0.05 s")


async def test_what_a_receiver_holds_at_the_end_is_cut_short_and_waits_for_the_next_server() -> (
    None
):
    outbox, came, hold = MemoryOutbox(), asyncio.Event(), asyncio.Event()
    outbox.add(EVENT)

    async def silent(_: web.BaseRequest) -> web.Response:
        came.set()
        await hold.wait()
        return web.Response()

    def now() -> datetime:
        return datetime.now(UTC)

    async with asyncio.timeout(10), receiver(silent) as url:
        async with delivering(outbox, url, SECRETS, now=now, watch=print, grace=0.01):
            await came.wait()
        hold.set()
    found = await outbox.find(EVENT.event_id)
    assert found is not None
    assert (found.state, found.attempts) == ("waiting", 1)
    assert found.due_at is not None and found.due_at > timestamps.to_text(now())
