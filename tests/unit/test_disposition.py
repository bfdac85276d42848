"""Any file name survives Content-Disposition as RFC 6266 readers understand it."""

import re
from typing import get_args
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.disposition import content_disposition
from service.model import Disposition

FILENAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255)
# RFC 6266, 4.1 with RFC 9110's quoted-string and RFC 8187's ext-value, in the forms used here.
_FORM = re.compile(
    r'(?P<type>[a-z]+); filename="(?P<plain>[\x20\x21\x23-\x5b\x5d-\x7e]*)"'
    r"(?:; filename\*=UTF-8''(?P<exact>(?:[A-Za-z0-9!#$&+\-.^_`|~]|%[0-9A-F]{2})+))?"
)


def read(value: str) -> tuple[str, str]:
    """Disposition type and file name, as a reader that follows RFC 6266 sees them."""
    match = _FORM.fullmatch(value)
    assert match, value
    exact = match["exact"]
    name = match["plain"] if exact is None else unquote(exact, encoding="utf-8", errors="strict")
    return match["type"], name


@given(FILENAMES, st.sampled_from(get_args(Disposition)))
@example('a"b\\c%41.jpg', "attachment")
@example("a\r\nSet-Cookie: x=1", "inline")
@example("€ rates; filename=x.exe", "inline")
@example("\x00\x7f\u2028\ufeff", "inline")
def test_every_file_name_is_read_back_exactly(filename: str, disposition: Disposition) -> None:
    value = content_disposition(disposition, filename)
    assert value.isascii()
    assert value.isprintable()
    assert read(value) == (disposition, filename)


@pytest.mark.parametrize(
    ("filename", "value"),
    [
        ("beach.jpg", 'inline; filename="beach.jpg"'),
        ("my photo.jpg", 'inline; filename="my photo.jpg"'),
        ("naïve.jpg", "inline; filename=\"na_ve.jpg\"; filename*=UTF-8''na%C3%AFve.jpg"),
        ('"q".jpg', "inline; filename=\"_q_.jpg\"; filename*=UTF-8''%22q%22.jpg"),
        ("50%.jpg", "inline; filename=\"50_.jpg\"; filename*=UTF-8''50%25.jpg"),
        ("猫.png", "inline; filename=\"_.png\"; filename*=UTF-8''%E7%8C%AB.png"),
    ],
)
def test_old_clients_get_a_plain_name(filename: str, value: str) -> None:
    assert content_disposition("inline", filename) == value
