"""API keys: their form, the caller that each makes, and how soon a revoked one is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest

from service.auth.api_keys import BELIEVED_SECONDS, CHALLENGE, ApiKeyIdentity
from service.auth.callers import Caller
from service.auth.lru import Lately
from service.errors import StoreUnavailable, Unauthenticated
from service.model import ANYONE, ApiKey
from service.operations.keys import (
    create_key,
    hash_of,
    list_keys,
    looks_like_key,
    new_key,
    revoke_key,
)
from service.storage.memory import MemoryApiKeys
from tests.support.makers import FakeClock


@dataclass
class CountedKeys(MemoryApiKeys):
    """Counts how often the store is asked, and can be out of reach."""

    asked: int = 0
    down: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    async def find(self, key_hash: str) -> ApiKey | None:
        self.asked += 1
        if self.down:
            raise StoreUnavailable("DynamoDB", "gone")
        return await super().find(key_hash)


@dataclass
class Gate:
    """An identity on a store of its own, and a clock that the test moves."""

    keys: CountedKeys = field(default_factory=CountedKeys)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.identity = self.replica()

    def replica(self) -> ApiKeyIdentity:
        return ApiKeyIdentity(self.keys, now=self.clock.now, monotonic=self.clock)

    async def key(self, owner: str = "ann", **more: int) -> tuple[str, ApiKey]:
        return await create_key(self.keys, owner, now=self.clock.now, **more)

    async def enter(self, text: str) -> Caller:
        return await self.identity.identify({"x-api-key": text})

    async def refused(self, text: str | None) -> Unauthenticated:
        headers = {} if text is None else {"x-api-key": text}
        with pytest.raises(Unauthenticated) as refusal:
            await self.identity.identify(headers)
        return refusal.value


def test_a_key_is_256_random_bits_behind_a_prefix_that_scanners_know() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        assert re.fullmatch(r"mont_[A-Za-z0-9_-]{43}", key)
        assert looks_like_key(key)


@pytest.mark.parametrize(
    "text",
    ["", "mont_", "x", "mont_" + "a" * 42, "mont_" + "a" * 44, "MONT_" + "a" * 43,
     "mont_" + "a" * 42 + "é", "mont_" + "a" * 42 + "=", "mont_" + "a" * 43 + "\n", "a" * 48],
)  # fmt: skip
async def test_what_does_not_look_like_a_key_never_reaches_the_store(text: str) -> None:
    gate = Gate()
    await gate.refused(text)
    assert gate.keys.asked == 0


async def test_a_key_is_kept_as_its_hash_alone() -> None:
    gate = Gate()
    text, key = await gate.key(days=30, daily_quota=500)
    assert await gate.keys.list_all() == (key,)
    assert text not in repr(key)
    assert text.removeprefix("mont_") not in repr(key)
    assert key.key_hash == hash_of(text)
    assert key.key_id == key.key_hash[:16]
    assert (key.created_at, key.expires_at) == (
        "2026-02-13T12:00:00.000000Z",
        "2026-03-15T12:00:00.000000Z",
    )


async def test_a_users_key_makes_the_user_and_a_services_anyone() -> None:
    gate = Gate()
    text, key = await gate.key("ann", daily_quota=7)
    assert await gate.enter(text) == Caller("ann", False, True, key.key_id, 7)
    text, key = await gate.key(ANYONE)
    assert await gate.enter(text) == Caller(None, True, True, key.key_id, None)


async def test_every_refusal_looks_the_same_from_outside() -> None:
    gate = Gate()
    expired, _ = await gate.key(days=1)
    gate.clock.seconds += 86_400
    revoked, key = await gate.key()
    await revoke_key(gate.keys, key.key_id, now=gate.clock.now)
    refusals = [await gate.refused(each) for each in (None, "x", new_key(), expired, revoked)]
    assert len({str(each) for each in refusals}) == 1
    assert {each.challenge for each in refusals} == {CHALLENGE}
    # The log tells them apart, without the key.
    assert len({each.reason for each in refusals}) == 5
    for each in refusals:
        assert not any(text in each.reason for text in (expired, revoked))


async def test_a_key_is_good_to_the_instant_that_it_expires() -> None:
    gate = Gate()
    text, _ = await gate.key(days=1)
    gate.clock.seconds += 86_399
    await gate.enter(text)
    # Known already: what is remembered of a key is not remembered past its end.
    gate.clock.seconds += 1
    await gate.refused(text)


async def test_the_store_is_asked_once_for_a_while() -> None:
    gate = Gate()
    text, _ = await gate.key()
    for _ in range(5):
        await gate.enter(text)
    assert gate.keys.asked == 1
    gate.clock.seconds += BELIEVED_SECONDS
    await gate.enter(text)
    assert gate.keys.asked == 2


async def test_a_revoked_key_is_refused_everywhere_within_a_minute() -> None:
    gate = Gate()
    text, key = await gate.key()
    other = gate.replica()
    await gate.enter(text)
    await other.identify({"x-api-key": text})
    await revoke_key(gate.keys, key.key_id, now=gate.clock.now)
    gate.clock.seconds += BELIEVED_SECONDS
    assert BELIEVED_SECONDS <= 60
    await gate.refused(text)
    with pytest.raises(Unauthenticated):
        await other.identify({"x-api-key": text})


async def test_unknown_keys_are_remembered_too_and_drive_out_no_good_one() -> None:
    gate = Gate()
    good, _ = await gate.key()
    await gate.enter(good)
    bad = new_key()
    for _ in range(3):
        await gate.refused(bad)
    assert gate.keys.asked == 2
    for _ in range(10_100):
        await gate.refused(new_key())
    before = gate.keys.asked
    await gate.enter(good)
    assert gate.keys.asked == before


async def test_nobody_gets_in_on_an_old_word_when_the_store_is_gone() -> None:
    gate = Gate()
    text, _ = await gate.key()
    await gate.enter(text)
    gate.keys.down = True
    await gate.enter(text)
    gate.clock.seconds += BELIEVED_SECONDS
    with pytest.raises(StoreUnavailable):
        await gate.enter(text)
    with pytest.raises(StoreUnavailable):
        await gate.identity.check()
    gate.keys.down = False
    await gate.enter(text)
    await gate.identity.check()


async def test_keys_are_listed_oldest_first_with_their_state() -> None:
    gate = Gate()
    _, first = await gate.key("bob", days=1)
    gate.clock.seconds += 1
    _, second = await gate.key("ann")
    assert await list_keys(gate.keys) == [first, second]
    now = "2026-02-13T12:00:01.000000Z"
    assert (first.state(now), first.state("2026-02-14T12:00:00.000000Z")) == ("active", "expired")
    gone = await revoke_key(gate.keys, second.key_id, now=gate.clock.now)
    assert gone is not None
    assert gone.state(now) == "revoked"
    assert await revoke_key(gate.keys, "0" * 16, now=gate.clock.now) is None


def test_what_was_known_lately_is_bounded_and_the_least_used_goes_first() -> None:
    clock = FakeClock(0)
    known: Lately[str, int] = Lately(2, clock)
    known.put("a", 1, until=10)
    known.put("b", 2, until=10)
    assert known.get("a") == 1
    known.put("c", 3, until=10)
    assert (known.get("b"), known.get("a"), known.get("c")) == (None, 1, 3)
    clock.seconds = 10
    assert known.get("a") is None
    assert len(known) == 1
