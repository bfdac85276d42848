"""Errors become RFC 9457 documents with the headers that their kind calls for."""

import pytest

from service import errors, problems
from tests.support.makers import an_error, document_of


@pytest.mark.parametrize("kind", problems.KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_well_formed(kind: type[errors.MontError]) -> None:
    known = problems.KINDS[kind]
    answer = problems.answer(an_error(kind), "r1")
    assert 400 <= known.status <= 599
    assert known.slug == known.slug.lower()
    assert " " not in known.slug
    assert document_of(answer)["instance"] == "r1"


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (errors.Throttled(0.01), "Retry-After", "1"),
        (errors.Throttled(2.1), "Retry-After", "3"),
        (errors.StoreUnavailable("S3", "x"), "Retry-After", "2"),
        (errors.MethodRefused(("GET", "HEAD")), "Allow", "GET, HEAD"),
        (errors.NotOwner(), "WWW-Authenticate", 'Claimed realm="user_id"'),
    ],
)
def test_some_kinds_need_a_header(error: errors.MontError, name: str, value: str) -> None:
    assert problems.answer(error, "r1").headers[name] == value


def test_one_type_always_means_one_status_and_title() -> None:
    by_slug = {}
    for kind in problems.KINDS.values():
        assert by_slug.setdefault(kind.slug, kind) == kind
    assert problems.UNEXPECTED.slug not in by_slug


def test_a_subclass_is_not_mistaken_for_its_parent() -> None:
    class Newer(errors.ImageMissing):
        """Not in the table yet."""

    assert problems.kind_of(Newer()) is problems.UNEXPECTED


def test_a_message_of_the_raiser_goes_before_the_docstring() -> None:
    assert str(errors.UploadRejected("wrong_size", "5 bytes")) == "5 bytes"
    assert str(errors.ImageMissing()) == "There is no image with this id."
