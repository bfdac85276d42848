"""Documents that do not change are compressed for whom that serves."""

from __future__ import annotations

import gzip

import pytest

from service.compression import StaticDocument, accepts_gzip


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip, deflate, br", True),
        ("GZIP", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("deflate, gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("identity, *;q=0", False),
        ("br", False),
        ("", False),
        (None, False),
    ],
)
def test_gzip_is_for_those_who_take_it(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


async def test_a_document_is_read_and_compressed_once_and_each_coding_has_its_tag() -> None:
    body, reads = b"text " * 1000, []

    def read() -> bytes:
        reads.append(1)
        return body

    document = StaticDocument(read)
    plain, zipped = await document.coded(None), await document.coded("gzip")
    assert (plain.body, plain.headers) == (body, {})
    assert gzip.decompress(zipped.body) == body
    assert zipped.headers == {"Content-Encoding": "gzip"}
    assert len(zipped.body) < len(body) / 10
    assert plain.etag != zipped.etag
    assert await document.coded("gzip") is zipped
    assert len(reads) == 1
