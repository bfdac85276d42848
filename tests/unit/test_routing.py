"""Which endpoint a path and a method mean, and what nothing means."""

import pytest

from service.endpoints import ENDPOINTS, Endpoint
from service.errors import ImageMissing, MethodRefused, RouteMissing
from service.routing import Router
from tests.support.makers import an_id

ID = an_id(0xABC)
ROUTER = Router(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.name)
def test_every_endpoint_is_found_by_its_own_line(endpoint: Endpoint) -> None:
    route = ROUTER.find(endpoint.method, endpoint.path.replace("{image_id}", ID))
    assert route.endpoint is endpoint
    assert route.image_id == (ID if "{image_id}" in endpoint.path else "")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.name)
def test_a_trailing_slash_makes_another_path(endpoint: Endpoint) -> None:
    with pytest.raises(RouteMissing):
        ROUTER.find(endpoint.method, endpoint.path.replace("{image_id}", ID) + "/")


@pytest.mark.parametrize("path", ["/images", f"/images/{ID}", "/livez"])
def test_head_is_answered_where_get_is(path: str) -> None:
    assert ROUTER.find("HEAD", path).endpoint is ROUTER.find("GET", path).endpoint


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/images", ("GET", "HEAD", "OPTIONS")),
        ("HEAD", "/images/complete", ("POST", "OPTIONS")),
        ("GET", "/images/complete", ("POST", "OPTIONS")),
        ("PUT", f"/images/{ID}", ("DELETE", "GET", "HEAD", "PATCH", "OPTIONS")),
        ("DELETE", f"/images/{ID}/download-url", ("GET", "HEAD", "OPTIONS")),
        ("get", "/images", ("GET", "HEAD", "OPTIONS")),
        ("BREW", "/livez", ("GET", "HEAD", "OPTIONS")),
    ],
)
def test_a_wrong_method_is_told_which_are_right(
    method: str, path: str, allowed: tuple[str, ...]
) -> None:
    with pytest.raises(MethodRefused) as refused:
        ROUTER.find(method, path)
    assert refused.value.allowed == allowed == ROUTER.allowed(path)


@pytest.mark.parametrize(
    "path",
    ["", "/", "*", "images", "/image", "/Images", "//images", "/images//download-url",
     f"/images/{ID}/download-url/x", f"/images/{ID}/other", f"/v1/images/{ID}",
     "/images%2Fcomplete", "/images/../livez", "/images/%00/x"],
)  # fmt: skip
def test_nothing_is_at_any_other_path(path: str) -> None:
    with pytest.raises(RouteMissing):
        ROUTER.find("GET", path)
    with pytest.raises(RouteMissing):
        ROUTER.allowed(path)


@pytest.mark.parametrize(
    "text",
    ["1", "abc", ID[:-1], ID + "0", ID.replace("-", ""), f"%7B{ID}%7D", f"{ID}%2Fx", f"{ID}%252Fx",
     "%F0%9F%90%88", "%FF%FE", "%", "%zz", "download-url", f"{ID}%0A", f"%20{ID}", "١" + ID[1:]],
)  # fmt: skip
def test_an_id_that_is_no_uuid_names_no_image(text: str) -> None:
    with pytest.raises(ImageMissing):
        ROUTER.find("GET", f"/images/{text}")


def test_an_escaped_slash_never_makes_two_parts_of_one() -> None:
    with pytest.raises(ImageMissing):
        ROUTER.find("GET", f"/images/{ID}%2Fdownload-url")


@pytest.mark.parametrize("text", [ID.upper(), f"%{ord(ID[0]):x}{ID[1:]}", ID.replace("-", "%2d")])
def test_an_id_is_read_in_either_case_and_percent_encoded(text: str) -> None:
    assert ROUTER.find("GET", f"/images/{text}").image_id == ID


@pytest.mark.parametrize(
    "path",
    ["/images/%63omplete", "/images/complet%65", "/images/upload%2Durl", "/%69mages",
     "/images/%64elete", f"/%69mages/{ID}", f"/images/{ID}/download%2durl", "/live%7A"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_fixed_in_a_path_has_to_be_sent_as_it_is(method: str, path: str) -> None:
    with pytest.raises(RouteMissing):
        ROUTER.find(method, path)
    with pytest.raises(RouteMissing):
        ROUTER.allowed(path)
