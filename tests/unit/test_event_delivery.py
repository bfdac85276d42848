"""Events are delivered at least once, tried again on the standard's schedule, and then given up."""

import asyncio
import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from service import timestamps
from service.errors import StoreUnavailable
from service.events.delivery import BACKOFF, Deliverer, Verdict
from service.events.event import image_completed, image_deleted
from service.events.signing import secrets_of, sign
from service.model import Event
from service.storage.memory_outbox import MemoryOutbox
from tests.support.makers import an_image

START = datetime(2026, 2, 13, 10, 30, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Receiver:
    """Answers attempts in turn; the last answer again and again."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts = list(verdicts)
        self.received: list[Event] = []

    async def __call__(self, event: Event) -> Verdict:
        self.received.append(event)
        return self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]


DELIVERED = Verdict("delivered")
FAILED = Verdict("failed", "answered 500")


def an_event(at: datetime = START) -> Event:
    return image_deleted(an_image(), timestamps.to_text(at))


def deliverer(
    outbox: MemoryOutbox, send: Receiver, clock: Clock, watch: Callable[[str], None] | None = None
) -> Deliverer:
    return Deliverer(outbox, send, now=clock, watch=watch or (lambda _: None))


async def deliver_due(service: Deliverer) -> None:
    """Once all that is due now; returns when those attempts are over."""
    async with asyncio.TaskGroup() as attempts:
        await service.deliver_due(attempts, asyncio.Event())


async def test_what_is_delivered_is_sent_once() -> None:
    outbox, receiver, clock, told = MemoryOutbox(), Receiver(DELIVERED), Clock(), []
    outbox.add(event := an_event())
    service = deliverer(outbox, receiver, clock, told.append)
    for _ in range(2):
        await deliver_due(service)
    assert receiver.received == [event]
    assert told == ["delivered"]
    found = await outbox.find(event.event_id)
    assert found is not None and found.state == "delivered" and found.due_at is None


async def test_what_fails_is_tried_again_on_schedule_and_given_up_in_the_end() -> None:
    outbox, receiver, clock, told = MemoryOutbox(), Receiver(FAILED), Clock(), []
    outbox.add(event := an_event())
    service = deliverer(outbox, receiver, clock, told.append)
    for attempt, pause in enumerate(BACKOFF, 1):
        await deliver_due(service)
        assert len(receiver.received) == attempt
        found = await outbox.find(event.event_id)
        assert found is not None and found.due_at is not None
        assert (found.attempts, found.state, found.last_error) == (
            attempt,
            "waiting",
            "answered 500",
        )
        due = datetime.fromisoformat(found.due_at)
        assert pause <= due - clock.now <= pause * 1.2
        clock.now = due - timedelta(microseconds=1)
        await deliver_due(service)
        assert len(receiver.received) == attempt
        clock.now = due
    await deliver_due(service)
    found = await outbox.find(event.event_id)
    assert found is not None and (found.state, found.due_at) == ("dead", None)
    assert told == ["retried"] * len(BACKOFF) + ["dead"]
    assert {each.event_id for each in receiver.received} == {event.event_id}


async def test_a_receiver_that_is_gone_for_good_gets_no_further_attempt() -> None:
    outbox, clock = MemoryOutbox(), Clock()
    outbox.add(event := an_event())
    await deliver_due(deliverer(outbox, Receiver(Verdict("gone", "answered 410")), clock))
    found = await outbox.find(event.event_id)
    assert found is not None and (found.state, found.attempts) == ("dead", 1)


@pytest.mark.parametrize(("asked", "granted"), [(3_600, 3_600), (10**9, 86_400)])
async def test_a_receiver_may_ask_for_time_but_not_for_ever(asked: int, granted: int) -> None:
    outbox, clock = MemoryOutbox(), Clock()
    outbox.add(event := an_event())
    busy = Receiver(Verdict("failed", "answered 429", retry_after=asked))
    await deliver_due(deliverer(outbox, busy, clock))
    found = await outbox.find(event.event_id)
    assert found is not None and found.due_at is not None
    assert datetime.fromisoformat(found.due_at) - clock.now == timedelta(seconds=granted)


async def test_of_many_deliverers_one_sends_each_event() -> None:
    outbox, receiver, clock = MemoryOutbox(), Receiver(DELIVERED), Clock()
    events = [an_event() for _ in range(8)]
    for event in events:
        outbox.add(event)
    services = [deliverer(outbox, receiver, clock) for _ in range(5)]
    await asyncio.gather(*(deliver_due(service) for service in services))
    sent = [event.event_id for event in receiver.received]
    assert sorted(sent) == sorted(event.event_id for event in events)


async def test_what_a_dead_deliverer_had_is_sent_by_another() -> None:
    outbox, receiver, clock = MemoryOutbox(), Receiver(DELIVERED), Clock()
    outbox.add(event := an_event())

    async def die(_: Event) -> Verdict:
        raise asyncio.CancelledError

    await deliver_due(Deliverer(outbox, die, now=clock, watch=print))
    service = deliverer(outbox, receiver, clock)
    await deliver_due(service)
    assert receiver.received == []
    clock.now += timedelta(minutes=2)
    await deliver_due(service)
    assert receiver.received == [event]


async def test_whoever_lost_the_lease_changes_nothing_any_more() -> None:
    outbox, clock = MemoryOutbox(), Clock()
    outbox.add(event := an_event())
    taken = asyncio.Event()
    release = asyncio.Event()

    async def slow(_: Event) -> Verdict:
        taken.set()
        await release.wait()
        return FAILED

    first = asyncio.create_task(
        deliver_due(Deliverer(outbox, slow, now=clock, watch=lambda _: None))
    )
    await taken.wait()
    clock.now += timedelta(minutes=2)
    await deliver_due(deliverer(outbox, Receiver(DELIVERED), clock))
    release.set()
    await first
    found = await outbox.find(event.event_id)
    assert found is not None and found.state == "delivered"


async def test_a_store_that_is_away_for_a_while_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.events.delivery._STORE_RETRY_SECONDS", 0.001)
    monkeypatch.setattr("service.events.delivery._IDLE_SECONDS", 0.001)
    stop = asyncio.Event()

    class Flaky(MemoryOutbox):
        failures = 3

        async def due(self, now: str, limit: int) -> list[tuple[str, str]]:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable("DynamoDB", "away")
            return await super().due(now, limit)

    outbox, receiver = Flaky(), Receiver(DELIVERED)
    outbox.add(event := an_event())

    def watch(_: str) -> None:
        stop.set()

    async with asyncio.timeout(10):
        await Deliverer(outbox, receiver, now=Clock(), watch=watch).run(stop)
    assert receiver.received == [event]


class Picky:
    """Takes its time over some events, until it is told; the most at once is what it saw."""

    def __init__(self, slow: set[str]) -> None:
        self.slow = slow
        self.release = asyncio.Event()
        self.received: list[str] = []
        self.now = self.most = 0

    async def __call__(self, event: Event) -> Verdict:
        self.now += 1
        self.most = max(self.most, self.now)
        self.received.append(event.event_id)
        if event.event_id in self.slow:
            await self.release.wait()
        await asyncio.sleep(0)
        self.now -= 1
        return DELIVERED


async def test_a_receiver_that_is_slow_over_some_events_gets_all_others_meanwhile() -> None:
    outbox, stop, told = MemoryOutbox(), asyncio.Event(), []
    events = [an_event(START - timedelta(seconds=100 - n)) for n in range(100)]
    for event in events:
        outbox.add(event)
    receiver = Picky({event.event_id for event in events[:9]})

    def watch(outcome: str) -> None:
        told.append(outcome)
        if len(told) == 91:  # while nine are still at the receiver
            stop.set()
            receiver.release.set()

    async with asyncio.timeout(10):
        await Deliverer(outbox, receiver, now=Clock(), watch=watch).run(stop)
    assert sorted(receiver.received) == sorted(event.event_id for event in events)
    assert told == ["delivered"] * 100  # those at the receiver got to their end, too
    assert receiver.most == 10


async def test_told_to_stop_it_begins_no_further_attempt() -> None:
    outbox, stop = MemoryOutbox(), asyncio.Event()
    events = [an_event() for _ in range(30)]
    for event in events:
        outbox.add(event)
    receiver = Picky({event.event_id for event in events})
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(Deliverer(outbox, receiver, now=Clock(), watch=print).run(stop))
        while len(receiver.received) < 10:
            await asyncio.sleep(0)
        stop.set()
        receiver.release.set()
    assert len(receiver.received) == 10
    waiting = [each async for each in outbox.list_all("waiting")]
    assert {each.attempts for each in waiting} == {0}
    assert len(waiting) == 20


async def test_one_event_that_cannot_be_noted_ends_no_other_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.events.delivery._STORE_RETRY_SECONDS", 0.001)
    stop, told = asyncio.Event(), []
    bad = an_event()

    class Forgetful(MemoryOutbox):
        async def delivered(self, event_id: str, lease: str, at: str) -> None:
            if event_id == bad.event_id:
                raise StoreUnavailable("DynamoDB", "away")
            await super().delivered(event_id, lease, at)

    outbox, clock = Forgetful(), Clock()
    for event in (bad, *(an_event() for _ in range(40))):
        outbox.add(event)

    def watch(outcome: str) -> None:
        told.append(outcome)
        if len(told) == 40:
            stop.set()

    async with asyncio.timeout(10):
        await Deliverer(outbox, Receiver(DELIVERED), now=clock, watch=watch).run(stop)
    found = await outbox.find(bad.event_id)
    assert found is not None and found.state == "waiting"  # and goes again when its lease is over


def test_an_event_says_what_happened_to_what() -> None:
    image = an_image(upload_timestamp="2026-02-13T10:30:00.000000Z")
    done = image_completed(image)
    said = json.loads(done.payload)
    assert (said["type"], said["timestamp"]) == ("image.completed", image.upload_timestamp)
    assert said["data"]["image_id"] == image.image_id
    assert said["data"]["status"] == "completed"
    gone = json.loads(image_deleted(image, "2026-02-14T00:00:00.000000Z").payload)
    assert (gone["type"], gone["timestamp"]) == ("image.deleted", "2026-02-14T00:00:00.000000Z")
    assert gone["data"]["status"] == "deleted"
    assert image_completed(image).event_id != done.event_id


def test_a_receiver_can_verify_by_the_standard() -> None:
    (secret,) = secrets_of(SECRET)
    signature = sign((secret,), "evt_1", 1_674_087_231, b'{"type":"x"}')
    expected = hmac.digest(secret, b'evt_1.1674087231.{"type":"x"}', "sha256")
    assert signature == "v1," + base64.b64encode(expected).decode()


def test_the_standards_own_example_comes_out_the_same() -> None:
    # https://github.com/standard-webhooks/standard-webhooks: the libraries' shared test vector.
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    payload = b'{"test": 2432232314}'
    signature = sign((secret,), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, payload)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_secrets_are_rotated_each_signs() -> None:
    other = "whsec_" + base64.b64encode(b"x" * 24).decode()
    signatures = sign(secrets_of(f"{SECRET} {other}"), "evt_1", 1, b"{}").split()
    assert signatures == [
        sign(secrets_of(SECRET), "evt_1", 1, b"{}"),
        sign(secrets_of(other), "evt_1", 1, b"{}"),
    ]


@pytest.mark.parametrize(
    "text", ["secret", "whsec_", "whsec_!!!!", "whsec_c2hvcnQ=", SECRET + " x"]
)
def test_a_secret_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="must be whsec_") as refused:
        secrets_of(text)
    assert text not in str(refused.value) or text == "whsec_"
