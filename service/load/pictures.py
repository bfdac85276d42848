"""Images to upload, made from nothing: PNG (ISO/IEC 15948) and JPEG (ITU-T T.81) of exact sizes."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from random import Random

SMALLEST = 1_000
LARGEST = 100_000_000
_KINDS = 8
# All of them are held in memory.
_MOST_BYTES = 64_000_000
_SIDE = 16
# One table with one code each, "0": no difference to the block before, and the end of a block.
_HUFFMAN = (b"\x00", b"\x10")
_LONGEST_COMMENT = 65_533


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of an image and what they are."""

    content_type: str
    suffix: str
    body: bytes


def make_pictures(smallest: int, largest: int, random: Random) -> list[Picture]:
    """PNG and JPEG in turn, of sizes from `smallest` to `largest` bytes, evenly on a log scale."""
    kinds = max(2, min(_KINDS, _MOST_BYTES // largest))
    factor = (largest / smallest) ** (1 / (kinds - 1))
    sizes = [round(smallest * factor**number) for number in range(kinds)]
    return [(jpeg if number % 2 else png)(size, random) for number, size in enumerate(sizes)]


def png(size: int, random: Random) -> Picture:
    """A PNG of noise, so that it does not shrink; the rest is a chunk that readers pass over."""
    pixels = max(1, (size - 200) // 3)
    width = max(1, math.isqrt(pixels))
    height = max(1, pixels // (width + 1))
    rows = b"".join(b"\0" + random.randbytes(3 * width) for _ in range(height))
    start = b"\x89PNG\r\n\x1a\n" + _chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    )
    rest = _chunk(b"IDAT", zlib.compress(rows, 0)) + _chunk(b"IEND", b"")
    filling = size - len(start) - len(rest) - len(_chunk(b"moNt", b""))
    return Picture("image/png", ".png", start + _chunk(b"moNt", bytes(filling)) + rest)


def jpeg(size: int, random: Random) -> Picture:
    """A grey JPEG; what its size asks for is in comments."""
    frame = struct.pack(">BHHBBBB", 8, 8 * _SIDE, 8 * _SIDE, 1, 1, 0x11, 0)
    tables = b"".join(
        _segment(0xC4, number + bytes([1]) + bytes(15) + b"\0") for number in _HUFFMAN
    )
    head = b"\xff\xd8" + _segment(0xDB, b"\0" + b"\x10" * 64) + _segment(0xC0, frame) + tables
    # Two bits a block, all of them 0, which fills whole bytes.
    scan = _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + bytes(_SIDE * _SIDE * 2 // 8)
    filling = size - len(head) - len(scan) - 2
    return Picture("image/jpeg", ".jpg", head + _comments(filling, random) + scan + b"\xff\xd9")


def _comments(size: int, random: Random) -> bytes:
    comments = []
    while size > 0:
        # A comment takes four bytes itself: never leave fewer.
        length = size if size <= _LONGEST_COMMENT + 4 else min(_LONGEST_COMMENT, size - 8)
        length = min(length, _LONGEST_COMMENT + 2)
        comments.append(_segment(0xFE, random.randbytes(length - 4)))
        size -= length
    return b"".join(comments)


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
