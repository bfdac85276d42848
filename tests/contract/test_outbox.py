"""What every outbox does: hands each event to one deliverer at a time, and forgets none."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from service.events.event import image_deleted
from service.model import Backlog, Event
from service.ports import Outbox
from service.storage.clients import open_admin_clients, open_clients
from service.storage.memory_outbox import MemoryOutbox
from service.storage.outbox import DynamoDBOutbox, event_item
from service.storage.tables import provision_table
from service.storage.template import load_template, template_path
from tests.support.makers import an_image
from tests.support.stores import random_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

# In a far century: DynamoDB Local really removes what has expired, within seconds.
NOW = "2126-02-13T10:30:00.000000Z"
LATER = "2126-02-13T10:31:00.000000Z"
MUCH_LATER = "2126-02-13T11:00:00.000000Z"


@dataclass(frozen=True)
class Postbox:
    """An outbox, and what puts events into it."""

    outbox: Outbox
    add: Callable[[Event], Awaitable[None]]


@pytest_asyncio.fixture(
    scope="session", loop_scope="session", params=["memory", "embedded", "dynamodb-local"]
)
async def table(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Any, str] | None]:
    """A client and the table of events; None stands for memory."""
    if request.param == "memory":
        yield None
        return
    name = {"embedded": "embedded", "dynamodb-local": "local_dynamodb"}[request.param]
    settings = random_settings(request.getfixturevalue(name))
    names = {
        "EventsTableName": settings.events_table_name,
        # Younger than DynamoDB Local's last release in a package.
        "DeletionProtection": "false",
        "PointInTimeRecovery": "false",
    }
    *_, definition = load_template(template_path(), names).tables
    async with open_admin_clients(settings) as clients:
        await provision_table(clients.dynamodb, definition)
    async with open_clients(settings) as clients:
        yield clients.dynamodb, definition.name


@pytest_asyncio.fixture(loop_scope="session")
async def postbox(table: tuple[Any, str] | None) -> AsyncIterator[Postbox]:
    """An outbox, empty again for each test: what is due is everybody's."""
    if table is None:
        memory = MemoryOutbox()

        async def keep(event: Event) -> None:
            memory.add(event)

        yield Postbox(memory, keep)
        return
    client, name = table
    added: list[str] = []

    async def put(event: Event) -> None:
        added.append(event.event_id)
        await client.put_item(TableName=name, Item=event_item(event, "webhook"))

    yield Postbox(DynamoDBOutbox(client, name, "webhook"), put)
    for event_id in added:
        await client.delete_item(TableName=name, Key={"event_id": {"S": event_id}})


def an_event(at: str = NOW) -> Event:
    return image_deleted(an_image(), at)


async def test_an_event_is_due_from_when_it_happened_until_it_is_delivered(
    postbox: Postbox,
) -> None:
    outbox, event = postbox.outbox, an_event()
    await postbox.add(event)
    assert await outbox.due("2126-02-13T10:29:59.999999Z", 10) == []
    assert await outbox.due(NOW, 10) == [(event.event_id, NOW)]
    claimed = await outbox.claim(event.event_id, NOW, LATER)
    assert claimed is not None
    assert (claimed.event, claimed.attempts, claimed.due_at) == (event, 1, LATER)
    assert await outbox.due(NOW, 10) == []
    await outbox.delivered(event.event_id, LATER, NOW)
    assert await outbox.due(MUCH_LATER, 10) == []
    found = await outbox.find(event.event_id)
    assert found is not None
    assert (found.event, found.state, found.due_at) == (event, "delivered", None)


async def test_the_oldest_are_due_first_and_never_more_than_asked_for(postbox: Postbox) -> None:
    events = [an_event(f"2126-02-13T10:{minute:02}:00.000000Z") for minute in range(20)]
    for event in reversed(events):
        await postbox.add(event)
    due = await postbox.outbox.due(MUCH_LATER, 7)
    assert due == [(event.event_id, event.occurred_at) for event in events[:7]]


async def test_operators_can_see_how_much_waits_and_since_when(postbox: Postbox) -> None:
    outbox, events = postbox.outbox, [an_event(LATER), an_event(NOW), an_event(MUCH_LATER)]
    assert await outbox.backlog() == Backlog(0, None)
    for event in events:
        await postbox.add(event)
    assert await outbox.backlog() == Backlog(3, NOW)
    await outbox.claim(events[1].event_id, NOW, MUCH_LATER)
    assert await outbox.backlog() == Backlog(3, LATER)
    await outbox.failed(events[1].event_id, MUCH_LATER, None, "answered 500")
    await outbox.claim(events[0].event_id, LATER, MUCH_LATER)
    await outbox.delivered(events[0].event_id, MUCH_LATER, LATER)
    assert await outbox.backlog() == Backlog(1, MUCH_LATER)


async def test_of_many_that_claim_an_event_one_gets_it(postbox: Postbox) -> None:
    event = an_event()
    await postbox.add(event)
    claims = await asyncio.gather(
        *(postbox.outbox.claim(event.event_id, NOW, LATER) for _ in range(10))
    )
    assert sum(claim is not None for claim in claims) == 1


async def test_a_lease_that_ran_out_is_due_again_and_its_holder_has_no_say(
    postbox: Postbox,
) -> None:
    outbox, event = postbox.outbox, an_event()
    await postbox.add(event)
    await outbox.claim(event.event_id, NOW, LATER)
    assert await outbox.due(LATER, 10) == [(event.event_id, LATER)]
    second = await outbox.claim(event.event_id, LATER, MUCH_LATER)
    assert second is not None
    assert second.attempts == 2
    await outbox.failed(event.event_id, LATER, None, "too late")
    await outbox.delivered(event.event_id, LATER, LATER)
    found = await outbox.find(event.event_id)
    assert found is not None
    assert (found.state, found.due_at, found.last_error) == ("waiting", MUCH_LATER, None)


async def test_what_failed_waits_or_is_dead(postbox: Postbox) -> None:
    outbox, event = postbox.outbox, an_event()
    await postbox.add(event)
    await outbox.claim(event.event_id, NOW, LATER)
    await outbox.failed(event.event_id, LATER, MUCH_LATER, "answered 500")
    found = await outbox.find(event.event_id)
    assert found is not None
    assert (found.state, found.due_at, found.last_error) == ("waiting", MUCH_LATER, "answered 500")
    await outbox.claim(event.event_id, MUCH_LATER, "2126-02-13T12:00:00.000000Z")
    await outbox.failed(event.event_id, "2126-02-13T12:00:00.000000Z", None, "answered 501")
    found = await outbox.find(event.event_id)
    assert found is not None
    assert (found.state, found.due_at, found.last_error) == ("dead", None, "answered 501")
    assert await outbox.due("2027-01-01T00:00:00.000000Z", 10) == []


async def test_replayed_it_starts_anew_under_its_old_id(postbox: Postbox) -> None:
    outbox, event = postbox.outbox, an_event()
    await postbox.add(event)
    await outbox.claim(event.event_id, NOW, LATER)
    await outbox.failed(event.event_id, LATER, None, "answered 500")
    assert await outbox.replay(event.event_id, MUCH_LATER)
    assert await outbox.due(MUCH_LATER, 10) == [(event.event_id, MUCH_LATER)]
    found = await outbox.find(event.event_id)
    assert found is not None
    assert (found.event, found.attempts, found.state) == (event, 0, "waiting")
    assert not await outbox.replay(f"evt_{uuid4().hex}", NOW)


async def test_administration_sees_all_of_them_by_state(postbox: Postbox) -> None:
    outbox, done, dead, waiting = postbox.outbox, an_event(), an_event(), an_event()
    for event in (done, dead, waiting):
        await postbox.add(event)
    for event in (done, dead):
        await outbox.claim(event.event_id, NOW, LATER)
    await outbox.delivered(done.event_id, LATER, NOW)
    await outbox.failed(dead.event_id, LATER, None, "gone")
    states = {"waiting": waiting, "delivered": done, "dead": dead}
    for state, event in states.items():
        listed = [each.event async for each in outbox.list_all(state)]  # type: ignore[arg-type]
        assert listed == [event]
    everything = {each.event.event_id async for each in outbox.list_all(None)}
    assert everything == {event.event_id for event in states.values()}


async def test_what_nobody_knows_is_nothing(postbox: Postbox) -> None:
    missing = f"evt_{uuid4().hex}"
    assert await postbox.outbox.find(missing) is None
    assert await postbox.outbox.claim(missing, NOW, LATER) is None
    await postbox.outbox.delivered(missing, NOW, NOW)
    await postbox.outbox.failed(missing, NOW, None, "x")
    assert await postbox.outbox.find(missing) is None
