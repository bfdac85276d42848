"""Where a door may answer otherwise than the aiohttp door does, and why. Nothing else differs."""

from __future__ import annotations

NOT_UTF8 = (
    "API Gateway hands a body on as text: bytes that are no UTF-8 arrive as replacement characters,"
    " so the body is valid JSON and its fields are refused instead of the body."
)

DIFFERENCES: dict[tuple[str, str], str] = {
    ("bridge", "test_a_body_that_is_no_utf8_is_400"): NOT_UTF8,
}
"""(door, test) -> why that test says nothing about that door."""
