"""Which image a file is and how large, decided from its first bytes.

Structure is checked as far as those bytes go, to the end of the file when they are all of it; of
a longer one, its last bytes tell whether it was cut off.
Pixels are never decoded, so a damaged picture in a sound container passes, and a camera's
orientation tag is not applied: width and height are the stored ones. The module does not know
what type the client declared, nor where the bytes come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from service.imageformat import bmp, gif, jpeg, png, webp
from service.imageformat.head import MAX_PARTS, Head, HeaderTooFar, NotAnImage

__all__ = [
    "HEAD_BYTES",
    "MAX_PARTS",
    "MAX_PIXELS",
    "TAIL_BYTES",
    "HeaderTooFar",
    "ImageHeader",
    "NotAnImage",
    "check_end",
    "has_end",
    "read_header",
]

HEAD_BYTES: Final = 128 * 1024
"""How many leading bytes to read.

Only JPEG needs more than a few hundred: a phone writes EXIF with a thumbnail (one segment, up to
64 KiB), a colour profile, XMP, MPF and maker segments before the frame header. More would be read
for every upload and used by very few: print profiles (557 KB for US Web Coated SWOP) and depth
maps, which `HeaderTooFar` sets apart.
"""

TAIL_BYTES: Final = 16 * 1024
"""How many trailing bytes to read of what is longer than its head.

Enough for the padding that some cameras put behind the end of a picture.
"""

MAX_PIXELS: Final = 16_384 * 16_384
"""The most pixels a picture may claim: 1 GiB as RGBA for whoever decodes it.

A few hundred bytes can claim 4 billion pixels and exhaust the reader's memory. Phones with 200
megapixels and the largest WebP frame (16,383 squared) stay below.
"""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file is: its media type, and its width and height in pixels."""

    content_type: str
    width: int
    height: int


def read_header(head: bytes, total_bytes: int) -> ImageHeader:
    """Name the format and size of an object of `total_bytes`, given its first bytes.

    `head` is at least the first min(HEAD_BYTES, total_bytes) bytes. When it is the whole object,
    the object must also be complete. Raises NotAnImage, and nothing else, on any bytes.
    """
    if not head:
        raise NotAnImage("the file is empty")
    if len(head) > total_bytes:
        raise NotAnImage(f"{len(head)} bytes were read of a file said to have {total_bytes}")
    file = Head(head, total_bytes)
    for signature, content_type, measure, check in _FORMATS:
        if signature.match(head):
            width, height = measure(file)
            _refuse_impossible(width, height)
            # Past the end of the head (or too many parts) there is nothing left to check.
            with suppress(HeaderTooFar):
                check(file)
            return ImageHeader(content_type, width, height)
    raise NotAnImage("unknown signature: not a JPEG, PNG, GIF, WebP or BMP file")


def has_end(content_type: str) -> bool:
    """Whether there is something to look for in the last bytes of such a file.

    WebP and BMP say how long they are in their first bytes, which `read_header` has compared.
    """
    return content_type in _ENDS


def check_end(content_type: str, tail: bytes) -> None:
    """Look at the last TAIL_BYTES of a file that has an end. Raises NotAnImage where it is cut."""
    _ENDS[content_type](tail)


_ENDS: dict[str, Callable[[bytes], None]] = {
    "image/jpeg": jpeg.check_end,
    "image/png": png.check_end,
    "image/gif": gif.check_end,
}


def _refuse_impossible(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise NotAnImage(f"impossible dimensions: {width} x {height}")
    if width * height > MAX_PIXELS:
        raise NotAnImage(f"{width} x {height} is more than {MAX_PIXELS} pixels")


_FORMATS: tuple[
    tuple[re.Pattern[bytes], str, Callable[[Head], tuple[int, int]], Callable[[Head], None]],
    ...,
] = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", jpeg.measure, jpeg.check),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", png.measure, png.check),
    (re.compile(rb"GIF8[79]a"), "image/gif", gif.measure, gif.check),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp", webp.measure, webp.check),
    (re.compile(rb"BM"), "image/bmp", bmp.measure, bmp.check),
)
