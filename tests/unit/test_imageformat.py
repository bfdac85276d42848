"""Real files have the size that a decoder sees; cut, forged and hostile ones are refused."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.imageformat import (
    HEAD_BYTES,
    MAX_PARTS,
    MAX_PIXELS,
    HeaderTooFar,
    ImageHeader,
    NotAnImage,
    read_header,
)

EXIF_60K = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + b"\0" * 60_000


def whole(data: bytes) -> ImageHeader:
    return read_header(data, len(data))


def head_of(data: bytes, head_bytes: int = HEAD_BYTES) -> ImageHeader:
    return read_header(data[:head_bytes], len(data))


def picture(mode: str, width: int = 37, height: int = 23) -> Image.Image:
    """A gradient: a flat colour would compress to next to nothing and leave little to cut."""
    return Image.linear_gradient("L").resize((width, height)).convert(mode)


def noise(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width, height), 200)


def saved(image: Image.Image, image_format: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, image_format, **options)
    return target.getvalue()


def animated(image_format: str, **options: object) -> bytes:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    return saved(
        frames[0], image_format, save_all=True, append_images=frames[1:], duration=50, **options
    )


def bitmap(header: bytes, pixels: bytes, palette: bytes = b"") -> bytes:
    offset = 14 + len(header) + len(palette)
    size = offset + len(pixels)
    return struct.pack("<2sIHHI", b"BM", size, 0, 0, offset) + header + palette + pixels


def info_header(
    width: int, height: int, depth: int = 24, compression: int = 0, size: int = 40
) -> bytes:
    fields = struct.pack("<IiiHHIIIIII", size, width, height, 1, depth, compression, *[0] * 5)
    return fields + b"\0" * (size - 40)


def core_header(width: int, height: int, depth: int = 24) -> bytes:
    return struct.pack("<IHHHH", 12, width, height, 1, depth)


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def webp_chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_canvas(width: int, height: int, flags: int = 0) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size)


def jpeg_segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_frame(width: int, height: int, precision: int = 8, sampling: int = 0x11) -> bytes:
    body = struct.pack(">BHHBBBB", precision, height, width, 1, 1, sampling, 0)
    return jpeg_segment(0xC0, body)


IEND = png_chunk(b"IEND", b"")
SCAN = jpeg_segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x12\xff\0\xff\xd0\x34"
GREY_JPEG = saved(picture("L"), "JPEG")
FRAME_GIF = b"\x2c\0\0\0\0\x05\0\x04\0\0\x02\x02\x4c\x01\0"
SCREEN_GIF = b"GIF89a\x05\0\x04\0\0\0\0"

FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "jpeg": ("image/jpeg", lambda: saved(picture("RGB"), "JPEG")),
    "jpeg grey": ("image/jpeg", lambda: saved(picture("L"), "JPEG")),
    "jpeg cmyk": ("image/jpeg", lambda: saved(picture("CMYK"), "JPEG")),
    "jpeg progressive": ("image/jpeg", lambda: saved(picture("RGB"), "JPEG", progressive=True)),
    "jpeg restarts": (
        "image/jpeg",
        lambda: saved(noise(64, 64), "JPEG", restart_marker_blocks=1),
    ),
    "jpeg 1x1": ("image/jpeg", lambda: saved(picture("RGB", 1, 1), "JPEG")),
    "jpeg wide": ("image/jpeg", lambda: saved(picture("L", 65_500, 2), "JPEG")),
    "jpeg of a camera": (
        "image/jpeg",
        lambda: saved(picture("RGB"), "JPEG", exif=EXIF_60K, icc_profile=b"profile " * 12_000),
    ),
    "mpo": (
        "image/jpeg",
        lambda: saved(picture("RGB"), "MPO", save_all=True, append_images=[picture("RGB", 9, 9)]),
    ),
    "png": ("image/png", lambda: saved(picture("RGB"), "PNG")),
    "png palette": ("image/png", lambda: saved(picture("P"), "PNG")),
    "png grey": ("image/png", lambda: saved(picture("L"), "PNG")),
    "png grey 16": ("image/png", lambda: saved(picture("L").convert("I;16"), "PNG")),
    "png alpha": ("image/png", lambda: saved(picture("RGBA"), "PNG")),
    "png grey alpha": ("image/png", lambda: saved(picture("LA"), "PNG")),
    "png 1x1": ("image/png", lambda: saved(picture("RGB", 1, 1), "PNG")),
    "png large": ("image/png", lambda: saved(Image.new("1", (20_000, 3_000)), "PNG")),
    "png animated": ("image/png", lambda: animated("PNG")),
    "png profile": ("image/png", lambda: saved(picture("RGB"), "PNG", icc_profile=b"x" * 500)),
    "gif": ("image/gif", lambda: saved(picture("P"), "GIF")),
    "gif grey": ("image/gif", lambda: saved(picture("L"), "GIF")),
    "gif interlaced": ("image/gif", lambda: saved(picture("L"), "GIF", interlace=1)),
    "gif comment": ("image/gif", lambda: saved(picture("L"), "GIF", comment=b"x" * 1_000)),
    "gif 1x1": ("image/gif", lambda: saved(picture("P", 1, 1), "GIF")),
    "gif large": ("image/gif", lambda: saved(Image.new("L", (9_000, 700)), "GIF")),
    "gif animated": ("image/gif", lambda: animated("GIF", loop=0)),
    "webp lossy": ("image/webp", lambda: saved(picture("RGB"), "WEBP")),
    "webp lossless": ("image/webp", lambda: saved(picture("RGB"), "WEBP", lossless=True)),
    "webp alpha": ("image/webp", lambda: saved(Image.new("RGBA", (31, 17), "#f008"), "WEBP")),
    "webp exif": ("image/webp", lambda: saved(picture("RGB"), "WEBP", exif=EXIF_60K)),
    "webp 1x1": ("image/webp", lambda: saved(picture("RGB", 1, 1), "WEBP", lossless=True)),
    "webp wide": ("image/webp", lambda: saved(Image.new("RGB", (16_383, 3)), "WEBP")),
    "webp animated": ("image/webp", lambda: animated("WEBP")),
    "bmp 1": ("image/bmp", lambda: saved(picture("1"), "BMP")),
    "bmp 8": ("image/bmp", lambda: saved(picture("P"), "BMP")),
    "bmp grey": ("image/bmp", lambda: saved(picture("L"), "BMP")),
    "bmp 24": ("image/bmp", lambda: saved(picture("RGB"), "BMP")),
    "bmp 32": ("image/bmp", lambda: saved(picture("RGBA"), "BMP")),
    "bmp 1x1": ("image/bmp", lambda: saved(picture("RGB", 1, 1), "BMP")),
    "bmp large": ("image/bmp", lambda: saved(Image.new("1", (10_001, 500)), "BMP")),
    "bmp top-down": ("image/bmp", lambda: bitmap(info_header(5, -4), b"\0" * 64)),
    "bmp core": ("image/bmp", lambda: bitmap(core_header(5, 4), b"\0" * 64)),
    "bmp v4": ("image/bmp", lambda: bitmap(info_header(5, 4, size=108), b"\0" * 64)),
    "bmp v5": ("image/bmp", lambda: bitmap(info_header(5, 4, size=124), b"\0" * 64)),
    "bmp os/2": ("image/bmp", lambda: bitmap(info_header(5, 4, size=64), b"\0" * 64)),
}


@cache
def file_named(name: str) -> bytes:
    return FILES[name][1]()


every_file = pytest.mark.parametrize("name", FILES)


@every_file
def test_a_real_file_has_the_type_it_was_saved_as_and_the_size_that_a_decoder_sees(
    name: str,
) -> None:
    data = file_named(name)
    with Image.open(io.BytesIO(data)) as decoded:
        width, height = decoded.size
    assert whole(data) == ImageHeader(FILES[name][0], width, height)


@every_file
def test_a_file_cut_anywhere_is_refused(name: str) -> None:
    data = file_named(name)
    # Behind the first picture of an MPO only its preview is lost, and readers show the rest.
    end = data.index(b"\xff\xd9\xff\xd8") + 2 if name == "mpo" else len(data)
    accepted = []
    for length in {*range(0, end, end // 200 + 1), *range(min(end, 64)), end - 1}:
        try:
            whole(data[:length])
        except NotAnImage:
            continue
        accepted.append(length)
    assert accepted == []


@every_file
def test_padding_behind_the_file_is_tolerated(name: str) -> None:
    data = file_named(name)
    assert whole(data + b"\0" * 512) == whole(data)


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("image/jpeg", lambda: saved(noise(900, 900), "JPEG", quality=95, exif=EXIF_60K)),
        ("image/png", lambda: saved(noise(900, 900), "PNG")),
        ("image/gif", lambda: saved(noise(900, 900), "GIF")),
        ("image/webp", lambda: saved(noise(900, 900), "WEBP", lossless=True, method=0)),
        ("image/bmp", lambda: saved(noise(900, 900), "BMP")),
    ],
)
def test_the_head_of_a_larger_file_is_enough(content_type: str, data: Callable[[], bytes]) -> None:
    made = data()
    assert len(made) > HEAD_BYTES
    assert head_of(made) == whole(made) == ImageHeader(content_type, 900, 900)


@pytest.mark.parametrize("name", ["png", "gif", "webp lossy", "webp exif", "bmp 24"])
def test_a_short_head_tells_the_size_of_a_file_without_long_metadata(name: str) -> None:
    data = file_named(name)
    if name == "gif":
        data = SCREEN_GIF + FRAME_GIF * 4 + b"\x3b"
    assert len(data) > 54
    assert head_of(data, 54) == whole(data)


@pytest.mark.parametrize("name", ["png", "webp lossy", "webp exif", "bmp 24", "bmp 1"])
def test_a_cut_shows_in_the_head_where_the_header_says_how_long_the_file_is(name: str) -> None:
    data = file_named(name)
    cut = data[: data.index(b"IEND") - 40] if name == "png" else data[:-20]
    with pytest.raises(NotAnImage, match="cut short"):
        head_of(cut, 64)


def test_a_profile_longer_than_the_head_is_named_and_a_longer_head_helps() -> None:
    data = saved(picture("CMYK"), "JPEG", icc_profile=b"x" * 557_168)
    with pytest.raises(HeaderTooFar, match="metadata before the picture is too long"):
        head_of(data)
    assert whole(data) == head_of(data, 600_000) == ImageHeader("image/jpeg", 37, 23)


def test_segments_of_any_kind_and_fill_bytes_may_come_before_the_frame() -> None:
    segments = b"".join(
        jpeg_segment(marker, b"x" * 5_000) for marker in (0xE2, 0xFE, 0xEF, 0xE0, 0xE1, 0xDB)
    )
    data = b"\xff\xd8" + segments + b"\xff\xff" + GREY_JPEG[2:]
    assert whole(data) == whole(GREY_JPEG)


def test_a_gif_whose_screen_is_smaller_than_its_first_frame_has_the_size_of_the_frame() -> None:
    screen = b"GIF89a\x01\0\x01\0\0\0\0"
    data = screen + FRAME_GIF + b"\x3b"
    with Image.open(io.BytesIO(data)) as decoded:
        assert decoded.size == (5, 4)
    assert whole(data) == ImageHeader("image/gif", 5, 4)


def test_a_gif_may_end_its_blocks_twice() -> None:
    assert whole(SCREEN_GIF + FRAME_GIF + b"\0\0\x3b").width == 5


@pytest.mark.parametrize("file_bytes", [0, 26, 54])
def test_a_bmp_may_understate_its_file_size(file_bytes: int) -> None:
    data = bytearray(file_named("bmp 24"))
    data[2:6] = struct.pack("<I", file_bytes)
    assert whole(bytes(data)) == whole(file_named("bmp 24"))


@pytest.mark.parametrize(
    "data",
    [
        bitmap(info_header(5, 4, depth=8, compression=1), b"\0\1", b"\0" * 1024),
        bitmap(info_header(5, 4, depth=32, compression=3, size=56), b"\0" * 80),
        bitmap(info_header(5, 4, depth=1, compression=3, size=64), b"\0\1", b"\0" * 8),
        bitmap(info_header(5, 4, depth=24, compression=4, size=64), b"\0\1"),
        bitmap(struct.pack("<IiiHH", 16, 5, 4, 1, 24), b"\0" * 64),
    ],
    ids=["run lengths", "bit fields", "OS/2 Huffman", "OS/2 run lengths", "OS/2 short header"],
)
def test_a_rarer_kind_of_bmp_is_recognised(data: bytes) -> None:
    assert whole(data) == ImageHeader("image/bmp", 5, 4)


SCRIPT = b"*/=1;alert(document.cookie)//<script>alert(1)</script>" * 40
HTML = b"<!doctype html><html><body onload=alert(1)><script>alert(1)</script></body></html>" * 40
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>" * 40
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" * 40
TEXT = pytest.mark.parametrize("text", [SCRIPT, HTML, SVG, PDF], ids=["js", "html", "svg", "pdf"])


@TEXT
@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0",
        b"\x89PNG\r\n\x1a\n",
        png(png_header(5, 4)),
        b"GIF87a",
        b"GIF89a/*",
        SCREEN_GIF,
        b"RIFF\x20\0\0\0WEBP",
        b"RIFF\x20\0\0\0WEBPVP8 \x10\0\0\0",
        b"RIFF\x20\0\0\0WEBPVP8L\x10\0\0\0",
        b"BM",
        b"BM\x20\0\0\0\0\0\0\0\x36\0\0\0",
    ],
)
@pytest.mark.parametrize("head_bytes", [1_000, HEAD_BYTES], ids=["head", "whole"])
def test_text_behind_a_signature_is_refused(text: bytes, signature: bytes, head_bytes: int) -> None:
    with pytest.raises(NotAnImage):
        head_of(signature + text, head_bytes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"II*\0\x08\0\0\0", "unknown signature"),
        (b"\xff\xd8\xff", "cut short"),
        (b"\xff\xd8\xff\xe0\0\1abc", "impossible length 1"),
        (b"\xff\xd8\xff\xe0\0\4abzz", "no marker at byte 8"),
        (b"\xff\xd8\xff\xd8", "marker 0xD8 out of place"),
        (b"\xff\xd8" + SCAN + b"\xff\xd9", "no frame header"),
        (b"\xff\xd8\xff\xd9", "no frame header"),
        (b"\xff\xd8" + jpeg_segment(0xC0, b"\x08\0\1"), "wrong length"),
        (b"\xff\xd8" + jpeg_frame(5, 4, precision=1), "impossible frame header"),
        (b"\xff\xd8" + jpeg_frame(5, 4, sampling=0x51), "impossible frame header"),
        (b"\xff\xd8" + jpeg_frame(5, 0) + SCAN + b"\xff\xd9", "dimensions: 5 x 0"),
        (b"\xff\xd8" + jpeg_frame(65_000, 65_000), "pixels"),
        (b"\xff\xd8" + jpeg_frame(5, 4) + b"\xff\xd9", "no picture data"),
        (b"\xff\xd8" + jpeg_frame(5, 4) * 2 + SCAN + b"\xff\xd9", "more than one frame"),
        (b"\xff\xd8" + jpeg_frame(5, 4) + SCAN, "cut short"),
        (png(png_chunk(b"CgBI", b"\0" * 4), png_header(5, 4), IEND), "no IHDR"),
        (png(png_header(5, 4)[:-1] + b"!", IEND), "checksum of the IHDR"),
        (png(png_header(5, 4, depth=4), IEND), "bit depth 4 does not exist for colour type 2"),
        (png(png_header(5, 4, colour=5), IEND), "colour type 5"),
        (
            png(png_chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 8, 2, 0, 0, 2)), IEND),
            "interlace",
        ),
        (png(png_header(0, 4), IEND), "dimensions: 0 x 4"),
        (png(png_header(30_000, 30_000), IEND), f"more than {MAX_PIXELS} pixels"),
        (png(png_header(5, 4), IEND), "no picture data"),
        (png(png_header(5, 4), png_header(5, 4), IEND), "out of place"),
        (png(png_header(5, 4), png_chunk(b"a<b>", b""), IEND), "out of place"),
        (png(png_header(5, 4, colour=3), png_chunk(b"IDAT", b"x"), IEND), "no palette"),
        (
            png(png_header(5, 4), png_chunk(b"IDAT", b"x")[:-1] + b"!", IEND),
            "checksum of the chunk",
        ),
        (SCREEN_GIF + b"\x3b", "no picture data"),
        (SCREEN_GIF + FRAME_GIF, "cut short"),
        (SCREEN_GIF + b"\x2c" + b"\0" * 9, "frame of impossible dimensions"),
        (SCREEN_GIF + FRAME_GIF[:10] + b"\x0c", "impossible code size"),
        (SCREEN_GIF + b"\x21\x3c\0" + FRAME_GIF, "unknown extension"),
        (SCREEN_GIF + b"\x21\xf9\3abc\0" + FRAME_GIF, "unknown extension"),
        (SCREEN_GIF + FRAME_GIF + b"<script>", "unknown block 0x3C"),
        (b"GIF89a\0\0\4\0\0\0\0" + FRAME_GIF + b"\x3b", "dimensions: 0 x 4"),
        (
            SCREEN_GIF + b"\x2c\0\0\0\0\xff\xff\xff\xff\0\2\0\x3b",
            "pixels",
        ),
        (webp(), "does not start with a picture chunk"),
        (webp(webp_chunk(b"ALPH", b"x" * 20)), "does not start with a picture chunk"),
        (webp(webp_chunk(b"VP8X", b"x" * 4)), "does not start with a picture chunk"),
        (webp(webp_chunk(b"VP8L", b"\x2f\0\0\0\x20")), "impossible picture header"),
        (webp(webp_chunk(b"VP8 ", b"\x01\0\0\x9d\x01\x2a\5\0\4\0")), "impossible picture"),
        (webp(webp_chunk(b"VP8 ", b"\xf0\1\0\x9d\x01\x2a\5\0\4\0")), "cut short"),
        (webp(webp_chunk(b"VP8 ", b"\x10\0\0\x9d\x01\x2a\0\0\4\0")), "dimensions: 0 x 4"),
        (webp(webp_canvas(16_777_216, 100)), "pixels"),
        (webp(webp_canvas(5, 4), webp_chunk(b"EXIF", b"x")), "no picture data"),
        (webp(webp_canvas(5, 4, flags=2), webp_chunk(b"VP8L", b"\x2f\0\0\0\0")), "no picture"),
        (webp(webp_canvas(5, 4), webp_chunk(b"VP8L", b"\x2f\0\0\0\0")), "size of its canvas"),
        (webp(webp_canvas(5, 4), b"EXIF\xff\xff\0\0"), "longer than the file says"),
        (bitmap(info_header(5, 4, size=44), b"\0" * 64), "unknown header of 44 bytes"),
        (bitmap(info_header(5, 4, depth=7), b"\0" * 64), "7 bits a pixel"),
        (bitmap(info_header(5, 4, compression=5), b"\0" * 64), "compression 5"),
        (bitmap(info_header(-5, 4), b"\0" * 64), "dimensions: -5 x 4"),
        (bitmap(info_header(5, -(2**31)), b"\0" * 64), "pixels"),
        (bitmap(info_header(5, -4, depth=8, compression=1), b"\0" * 64), "top-down"),
        (bitmap(info_header(5, 4), b"\0" * 63), "cut short"),
        (b"BM\0\0\0\0\0\0\0\0\4\0\0\0" + info_header(5, 4) + b"\0" * 64, "overlap"),
    ],
)
def test_a_refusal_says_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(NotAnImage, match=message):
        whole(data)


def test_a_head_longer_than_its_file_is_refused() -> None:
    with pytest.raises(NotAnImage, match="said to have 10"):
        read_header(GREY_JPEG, 10)


def test_the_largest_picture_allowed_is_a_square_of_16384() -> None:
    def head(height: int) -> bytes:
        return png(png_header(16_384, height), b"\0\0\x10\0IDAT")

    assert read_header(head(16_384), 10_000).height == 16_384
    with pytest.raises(NotAnImage, match="pixels"):
        read_header(head(16_385), 10_000)


def test_a_head_stuffed_with_empty_parts_is_given_up_early() -> None:
    comments = b"\x21\xfe\0" * MAX_PARTS
    with pytest.raises(NotAnImage, match=f"more than {MAX_PARTS} parts"):
        whole(SCREEN_GIF + comments + FRAME_GIF + b"\x3b")
    assert whole(SCREEN_GIF + comments[6:] + FRAME_GIF + b"\x3b").width == 5


def test_an_animation_of_more_frames_than_are_looked_at_is_still_an_image() -> None:
    assert whole(SCREEN_GIF + FRAME_GIF * (MAX_PARTS + 1) + b"\x3b").width == 5


def outcome(head: bytes, total_bytes: int) -> ImageHeader | None:
    """What was read, or None for a refusal; any other exception fails the test."""
    try:
        return read_header(head, total_bytes)
    except NotAnImage:
        return None


def is_possible(header: ImageHeader | None) -> bool:
    return header is None or (
        header.width > 0 and header.height > 0 and header.width * header.height <= MAX_PIXELS
    )


SIGNATURES = [b"", b"\xff\xd8\xff", png(), b"GIF89a", b"RIFF\0\1\0\0WEBPVP8", b"BM", SCREEN_GIF]


@given(st.sampled_from(SIGNATURES), st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_cause_anything_but_a_refusal(signature: bytes, rest: bytes, unread: int) -> None:
    head = signature + rest
    assert is_possible(outcome(head, len(head) + unread))


@given(
    st.sampled_from([name for name in FILES if "large" not in name]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 2_000),
    st.integers(0, 2_000),
)
def test_no_change_to_a_real_file_causes_anything_but_a_refusal(
    name: str, changes: list[tuple[int, int]], read: int, cut: int
) -> None:
    data = bytearray(file_named(name))
    for position, value in changes:
        data[position % len(data)] = value
    assert is_possible(outcome(bytes(data), len(data)))
    assert is_possible(outcome(bytes(data[:read]), len(data)))
    assert is_possible(outcome(bytes(data[:cut]), len(data[:cut])))
