"""Every problem of the service is an exception of the client; so is what is no problem document."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

import service.client
from service import problems
from service.client import errors as client_errors
from service.client.errors import (
    ImageNotFound,
    MontError,
    MontProblem,
    NotAllowed,
    ProblemDocument,
    ServiceFailed,
    problem_of,
)
from service.client.transport import read_retry_after
from service.client.values import read_problem
from tests.support.makers import an_error

KINDS = {kind.slug: kind.status for kind in problems.KINDS.values()}


def problem(slug: str, status: int) -> MontProblem:
    return problem_of(ProblemDocument(problems.TYPE_PREFIX + slug, "Title", status, "Detail."))


@pytest.mark.parametrize("slug", KINDS)
def test_a_problem_of_the_service_has_the_class_of_its_type_or_status(slug: str) -> None:
    error = problem(slug, KINDS[slug])
    assert (error.status, error.detail) == (KINDS[slug], "Detail.")
    assert error.passing == (slug == "upload-unsettled" or error.status in {408, 429, 500, 503})
    if error.slug:
        assert error.slug == slug


def test_every_type_that_the_client_tells_apart_exists() -> None:
    told = {each.slug for each in descendants(MontProblem) if each.slug}
    assert told
    assert told <= set(KINDS)


def descendants(kind: type[MontError]) -> set[type[MontError]]:
    return {each for one in kind.__subclasses__() for each in {one, *descendants(one)}}


def test_every_exception_is_in_the_tree_and_can_be_imported() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", client_errors.__doc__ or ""))
    assert drawn == {each.__name__ for each in descendants(MontError)}
    assert drawn | {"MontError"} <= set(service.client.__all__)


def test_an_unknown_type_is_the_class_of_its_status() -> None:
    assert type(problem("new-and-unknown", 403)) is NotAllowed
    assert type(problem("new-and-unknown", 599)) is ServiceFailed
    assert type(problem("new-and-unknown", 418)) is MontProblem


def test_all_that_a_problem_says_reaches_the_caller() -> None:
    kind = problems.errors.InvalidFields
    document = problems.document(an_error(kind), "request-1")
    error = problem_of(read_problem(document, 400, request_id=None, retry_after=None))
    assert error.request_id == "request-1"
    assert error.type == "urn:mont:problem:invalid-fields"
    assert [(each.location, each.detail) for each in error.errors] == [("body.tags.3", "Too long.")]
    assert str(error).endswith("\n  body.tags.3: Too long.")


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ({"message": "Forbidden"}, 403, "The service answered 403: Forbidden"),
        ({}, 502, "The service answered 502"),
        ({"errors": ["?"], "detail": None}, 400, "The service answered 400: None"),
    ],
)
def test_what_a_gateway_says_in_its_own_words_is_a_problem_too(
    document: dict[str, object], status: int, said: str
) -> None:
    error = problem_of(read_problem(document, status, request_id="r", retry_after=None))
    assert str(error) == said
    assert error.status == status


def test_an_image_that_is_not_there_is_nothing_that_is_not_there() -> None:
    assert isinstance(problem("image-not-found", 404), ImageNotFound)
    assert ImageNotFound.__mro__[1] is client_errors.NotFound


def test_retry_after_is_seconds_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < (read_retry_after(soon) or 0) <= 100
    assert read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert read_retry_after("17") == 17
    assert read_retry_after("soon") is None
    assert read_retry_after(None) is None
