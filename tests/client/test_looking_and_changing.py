"""Lists, edits and deletions, also where answers are lost."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import pytest

from service.client import (
    ConnectionFailed,
    ImageNotFound,
    InvalidFields,
    MontClient,
    NotFound,
    NotOwner,
    RevisionMismatch,
    UnexpectedAnswer,
    Upload,
)
from tests.client.proxy import Proxy, answer, lose_answer, lose_request
from tests.client.waits import no_waiting
from tests.support.api import new_user
from tests.support.makers import an_id
from tests.support.real_images import real_image

PHOTO = real_image()


async def uploaded(mont: MontClient, count: int, **said: object) -> list[str]:
    """Ids in the order of upload."""
    return [
        (await mont.upload(PHOTO.body, filename=f"{number}.jpg", **said)).image_id
        for number in range(count)
    ]


async def test_a_list_goes_over_all_pages_each_image_once(mont: MontClient) -> None:
    ids = await uploaded(mont, 7)
    newest_first = [image.image_id async for image in mont.images(page_size=3)]
    assert newest_first == ids[::-1]
    assert [image.image_id async for image in mont.images(page_size=2, order="asc")] == ids


async def test_a_list_is_filtered_by_tag_and_time(mont: MontClient) -> None:
    await uploaded(mont, 2, tags=["sea"])
    (other,) = await uploaded(mont, 1, tags=["hill"])
    today = (await mont.get(other)).upload_timestamp.date()
    assert [image.image_id async for image in mont.images(tag="hill")] == [other]
    assert len([image async for image in mont.images(start=today, end=today)]) == 3
    tomorrow = date.fromordinal(today.toordinal() + 1)
    assert [image async for image in mont.images(start=tomorrow)] == []
    yesterday = (today - timedelta(days=1)).isoformat()
    assert [image async for image in mont.images(end=yesterday)] == []


async def test_a_list_is_ones_own_or_another_users_or_everyones(
    mont: MontClient, server: object
) -> None:
    (mine,) = await uploaded(mont, 1)
    other = new_user()
    theirs = (await mont.upload(PHOTO.body, user_id=other)).image_id
    assert [image.image_id async for image in mont.images()] == [mine]
    assert [image.image_id async for image in mont.images(user_id=other)] == [theirs]
    start = (await mont.get(mine)).upload_timestamp
    everyones = [image.image_id async for image in mont.images(everyone=True, start=start)]
    assert {mine, theirs} <= {*everyones}


async def test_an_image_keeps_all_that_the_service_said(mont: MontClient) -> None:
    (image_id,) = await uploaded(mont, 1)
    image = await mont.get(image_id)
    assert image.document["status"] == "completed"
    assert image.document["s3_key"] == image.s3_key
    assert image.revision


async def test_what_is_not_named_in_an_edit_stays(mont: MontClient) -> None:
    (image_id,) = await uploaded(mont, 1, tags=["a"], description="b")
    assert (await mont.edit(image_id, tags=["c", "d"])).description == "b"
    assert (await mont.edit(image_id, description=None)).tags == ("c", "d")
    image = await mont.edit(image_id, tags=None)
    assert (image.tags, image.description) == ((), None)
    assert await mont.get(image_id) == image


async def test_an_edit_does_not_overwrite_somebody_elses(mont: MontClient) -> None:
    (image_id,) = await uploaded(mont, 1)
    seen = await mont.get(image_id)
    await mont.edit(image_id, description="theirs")
    with pytest.raises(RevisionMismatch):
        await mont.edit(image_id, description="mine", if_match=seen.revision)
    assert (await mont.get(image_id)).description == "theirs"


async def test_an_edit_whose_answer_was_lost_has_succeeded(proxy: Proxy, shaky: MontClient) -> None:
    (image_id,) = await uploaded(shaky, 1)
    seen = await shaky.get(image_id)
    proxy.fail(f"PATCH /images/{image_id}", lose_answer)
    image = await shaky.edit(image_id, tags=["new"], if_match=seen.revision)
    assert image.tags == ("new",)
    proxy.fail(f"PATCH /images/{image_id}", lose_request)
    await shaky.edit(image_id, tags=["theirs"])
    proxy.fail(f"PATCH /images/{image_id}", lose_request)
    with pytest.raises(RevisionMismatch):
        await shaky.edit(image_id, tags=["mine"], if_match=image.revision)


async def test_tags_that_are_added_at_the_same_time_are_all_there(mont: MontClient) -> None:
    (image_id,) = await uploaded(mont, 1, tags=["draft", "kept"])
    await asyncio.gather(
        mont.retag(image_id, remove=["draft"]),
        *(mont.retag(image_id, add=[f"t{number}"]) for number in range(4)),
    )
    assert {*(await mont.get(image_id)).tags} == {"kept", "t0", "t1", "t2", "t3"}
    unchanged = await mont.get(image_id)
    assert (await mont.retag(image_id, add=["kept"])).revision == unchanged.revision


async def test_what_is_deleted_is_gone(mont: MontClient) -> None:
    (image_id,) = await uploaded(mont, 1)
    await mont.delete(image_id)
    for call in (mont.get, mont.link, mont.delete):
        with pytest.raises(ImageNotFound):
            await call(image_id)


async def test_a_deletion_whose_answer_was_lost_has_succeeded(
    proxy: Proxy, shaky: MontClient
) -> None:
    one, two = await uploaded(shaky, 2)
    proxy.fail(f"DELETE /images/{one}", lose_answer)
    await shaky.delete(one)
    proxy.fail("POST /images/delete", lose_answer)
    assert [each.error for each in await shaky.delete_many([two])] == [None]
    assert [image async for image in shaky.images()] == []


async def test_an_image_that_never_was_is_not_taken_for_deleted(
    proxy: Proxy, shaky: MontClient
) -> None:
    proxy.fail(f"DELETE /images/{an_id(1)}", answer(429))
    with pytest.raises(ImageNotFound):
        await shaky.delete(an_id(1))


async def test_batches_of_any_length_answer_for_each_image(proxy: Proxy, shaky: MontClient) -> None:
    real = await uploaded(shaky, 2)
    ids = [*(an_id(number) for number in range(103)), *real]
    links = await shaky.links(ids)
    assert [each.image_id for each in links] == ids
    assert [each.image_id for each in links if each.link] == real
    assert {type(each.error) for each in links if not each.link} == {ImageNotFound}
    deleted = await shaky.delete_many(ids)
    assert [each.image_id for each in deleted if each.error is None] == real
    assert len(proxy.of("POST /images/delete")) == 2
    assert await shaky.delete_many([]) == []


async def test_an_upload_can_be_handed_to_whoever_holds_the_bytes(
    mont: MontClient, server: object
) -> None:
    ticket = await mont.request_upload("a.jpg", PHOTO.content_type, PHOTO.size, tags=["form"])
    form = aiohttp.FormData(ticket.fields)
    form.add_field("file", PHOTO.body, filename="a.jpg", content_type=PHOTO.content_type)
    async with aiohttp.ClientSession() as browser, browser.post(ticket.url, data=form) as sent:
        assert sent.status < 300
    await mont.complete(ticket.image_id)
    assert (await mont.get(ticket.image_id)).tags == ("form",)


async def test_somebody_elses_image_is_not_changed(mont: MontClient, server: object) -> None:
    (image_id,) = await uploaded(mont, 1)
    for call in (mont.delete(image_id, user_id="eve"), mont.edit(image_id, tags=[], user_id="eve")):
        with pytest.raises(NotOwner):
            await call


async def test_an_id_never_becomes_another_path(proxy: Proxy, shaky: MontClient) -> None:
    for image_id in ("../livez", "a?b", "a/b", "%2e%2e"):
        with pytest.raises(NotFound):
            await shaky.get(image_id)
    assert not proxy.of("GET /livez")
    assert [each.path for each in proxy.seen][:2] == ["/images/..%2Flivez", "/images/a%3Fb"]


async def test_a_wrong_address_is_told_from_a_missing_image(server: object) -> None:
    async with MontClient(server.url + "/nowhere") as mont:
        with pytest.raises(NotFound) as raised:
            await mont.get(an_id(1))
        assert not isinstance(raised.value, ImageNotFound)


async def test_a_page_of_html_is_no_answer(proxy: Proxy, shaky: MontClient) -> None:
    proxy.fail("GET /images", answer(200, "<html>Sign in to the Wi-Fi</html>"))
    with pytest.raises(UnexpectedAnswer):
        await anext(shaky.images())
    proxy.fail("GET /images", answer(302, "", Location="http://127.0.0.1:1/"))
    with pytest.raises(UnexpectedAnswer):
        await anext(shaky.images())
    proxy.fail(f"GET /images/{an_id(1)}", answer(200, {"image_id": an_id(1)}))
    with pytest.raises(UnexpectedAnswer, match="upload_timestamp"):
        await shaky.get(an_id(1))


async def test_who_asks_is_said_to_the_service_and_never_to_s3(proxy: Proxy) -> None:
    async def fresh() -> str:
        return f"token-{len(proxy.seen)}"

    for credentials, header in (
        ({"api_key": "k"}, "X-API-Key"),
        ({"token": fresh}, "Authorization"),
    ):
        proxy.seen.clear()
        async with MontClient(proxy.url, user_id=new_user(), **credentials) as mont:
            image_id = (await mont.upload(PHOTO.body)).image_id
            assert [chunk async for chunk in mont.read(image_id)]
        to_store = proxy.of("POST S3") + proxy.of("GET S3")
        to_service = [each for each in proxy.seen if each not in to_store]
        assert len(to_store) == 2
        assert all(header in each.headers for each in to_service)
        assert not any(header in each.headers for each in to_store)
    assert len({each.headers["Authorization"] for each in to_service}) == 3


async def test_nobody_there_is_a_failed_connection() -> None:
    waits: list[float] = []
    async with MontClient("http://127.0.0.1:1", retries=no_waiting(waits)) as mont:
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1"):
            await mont.get(an_id(1))
    assert sum(waits) == 30


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://x", "", "http://"])
def test_an_address_without_http_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        MontClient(url)


async def test_a_client_is_used_while_it_is_open(server: object) -> None:
    with pytest.raises(ValueError, match="not both"):
        MontClient(server.url, api_key="a", token="b")
    with pytest.raises(ValueError, match="same place"):
        MontClient("http://a:b@127.0.0.1", token="t")
    with pytest.raises(RuntimeError, match="async with"):
        await MontClient(server.url).get(an_id(1))


async def test_what_is_said_too_often_is_an_error_with_its_place(mont: MontClient) -> None:
    with pytest.raises(InvalidFields, match=r"body\.tags\.0: ") as raised:
        await mont.upload(PHOTO.body, tags=["x" * 51])
    assert raised.value.status == 400
    assert raised.value.request_id
    outcomes = [each async for each in mont.upload_many([Upload(PHOTO.body, tags=["x" * 51])])]
    assert isinstance(outcomes[0].error, InvalidFields)


async def test_a_proxy_of_the_environment_is_used_and_a_netrc_is_not(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    async with MontClient("http://mont.invalid", user_id=new_user()) as mont:
        with pytest.raises(ImageNotFound):
            await mont.get(an_id(1))
        monkeypatch.setenv("no_proxy", "mont.invalid")
    async with MontClient("http://mont.invalid", retries=no_waiting(attempts=1)) as mont:
        with pytest.raises(ConnectionFailed):
            await mont.get(an_id(1))
    (seen,) = proxy.seen
    assert "Authorization" not in seen.headers
