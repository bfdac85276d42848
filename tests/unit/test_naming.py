"""No file name moves an object out of its place, and equal declarations get equal ids."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import naming
from tests.support.makers import an_id


@given(st.text(max_size=300) | st.text(alphabet="ab./\\-_ ", max_size=300))
def test_a_sanitised_name_is_one_safe_path_part(filename: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", naming.sanitise(filename))


@given(st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", fullmatch=True))
def test_a_safe_name_stays_as_it_is(filename: str) -> None:
    assert naming.sanitise(filename) == filename


@pytest.mark.parametrize(
    ("filename", "sanitised"),
    [
        ("vacation photo.jpg", "vacation_photo.jpg"),
        ("Übergröße.png", "_bergr_e.png"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("../../a.jpg", "a.jpg"),
        (".htaccess", "htaccess"),
        ("a\r\nb.jpg", "a_b.jpg"),
        ("猫.jpg", "_.jpg"),
        ("..", "image"),
        ("photos/", "image"),
        ("", "image"),
        ("x" * 300 + ".jpeg", "x" * 95 + ".jpeg"),
        ("x." + "y" * 300, "x." + "y" * 98),
        ("x" * 300, "x" * 100),
    ],
)
def test_how_names_are_sanitised(filename: str, sanitised: str) -> None:
    assert naming.sanitise(filename) == sanitised


def test_staged_and_final_objects_never_share_a_place() -> None:
    staged, final = (
        naming.staging_key("ann", an_id(1)),
        naming.final_key("ann", an_id(1), "a b.jpg"),
    )
    assert staged == f"uploads/ann/{an_id(1)}"
    assert final == f"images/ann/{an_id(1)}_a_b.jpg"


def test_the_same_key_for_the_same_file_gives_the_same_id_everywhere() -> None:
    declared = ("retry-1", "ann", "beach.jpg", "image/jpeg", 2_048)
    first = naming.repeatable_image_id(*declared)
    assert first == naming.repeatable_image_id(*declared)
    assert uuid.UUID(first).version == 5
    # Pinned: a release that changed it would break retries under way.
    assert first == "87592366-eb33-59e7-8dbe-1cafc9b2e707"


@pytest.mark.parametrize(
    "declared",
    [
        ("retry-2", "ann", "beach.jpg", "image/jpeg", 2_048),
        ("retry-1", "bob", "beach.jpg", "image/jpeg", 2_048),
        ("retry-1", "ann", "dunes.jpg", "image/jpeg", 2_048),
        ("retry-1", "ann", "beach.jpg", "image/png", 2_048),
        ("retry-1", "ann", "beach.jpg", "image/jpeg", 2_049),
    ],
)
def test_any_difference_gives_another_id(declared: tuple[str, str, str, str, int]) -> None:
    same = naming.repeatable_image_id("retry-1", "ann", "beach.jpg", "image/jpeg", 2_048)
    assert naming.repeatable_image_id(*declared) != same


@given(*[st.text(max_size=5)] * 4)
def test_parts_cannot_run_into_each_other(one: str, two: str, three: str, four: str) -> None:
    whole = naming.repeatable_image_id(one + two, three, four, "", 1)
    split = naming.repeatable_image_id(one, two + three, four, "", 1)
    assert (whole == split) == (two == "")


def test_a_header_with_bytes_that_are_no_text_still_names_an_id() -> None:
    assert uuid.UUID(naming.repeatable_image_id("caf\udce9", "ann", "a.jpg", "image/jpeg", 1))


def test_new_ids_are_random_uuids() -> None:
    made = {naming.new_image_id() for _ in range(100)}
    assert len(made) == 100
    assert {uuid.UUID(each).version for each in made} == {4}
    assert {str(uuid.UUID(each)) for each in made} == made
    # Every digit but the one of the version is drawn, that of the variant from four.
    drawn = [set(digits) for digits in zip(*[each.replace("-", "") for each in made], strict=True)]
    assert (drawn[12], drawn[16]) == (set("4"), set("89ab"))
    assert all(len(digits) > 8 for place, digits in enumerate(drawn) if place not in {12, 16})
