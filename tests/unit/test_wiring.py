"""What the settings say is what the service does."""

from dataclasses import replace
from typing import Any

import pytest

from service.auth.api_keys import ApiKeyIdentity
from service.auth.callers import ClaimedIdentity
from service.model import Position, Selection
from service.settings import Settings
from service.storage.clients import Clients
from service.wiring import build_pipeline, open_identity, rules_of
from tests.support.makers import NOON, Api, World, an_api, an_id, an_image, document_of

UPLOAD = {"user_id": "ann", "filename": "a.png", "content_type": "image/png", "file_size": 50}


async def test_expiries_and_limits_reach_the_answers() -> None:
    world = World()
    await world.records.create(an_image())
    api = an_api(
        world,
        s3_presigned_url_expiry_upload=60,
        s3_presigned_url_expiry_download=30,
        max_file_size=50,
        allowed_content_types=("image/png",),
        default_page_size=1,
    )
    assert document_of(await api("POST", "/images/upload-url", UPLOAD))["expires_in"] == 60
    link = await api("GET", f"/images/{an_id(1)}/download-url")
    assert document_of(link)["expires_in"] == 30
    assert (await api("POST", "/images/upload-url", {**UPLOAD, "file_size": 51})).status == 400
    await world.records.create(an_image(image_id=an_id(2)))
    assert document_of(await api("GET", "/images"))["count"] == 1


async def test_replicas_share_tokens_and_deployments_do_not() -> None:
    world = World()
    for number in range(3):
        await world.records.create(an_image(image_id=an_id(number)))
    settings = Settings(default_page_size=1)

    def api(changed: Settings) -> Api:
        return Api(build_pipeline(changed, world.objects, world.records))

    token = document_of(await api(settings)("GET", "/images"))["next_token"]
    query = [("next_token", token)]
    assert (await api(settings)("GET", "/images", query=query)).status == 200
    for other in ({"cursor_secret": "x"}, {"dynamodb_table_name": "Other"}):
        answer = await api(replace(settings, **other))("GET", "/images", query=query)
        assert document_of(answer)["type"] == "urn:mont:problem:invalid-next-token"


def test_rules_are_the_settings() -> None:
    settings = Settings(max_file_size=9, default_page_size=2, max_page_size=3)
    rules = rules_of(settings)
    assert (rules.max_file_size, rules.default_page_size, rules.max_page_size) == (9, 2, 3)
    assert rules.content_types == settings.allowed_content_types


async def test_the_memory_store_starts_a_page_behind_any_position() -> None:
    world = World()
    for number in (1, 2, 3):
        await world.records.create(an_image(image_id=an_id(number)))
    page = await world.records.page(Selection(), Position(NOON, an_id(3)), 1)
    assert [image.image_id for image in page.images] == [an_id(2)]
    assert page.next == Position(NOON, an_id(2))


async def test_who_is_believed_is_told_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    none: Any = None
    clients = Clients(none, none, none)
    with caplog.at_level("WARNING"):
        assert isinstance(await open_identity(Settings(), clients), ClaimedIdentity)
    assert "AUTH_MODE is claimed: user_id is believed" in caplog.text
    caplog.clear()
    keyed = await open_identity(Settings(auth_mode="api_key"), clients)
    assert isinstance(keyed, ApiKeyIdentity)
    assert caplog.text == ""


@pytest.mark.parametrize("mode", ["api_key", "jwt"])
def test_a_service_that_asks_for_credentials_is_never_built_without_a_way_to_check_them(
    mode: Any,
) -> None:
    world = World()
    with pytest.raises(ValueError, match=f"AUTH_MODE {mode} needs"):
        build_pipeline(Settings(auth_mode=mode), world.objects, world.records)
