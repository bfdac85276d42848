"""The client without `async`."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path

import pytest

from service.client import ImageNotFound, MontClient, sync
from tests.support.api import new_user
from tests.support.makers import an_id
from tests.support.real_images import real_image
from tests.support.server import Server

PHOTO = real_image()


def methods(kind: type[object]) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_it_has_every_method_with_the_same_arguments() -> None:
    asynchronous, plain = methods(MontClient), methods(sync.MontClient)
    assert plain.keys() == asynchronous.keys()
    for name, signature in plain.items():
        assert [*signature.parameters] == [*asynchronous[name].parameters], name
        defaults = {each.name: each.default for each in signature.parameters.values()}
        for each in asynchronous[name].parameters.values():
            assert defaults[each.name] == each.default, name
    assert inspect.signature(sync.MontClient.__init__) == inspect.signature(MontClient.__init__)


def test_a_script_uploads_lists_reads_and_deletes(server: Server, tmp_path: Path) -> None:
    threads = threading.active_count()
    with sync.MontClient(server.url, user_id=new_user()) as mont:
        one = mont.upload(PHOTO.body, filename="one.jpg", tags=["a"])
        outcomes = [*mont.upload_many([PHOTO.body, b"nothing"], jobs=2)]
        assert sorted(each.error is None for each in outcomes) == [False, True]
        assert [image.filename for image in mont.images(tag="a")] == ["one.jpg"]
        assert b"".join(mont.read(one.image_id)) == PHOTO.body
        assert mont.download(one.image_id, tmp_path).read_bytes() == PHOTO.body
        assert mont.edit(one.image_id, description="x").description == "x"
        assert mont.retag(one.image_id, add=["b"]).tags == ("a", "b")
        assert mont.links([one.image_id])[0].link
        assert mont.link(one.image_id).filename == "one.jpg"
        assert mont.get(one.image_id).width == PHOTO.width
        mont.delete(one.image_id)
        with pytest.raises(ImageNotFound):
            mont.get(one.image_id)
        ticket = mont.request_upload("a.jpg", PHOTO.content_type, PHOTO.size)
        with pytest.raises(Exception, match="Nothing has been uploaded"):
            mont.complete(ticket.image_id)
        assert [each.error is None for each in mont.delete_many([an_id(1)])] == [False]
    assert threading.active_count() == threads


async def test_it_works_where_a_loop_is_running(server: Server) -> None:
    with sync.MontClient(server.url, user_id=new_user()) as mont:
        assert [*mont.images()] == []


def test_a_list_that_is_left_in_the_middle_is_closed(server: Server) -> None:
    with sync.MontClient(server.url, user_id=new_user()) as mont:
        for _ in range(3):
            mont.upload(PHOTO.body)
        images = mont.images(page_size=1)
        assert next(images)
        images.close()
        left_open = mont.images(page_size=1)
        assert next(left_open)
    with pytest.raises(RuntimeError, match="closed"):
        next(left_open)


def test_it_is_used_while_it_is_open(server: Server) -> None:
    mont = sync.MontClient(server.url)
    with pytest.raises(RuntimeError, match="use it as"):
        mont.get(an_id(1))
    with pytest.raises(RuntimeError, match="use it as"):
        mont.images()
    with pytest.raises(ValueError, match="not an address"):
        sync.MontClient("nowhere")
