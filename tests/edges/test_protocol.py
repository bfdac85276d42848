"""What holds for every path: methods, ids, problems, CORS, caching."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.support.api import Answer, Api, new_user

ID = "6bb88cf9-a9b4-4b3b-b1f6-53f5db4591a0"
ALLOWED = {
    "/images": {"GET", "HEAD", "OPTIONS"},
    "/images/upload-url": {"POST", "OPTIONS"},
    "/images/complete": {"POST", "OPTIONS"},
    "/images/download-urls": {"POST", "OPTIONS"},
    "/images/delete": {"POST", "OPTIONS"},
    f"/images/{ID}": {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"},
    f"/images/{ID}/download-url": {"GET", "HEAD", "OPTIONS"},
    "/openapi.json": {"GET", "HEAD", "OPTIONS"},
    "/docs": {"GET", "HEAD", "OPTIONS"},
    "/livez": {"GET", "HEAD", "OPTIONS"},
    "/readyz": {"GET", "HEAD", "OPTIONS"},
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def words(header: str) -> set[str]:
    return {word.strip() for word in header.split(",")}


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for path in ALLOWED for method in METHODS if method not in ALLOWED[path]],
)
async def test_a_wrong_method_is_told_the_right_ones(api: Api, method: str, path: str) -> None:
    answer = await api.request(method, path, json={} if method != "GET" else None)
    answer.problem(405, "method-not-allowed")
    assert words(answer.headers["Allow"]) == ALLOWED[path]


async def test_a_wrong_method_matters_more_than_a_wrong_id(api: Api) -> None:
    answer = await api.request("PUT", "/images/not-a-uuid", json={})
    assert (
        words(answer.problem(405, "method-not-allowed") and answer.headers["Allow"])
        == ALLOWED[f"/images/{ID}"]
    )


@pytest.mark.parametrize("path", [path for path in ALLOWED if "GET" in ALLOWED[path]])
async def test_head_is_answered_where_get_is(api: Api, path: str) -> None:
    got = await api.request("GET", path)
    headed = await api.request("HEAD", path)
    assert (headed.status, headed.body) == (got.status, b"")
    assert headed.headers["Content-Type"] == got.headers["Content-Type"]


async def test_head_of_an_image_tells_its_etag_and_length(api: Api) -> None:
    path = f"/images/{await api.upload(new_user())}"
    got, headed = await api.request("GET", path), await api.request("HEAD", path)
    for name in ("ETag", "Content-Length", "Cache-Control"):
        assert headed.headers[name] == got.headers[name]


@pytest.mark.parametrize("path", [path for path in ALLOWED if path != "/"])
async def test_a_trailing_slash_makes_another_path(api: Api, path: str) -> None:
    for method in sorted(ALLOWED[path] - {"HEAD"}):
        answer = await api.request(method, path + "/", json={} if method == "POST" else None)
        answer.problem(404, "no-such-path")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/image",
        "/Images",
        "/images//",
        "//images",
        f"/images/{ID}/",
        f"/images/{ID}/download-url/",
        f"/images/{ID}/download",
        f"/images/{ID}/download-url/x",
        f"/v1/images/{ID}",
        "/images/a/b",
        "/docs/nothing.js",
        "/docs/%2e%2e/settings.py",
        "/pages/..%2f__init__.py",
        "/pages/__init__.py",
        "/.env",
    ],
)
async def test_a_path_that_nobody_serves_is_404(api: Api, path: str) -> None:
    (await api.request("GET", path)).problem(404, "no-such-path")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/images/%63omplete"),
        ("POST", "/images/upload%2Durl"),
        ("POST", "/images/%64elete"),
        ("GET", "/%69mages"),
        ("GET", f"/images/{ID}/download%2durl"),
    ],
)
async def test_a_fixed_path_is_not_found_by_an_escaped_spelling(
    api: Api, method: str, path: str
) -> None:
    body = {"user_id": new_user(), "image_id": ID} if method == "POST" else None
    (await api.request(method, path, json=body)).problem(404, "no-such-path")


async def test_a_request_id_is_echoed(api: Api) -> None:
    for given in ("abc-123", "A" * 128, "Root=1-67891233-abcdef012345678912345678"):
        answer = await api.request("GET", "/livez", headers={"X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == given
        missing = await api.request("GET", f"/images/{ID}", headers={"X-Request-Id": given})
        assert missing.problem(404, "image-not-found")["instance"] == given


@pytest.mark.parametrize("given", ["", "A" * 129, "a b", "<script>", 'a"b', "a;b"])
async def test_a_request_id_that_could_do_harm_is_replaced(api: Api, given: str) -> None:
    answer = await api.request("GET", "/livez", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] != given
    assert UUID(answer.headers["X-Request-Id"])


async def test_every_request_has_an_id_of_its_own(api: Api) -> None:
    ids = {(await api.request("GET", "/livez")).headers["X-Request-Id"] for _ in range(5)}
    assert len(ids) == 5


async def a_bit_of_everything(api: Api) -> list[Answer]:
    image_id = await api.upload(new_user())
    return [
        await api.request("GET", "/livez"),
        await api.request("GET", "/nothing"),
        await api.request("PUT", "/images"),
        await api.request("GET", f"/images/{image_id}"),
        await api.request("GET", f"/images/{image_id}", headers={"If-None-Match": "*"}),
        await api.request("GET", f"/images/{ID}"),
        await api.request("POST", "/images/complete", json={}),
        await api.request("POST", "/images/complete", data=b"{}", headers={"Content-Type": "a/b"}),
        await api.request("POST", "/images/delete", json={"x": "x" * 70_000}),
        await api.request("DELETE", f"/images/{image_id}", json={"user_id": new_user()}),
    ]


async def test_every_answer_may_be_read_by_any_page(api: Api) -> None:
    answers = await a_bit_of_everything(api)
    assert [each.status for each in answers] == [200, 404, 405, 200, 304, 404, 400, 415, 413, 401]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        exposed = words(answer.headers["Access-Control-Expose-Headers"])
        assert {"X-Request-Id", "ETag", "Retry-After", "RateLimit", "Allow"} <= exposed


async def test_every_answer_says_whether_it_may_be_kept(api: Api) -> None:
    for answer in await a_bit_of_everything(api):
        assert "no-store" in answer.headers.get("Cache-Control", "") or "ETag" in answer.headers


@pytest.mark.parametrize("path", list(ALLOWED))
async def test_a_preflight_allows_what_the_path_answers(api: Api, path: str) -> None:
    answer = await api.request(
        "OPTIONS",
        path,
        headers={
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,if-match,idempotency-key",
        },
    )
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert words(answer.headers["Access-Control-Allow-Methods"]) >= ALLOWED[path] - {"OPTIONS"}
    allowed = {word.lower() for word in words(answer.headers["Access-Control-Allow-Headers"])}
    assert allowed >= {"content-type", "if-match", "if-none-match", "idempotency-key"}
    assert int(answer.headers["Access-Control-Max-Age"]) > 0


async def test_options_without_an_origin_tells_the_methods(api: Api) -> None:
    answer = await api.request("OPTIONS", "/images")
    assert answer.status == 204
    assert words(answer.headers["Allow"]) == ALLOWED["/images"]
    (await api.request("OPTIONS", "/nothing")).problem(404, "no-such-path")


async def test_no_answer_tells_what_it_was_made_with(api: Api) -> None:
    for answer in await a_bit_of_everything(api):
        server = answer.headers.get("Server", "").lower()
        assert "python" not in server
        assert "aiohttp" not in server
