"""An entity tag names one state of one image, and only that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import timestamps
from service.etags import etag_of, is_fresh, required_revisions
from service.model import Revision
from tests.support.makers import NOON, an_image


@given(st.integers(1, 999_999_999), st.integers(0, 253_402_300_799_999_999))
def test_a_tag_leads_back_to_its_revision(number: int, micros: int) -> None:
    instant = timestamps.from_micros(micros)
    tag = etag_of(an_image(revision=number, upload_timestamp=instant))
    assert required_revisions(tag) == (Revision(instant, number),)
    assert is_fresh(tag, tag)


def test_an_edit_and_a_new_upload_of_the_same_id_change_the_tag() -> None:
    states = [
        an_image(),
        an_image(revision=2),
        an_image(upload_timestamp="2026-02-13T12:00:00.000001Z"),
    ]
    assert len({etag_of(each) for each in states}) == 3


@pytest.mark.parametrize("anything", [None, "*", " * "])
def test_a_request_may_leave_the_revision_open(anything: str | None) -> None:
    assert required_revisions(anything) is None


def test_any_tag_of_ours_in_a_list_will_do() -> None:
    tags = [etag_of(an_image(revision=number)) for number in (3, 5)]
    wanted = required_revisions(f'"other", {tags[0]} , W/"1-1",{tags[1]}')
    assert wanted == (Revision(NOON, 3), Revision(NOON, 5))


def test_a_list_without_end_makes_no_condition_without_end() -> None:
    wanted = required_revisions(", ".join([etag_of(an_image())] * 500))
    assert wanted is not None
    assert len(wanted) == 20


@pytest.mark.parametrize(
    "tag",
    ["", ",", '"', "1-1", '"abc"', '"1-1', 'W/"1-1"', '"1-"', '"-1"', '"1-G"', '"1 -1"', '"١-1"',
     '"0000000001-1"', '"1-ffffffffffffffff"', '"1-11111111111111111"', '"1-1" x'],
)  # fmt: skip
def test_what_can_never_match_leaves_no_revision(tag: str) -> None:
    assert required_revisions(tag) == ()


@given(st.text(max_size=40))
def test_no_header_makes_reading_fail(text: str) -> None:
    assert (required_revisions(text) is None) == (text.strip() == "*")


@pytest.mark.parametrize(
    ("if_none_match", "fresh"),
    [
        (None, False),
        ('"1-2"', True),
        ('W/"1-2"', True),
        ('"x", W/"1-2"', True),
        ("*", True),
        ('"1-3"', False),
        ("1-2", False),
        ("", False),
    ],
)
def test_which_clients_hold_the_current_state(if_none_match: str | None, fresh: bool) -> None:
    assert is_fresh(if_none_match, '"1-2"') is fresh
