"""The sides of `make bench` do the same work: they answer alike, and ask the stores alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.load import sides
from tests.load.calls import CALLS, IMAGE_ID, PAGE
from tests.load.sides import SIDES, Field

PEERS = ("fastapi", "flask")


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    if not sides.peers_are_installed():
        pytest.skip("the peers are not installed in build/bench/peers: make bench does it")
    with sides.running_sides(tmp_path_factory.mktemp("logs")) as running:
        yield running


def answered(field: Field, side: str, call: str) -> dict[str, Any]:
    answer = sides.ask(field.sides[side], CALLS[call])
    assert answer.status == 200
    document: dict[str, Any] = orjson.loads(answer.body)
    return document


@pytest.mark.parametrize("call", ["complete", "delete"])
@pytest.mark.parametrize("peer", PEERS)
def test_peers_answer_a_write_as_the_service_does(field: Field, peer: str, call: str) -> None:
    assert answered(field, peer, call) == answered(field, "mont", call)


@pytest.mark.parametrize("peer", PEERS)
def test_peers_sign_a_form_for_the_same_file(field: Field, peer: str) -> None:
    theirs, ours = answered(field, peer, "upload-url"), answered(field, "mont", "upload-url")
    assert theirs.keys() <= ours.keys()
    assert theirs["presigned_url"] == ours["presigned_url"]
    # The service's form carries the declaration too.
    assert theirs["fields"].keys() <= ours["fields"].keys()
    assert theirs["fields"]["x-amz-signature"] != ours["fields"]["x-amz-signature"]


@pytest.mark.parametrize("peer", PEERS)
def test_peers_link_to_the_same_object(field: Field, peer: str) -> None:
    theirs, ours = answered(field, peer, "download-url"), answered(field, "mont", "download-url")
    assert theirs.keys() == ours.keys()
    url = theirs.pop("presigned_url")
    assert "X-Amz-Signature=" in url
    assert url.partition("?")[0] == ours.pop("presigned_url").partition("?")[0]
    assert theirs == ours


@pytest.mark.parametrize("peer", PEERS)
def test_peers_list_the_same_images(field: Field, peer: str) -> None:
    theirs, ours = answered(field, peer, "list"), answered(field, "mont", "list")
    assert len(ours["images"]) == PAGE
    for mine, other in zip(ours["images"], theirs["images"], strict=True):
        assert other == {name: mine[name] for name in other}
    assert theirs["has_more"] is ours["has_more"] is True


def test_the_limit_answers_what_the_service_answered_after_the_same_exchanges(field: Field) -> None:
    for call in CALLS:
        assert answered(field, "limit", call).keys() == answered(field, "mont", call).keys()
        exchanges = field.exchanges[call]
        assert exchanges["limit"] == exchanges["mont"]


def test_peers_ask_the_stores_what_their_work_needs_and_no_more(field: Field) -> None:
    for peer in PEERS:
        assert {call: asked[peer] for call, asked in field.exchanges.items()} == {
            "upload-url": [],
            "download-url": ["GetItem"],
            "list": ["Query"],
            "complete": ["HEAD", "PutItem"],
            "delete": ["GetItem", "DELETE", "DeleteItem"],
        }


def test_all_calls_are_about_the_image_that_the_store_holds(field: Field) -> None:
    for side in SIDES:
        assert answered(field, side, "list")["images"][0]["image_id"] == IMAGE_ID
