"""A next_token continues its own query and nothing else."""

import base64
import string
import struct
import uuid
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service import timestamps
from service.cursor import CursorSealer
from service.errors import CursorForged
from service.model import HIGHEST_ID, LOWEST_ID, Position, Selection
from tests.support.makers import NOON, an_id

SEALER = CursorSealer(b"secret")
SELECTION = Selection("ann", "2026-01-01T00:00:00.000000Z", NOON, "sea", "desc")
POSITION = Position(NOON, an_id(7))

POSITIONS = st.builds(
    Position,
    st.datetimes(timezones=st.just(UTC)).map(timestamps.to_text),
    st.uuids().map(str) | st.sampled_from([LOWEST_ID, HIGHEST_ID]),
)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ANY_CHARACTER = st.sampled_from(string.printable) | st.characters()
SELECTIONS = st.builds(Selection, TEXTS, TEXTS, TEXTS, TEXTS, st.sampled_from(["asc", "desc"]))


@given(POSITIONS, SELECTIONS)
def test_a_token_is_short_and_leads_back_to_its_position(
    position: Position, selection: Selection
) -> None:
    token = SEALER.seal(position, selection)
    assert len(token) == 44
    # Nothing in it that a query string would change.
    assert all(character.isalnum() or character in "-_" for character in token)
    assert SEALER.open(token, selection) == position


@given(POSITIONS, SELECTIONS, SELECTIONS)
def test_a_token_of_another_query_is_refused(
    position: Position, selection: Selection, other: Selection
) -> None:
    assume(selection != other)
    with pytest.raises(CursorForged):
        SEALER.open(SEALER.seal(position, selection), other)


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "bob"},
        {"user_id": None},
        {"earliest": None},
        {"earliest": "2026-01-01T00:00:00.000001Z"},
        {"latest": None},
        {"tag": "se"},
        {"tag": None},
        {"order": "asc"},
        # The same words in other places.
        {"user_id": "sea", "tag": "ann"},
        {"earliest": None, "latest": SELECTION.earliest},
    ],
    ids=str,
)
def test_each_part_of_the_query_counts(change: dict[str, str | None]) -> None:
    token = SEALER.seal(POSITION, SELECTION)
    with pytest.raises(CursorForged):
        SEALER.open(token, replace(SELECTION, **change))


@given(POSITIONS, st.integers(0, 32), st.integers(1, 255))
def test_any_changed_byte_is_refused(position: Position, place: int, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(SEALER.seal(position, SELECTION)))
    raw[place] ^= change
    with pytest.raises(CursorForged):
        SEALER.open(base64.urlsafe_b64encode(raw).decode(), SELECTION)


@given(POSITIONS, st.integers(0, 43), ANY_CHARACTER)
def test_any_changed_character_is_refused(position: Position, place: int, other: str) -> None:
    token = SEALER.seal(position, SELECTION)
    assume(token[place] != other)
    # base64's other alphabet spells the same bytes.
    assume((token[place], other) not in {("-", "+"), ("_", "/")})
    with pytest.raises(CursorForged):
        SEALER.open(token[:place] + other + token[place + 1 :], SELECTION)


@given(POSITIONS, st.integers(0, 43), st.text(min_size=1, max_size=50))
def test_a_cut_or_lengthened_token_is_refused(position: Position, kept: int, more: str) -> None:
    token = SEALER.seal(position, SELECTION)
    for changed in (token[:kept], token[kept + 1 :], token + more, more + token):
        with pytest.raises(CursorForged):
            SEALER.open(changed, SELECTION)


@given(st.text(max_size=100))
def test_no_text_at_all_passes_for_a_token(text: str) -> None:
    with pytest.raises(CursorForged):
        SEALER.open(text, SELECTION)


def test_replicas_accept_each_others_tokens_and_strangers_do_not() -> None:
    token = SEALER.seal(POSITION, SELECTION)
    assert CursorSealer(b"secret").open(token, SELECTION) == POSITION
    with pytest.raises(CursorForged):
        CursorSealer(b"another").open(token, SELECTION)


@pytest.mark.parametrize("micros", [2**63 - 1, -(2**63), 253_402_300_800_000_000])
@pytest.mark.parametrize("version", [1, 2])
def test_not_even_who_knows_the_secret_can_make_a_token_of_no_time(
    micros: int, version: int
) -> None:
    body = struct.pack(">Bq16s", version, micros, uuid.UUID(POSITION.image_id).bytes)
    token = base64.urlsafe_b64encode(body + SEALER._seal(body, SELECTION)).decode()
    with pytest.raises(CursorForged):
        SEALER.open(token, SELECTION)


def test_a_token_of_another_version_is_refused() -> None:
    token = base64.urlsafe_b64decode(SEALER.seal(POSITION, SELECTION))
    body = bytes([token[0] + 1]) + token[1:25]
    with pytest.raises(CursorForged):
        SEALER.open(
            base64.urlsafe_b64encode(body + SEALER._seal(body, SELECTION)).decode(), SELECTION
        )


def test_a_token_shows_neither_user_nor_tag() -> None:
    raw = base64.urlsafe_b64decode(SEALER.seal(POSITION, SELECTION))
    assert b"ann" not in raw
    assert uuid.UUID(POSITION.image_id).bytes in raw
