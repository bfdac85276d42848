"""Requests that no honest client makes, and some that one does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from service.endpoints import ENDPOINTS

KNOWN_ID = "6bb88cf9-a9b4-4b3b-b1f6-53f5db4591a0"
MARKUP = "<script>alert(1)</script>"
INJECTION = "x\r\nX-Evil: 1\r\n\r\n<script>alert(1)</script>"
FIELDS = (
    *("user_id", "filename", "content_type", "file_size", "tags", "description"),
    *("image_id", "image_ids", "limit", "next_token", "order", "tag", "disposition"),
    *("start_date", "end_date", "__proto__", "constructor", "status", "s3_key", "upload_timestamp"),
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One request; `target` as on the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


# --- Values ---------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(
        [
            *("", " ", "\0", "a\0b", "..", "../../etc/passwd", "..\\..\\x", "/", "%2e%2e%2f", "~"),
            *(MARKUP, INJECTION, "'; DROP TABLE images; --", "${jndi:ldap://x}", "{{7*7}}"),
            *("\ud800", "a\udfff", "\ufeff", "\u202e", "ⅷ", "İ", "ß" * 40, "e\u0301" * 20),
            *("null", "true", "NaN", "1e999", "-0", "0x10", "١٢٣", "image/jpeg", "image/svg+xml"),
            *(KNOWN_ID, KNOWN_ID.upper(), KNOWN_ID + "\n", "{" + KNOWN_ID + "}", "*", "ann"),
            *("2026-02-13", "2026-02-30", "9999-12-31T23:59:59+23:59", "0000-01-01", "today"),
            "x" * 5_000,
        ]
    ),
    st.text(max_size=60),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zs", "Lo"]), max_size=30),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**53, 2**63, 2**64, 10**400, 1e308, -0.0, 10_485_760, 1.5]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=25),
        st.dictionaries(st.one_of(st.sampled_from(FIELDS), TEXTS), inner, max_size=4),
    ),
    max_leaves=12,
)

# --- Bodies ---------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "user_id": "ann",
    "filename": "beach.jpg",
    "content_type": "image/jpeg",
    "file_size": 2048,
    "tags": ["sea"],
    "description": "Evening",
    "image_id": KNOWN_ID,
    "image_ids": [KNOWN_ID],
}


def _encoded(document: object) -> bytes:
    # Lone surrogates as JSON escapes, and NaN and Infinity as Python and JavaScript write them.
    return json.dumps(document).encode()


def _nested(opening: bytes, closing: bytes) -> Callable[[int], bytes]:
    return lambda depth: opening * depth + b"1" + closing * depth


_documents = st.builds(
    lambda changes, dropped: {
        name: value for name, value in {**GOOD, **changes}.items() if name not in dropped
    },
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3),
    st.sets(st.sampled_from(FIELDS), max_size=2),
).map(_encoded)
_pieces = st.sampled_from(
    [
        b'{"user_id": "ann", "user_id": "bob"}',
        b'{"file_size": 1e999}',
        b'{"file_size": ' + b"9" * 5_000 + b"}",
        b'{"file_size": -Infinity, "tags": [NaN]}',
        b'{"filename": "\\ud800", "description": "\\udfff\\ud800"}',
        b'{"filename": "\\u0000"}',
        b'{"filename": "' + b"x" * 1_000_000 + b'"}',
        b'{"tags": [' + b'"a",' * 20_000 + b'"a"]}',
        b'{"user_id": "ann", "image_ids": [' + b'"x",' * 5_000 + b'"x"]}',
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"{'user_id': 'ann'}",
        b'{"user_id": "ann",}',
        b'{"user_id": "\xff\xfe"}',
        b'{"user_id": "\xed\xa0\x80"}',
        b'{"user_id": "a\x00b"}',
        b"user_id=ann&filename=x",
        b"--x\r\nContent-Disposition: form-data; name=user_id\r\n\r\nann\r\n--x--",
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
        b"\x1f\x8b\x08\x00",
        b" " * 60_000,
        b"null",
        b'"text"',
        b"[]",
        b"1",
    ]
)
BODIES = st.one_of(
    _documents,
    _pieces,
    st.binary(max_size=80),
    st.builds(lambda body, end: body[: max(0, len(body) - end)], _documents, st.integers(1, 30)),
    st.builds(
        lambda body, codec: body.decode().encode(codec),
        _documents,
        st.sampled_from(["utf-16", "utf-32", "utf-8-sig"]),
    ),
    st.builds(_nested(b"[", b"]"), st.integers(1, 40_000)),
    st.builds(_nested(b'{"user_id":', b"}"), st.integers(1, 9_000)),
)

# --- Headers --------------------------------------------------------------------------------------

_TYPES = st.sampled_from(
    [
        *(
            "application/json",
            "application/json; charset=utf-8",
            'Application/JSON;charset="UTF-8"',
        ),
        *("application/json; charset=latin-1", "application/json; charset=utf-16", "text/plain"),
        *("application/json; charset=", "application/json;;;", "application/problem+json", ""),
        *("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html"),
        *("application/json, text/html", "*/*", "json", "application/", "image/svg+xml", "a" * 900),
    ]
)
_VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)
_SENT = st.one_of(
    _VISIBLE,
    st.text(st.characters(min_codepoint=0x80, max_codepoint=0xFF), max_size=20),
    st.sampled_from(
        [MARKUP, '"1-1"', '"1-ffffffffffffffff"', "*", 'W/"x"', "é", "a" * 4_000, ",,,", "null"]
    ),
)
_NAMES = st.sampled_from(
    [
        *("If-Match", "If-None-Match", "Idempotency-Key", "X-Request-Id", "Authorization"),
        *("X-API-Key", "Accept", "Accept-Encoding", "Accept-Language", "Origin", "Range"),
        *("Access-Control-Request-Method", "Access-Control-Request-Headers", "Cookie", "Referer"),
        *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-HTTP-Method-Override"),
        *("X-Original-URL", "Forwarded", "Content-Language", "TE", "Max-Forwards", "X-Amz-Date"),
        *("Date", "If-Modified-Since", "If-Range", "Via", "User-Agent", "Prefer"),
    ]
)
HEADERS = st.builds(
    lambda typed, others: tuple({**dict(others), **typed}.items()),
    st.one_of(
        st.just({"Content-Type": "application/json"}),
        st.just({}),
        st.builds(lambda kind: {"Content-Type": kind}, _TYPES),
    ),
    st.lists(st.tuples(_NAMES, _SENT), max_size=4),
)

# --- Targets --------------------------------------------------------------------------------------

_IDS = st.one_of(
    st.just(KNOWN_ID),
    st.uuids().map(str),
    TEXTS.map(lambda text: quote(text, safe="", errors="surrogatepass")),
    st.sampled_from(
        [
            *("%00", "%", "%zz", "%ff", "%2e%2e", "..", "complete", "%2F", "a%0d%0aX-Evil:%201"),
            *(KNOWN_ID.replace("-", ""), KNOWN_ID + "%00", "x" * 5_000, "%u0041", ";a=b", "*"),
        ]
    ),
)
_TEMPLATES = st.sampled_from(
    [
        *[endpoint.path for endpoint in ENDPOINTS],
        *("/", "/docs", "/docs/start.js", "/openapi.json", "/metrics", "/pages/{image_id}"),
        *("/images/{image_id}/", "/images//{image_id}", "//images", "/images/{image_id}/../x"),
        *("/{image_id}", "/docs/../{image_id}", "/static/{image_id}", "/.git/config", "/%2e%2e/x"),
    ]
)
_QUERIES = st.one_of(
    st.just(""),
    st.builds(
        "?{}".format,
        st.lists(
            st.builds(
                lambda name, value: f"{name}={quote(value, safe='', errors='surrogatepass')}",
                st.sampled_from(FIELDS),
                st.one_of(TEXTS, NUMBERS.map(str)),
            ),
            min_size=1,
            max_size=5,
        ).map("&".join),
    ),
    st.sampled_from(
        [
            *("?", "?&&&", "?=", "?user_id", "?user_id=a&user_id=b", "?limit=%zz", "?tag=%ff%fe"),
            *("?user_id[]=a", "?user_id=ann#x", "?a;b", "?limit=1&limit=2&limit=3", "?%75ser_id=x"),
            "?" + "a=b&" * 1_500,
            "?tag=" + "x" * 6_000,
        ]
    ),
)
TARGETS = st.builds(
    lambda template, image_id, query: template.replace("{image_id}", image_id) + query,
    _TEMPLATES,
    _IDS,
    _QUERIES,
)

METHODS = st.sampled_from(
    [
        *("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"),
        *("TRACE", "PROPFIND", "LOCK", "SEARCH", "PURGE", "M-SEARCH"),
    ]
)


@st.composite
def aimed(draw: st.DrawFn) -> Hostile:
    """A request that fits an endpoint but for what it says."""
    endpoint = draw(st.sampled_from(ENDPOINTS))
    path = endpoint.path.replace("{image_id}", draw(st.just(KNOWN_ID) | _IDS))
    query = draw(_QUERIES) if endpoint.query is not None or draw(st.booleans()) else ""
    body = draw(BODIES) if endpoint.body is not None else b""
    return Hostile(endpoint.method, path + query, draw(HEADERS), body)


REQUESTS = st.one_of(
    aimed(),
    st.builds(Hostile, METHODS, TARGETS, HEADERS, st.one_of(st.just(b""), BODIES)),
)
