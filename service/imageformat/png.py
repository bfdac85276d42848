"""PNG: W3C Portable Network Graphics, third edition."""

from __future__ import annotations

import struct
import zlib

from service.imageformat.head import Head, NotAnImage

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_INDEXED = 3
_FIRST_CHUNK = 8
_COLOUR_TYPE = 25
_IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def measure(file: Head) -> tuple[int, int]:
    """Width and height in pixels. Raises NotAnImage."""
    length, name, width, height, depth, colour, compression, filtering, interlace, crc = (
        struct.unpack(">I4sIIBBBBBI", file.take(_FIRST_CHUNK, 25))
    )
    if name != b"IHDR" or length != 13:
        raise NotAnImage("PNG: no IHDR chunk after the signature")
    if crc != zlib.crc32(file.data[12:29]):
        raise NotAnImage("PNG: wrong checksum of the IHDR chunk")
    if depth not in _DEPTHS.get(colour, ()):
        raise NotAnImage(f"PNG: bit depth {depth} does not exist for colour type {colour}")
    if compression or filtering or interlace > 1:
        raise NotAnImage("PNG: unknown compression, filter or interlace method")
    return width, height


def check_end(tail: bytes) -> None:
    """Look at the last bytes. Raises NotAnImage where the file was cut off."""
    if _IEND not in tail:
        raise NotAnImage("PNG: the file is cut off before its end")


def check(file: Head) -> None:
    """Walk the file as far as it was read. Raises NotAnImage where it is not sound."""
    indexed = file.data[_COLOUR_TYPE] == _INDEXED
    seen: set[bytes] = set()
    position = _FIRST_CHUNK
    for _ in file.parts():
        length, name = struct.unpack(">I4s", file.take(position, 8))
        if not name.isalpha() or (name == b"IHDR" and seen):
            raise NotAnImage(f"PNG: chunk out of place at byte {position}")
        file.require(position + length + 12)
        if name == b"IDAT" and indexed and b"PLTE" not in seen:
            raise NotAnImage("PNG: no palette before the indexed pixels")
        # An upper case first letter means that no reader can do without the chunk.
        if name[:1].isupper():
            body = file.take(position + 4, length + 8)
            if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "big"):
                raise NotAnImage(f"PNG: wrong checksum of the chunk at byte {position}")
        seen.add(name)
        position += length + 12
        if name == b"IEND":
            break
    if b"IDAT" not in seen:
        raise NotAnImage("PNG: no picture data")
