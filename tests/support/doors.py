"""Where a door may answer otherwise than the aiohttp door does, and why. Nothing else differs."""

from __future__ import annotations

NOT_UTF8 = (
    "API Gateway hands a body on as text: bytes that are no UTF-8 arrive as replacement characters,"
    " so the body is valid JSON and its fields are refused instead of the body."
)

OWN_LENGTH = "API Gateway says the length of what it sends, which for HEAD is nothing."
ONE_SLASH = "LocalStack's gateway takes several slashes for one before it looks for a route."
OWN_FORMS = "LocalStack's gateway reads forms itself, and fails (502) on what is no form."

DIFFERENCES: dict[tuple[str, str], str] = {
    ("bridge", "test_a_body_that_is_no_utf8_is_400"): NOT_UTF8,
    ("gateway", "test_head_of_an_image_tells_its_etag_and_length"): OWN_LENGTH,
    ("gateway", "test_a_path_that_nobody_serves_is_404[gateway-//images]"): ONE_SLASH,
    ("gateway", "test_a_body_of_another_type_is_415[gateway-multipart"): OWN_FORMS,
}
"""(door, beginning of a test's name) -> why that test says nothing about that door."""


def difference(door: str, test: str) -> str | None:
    """Why a test says nothing about a door; None where it has to hold."""
    for (differing, beginning), reason in DIFFERENCES.items():
        if door == differing and test.startswith(beginning):
            return reason
    return None
