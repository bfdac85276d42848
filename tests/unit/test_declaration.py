"""A declaration comes back from S3 metadata exactly as it was made, or is refused beforehand."""

import base64
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import declaration
from service.errors import DeclarationTooLong
from service.model import Description

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DESCRIPTIONS = st.builds(
    Description,
    filename=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255),
    tags=st.lists(TEXT.filter(bool).map(lambda tag: tag[:50]), max_size=20).map(tuple),
    description=st.none() | TEXT.map(lambda text: text[:500]),
)


def bytes_of(metadata: dict[str, str]) -> int:
    """As S3 counts, prefix included to be on the safe side."""
    return sum(len(f"x-amz-meta-{name}") + len(value) for name, value in metadata.items())


@given(DESCRIPTIONS, st.integers(1, 5 << 30))
def test_a_declaration_survives_the_trip(said: Description, file_size: int) -> None:
    try:
        metadata = declaration.to_metadata(said, file_size)
    except DeclarationTooLong:
        assert len(repr(said)) > 600, "what most clients send has to fit"
        return
    assert bytes_of(metadata) <= 2048
    assert all(value.isascii() and value.isprintable() for value in metadata.values())
    assert declaration.from_metadata(metadata) == (said, file_size)


def test_the_longest_file_name_travels_whatever_it_is_written_in() -> None:
    said = Description("".join(chr(0x1F300 + number % 700) for number in range(255)))
    assert declaration.from_metadata(declaration.to_metadata(said, 1)) == (said, 1)


def test_repetitive_text_is_squeezed_in() -> None:
    said = Description("a" * 255, ("holiday" * 7,) * 20, "sea " * 125)
    metadata = declaration.to_metadata(said, 10)
    assert bytes_of(metadata) <= 2048
    assert declaration.from_metadata(metadata) == (said, 10)


def test_what_does_not_fit_is_refused_with_a_way_out() -> None:
    # No pattern for a compressor to find, the same on every run.
    drawn = random.Random(1)
    words = ["".join(chr(drawn.randrange(0x4E00, 0x9FFF)) for _ in range(50)) for _ in range(30)]
    tags, incompressible = tuple(words[:20]), "".join(words[20:])
    with pytest.raises(DeclarationTooLong, match="POST /images/complete"):
        declaration.to_metadata(Description("a.jpg", tags, incompressible), 10)


def encoded(kind: str, text: bytes) -> dict[str, str]:
    return {"mont-declared": kind + base64.urlsafe_b64encode(text).decode()}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"other": "value"},
        {"mont-declared": ""},
        {"mont-declared": "j"},
        {"mont-declared": "jé"},
        {"mont-declared": "jabc"},
        {"mont-declared": "zAAAA"},
        encoded("j", b"{}"),
        encoded("j", b"[]"),
        encoded("j", b"17"),
        encoded("j", b"[1,2,3,4]"),
        encoded("j", b'["a",[],null]'),
        encoded("j", b"\xff\xfe"),
        encoded("z", zlib.compress(b'["a",[],null,')),
        # A bomb: 100 MB once inflated.
        encoded("z", zlib.compress(b" " * 100_000_000, 9)),
    ],
    ids=range(15),
)
def test_an_object_without_our_declaration_has_none(metadata: dict[str, str]) -> None:
    assert declaration.from_metadata(metadata) is None


@given(st.text(max_size=100))
def test_no_metadata_makes_reading_fail(value: str) -> None:
    declaration.from_metadata({"mont-declared": value})
