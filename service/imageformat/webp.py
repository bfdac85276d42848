"""WebP: RFC 9649, with RFC 6386 for the lossy bitstream."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from service.imageformat.head import Head, NotAnImage

_LOSSY, _LOSSLESS, _EXTENDED, _FRAME = b"VP8 ", b"VP8L", b"VP8X", b"ANMF"
_FIRST_CHUNK = 12
_ANIMATED = 0x02


def _chunks(file: Head) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name, the start of its payload and its length."""
    (riff_size,) = struct.unpack("<I", file.take(4, 4))
    riff_end = riff_size + 8
    file.require(riff_end)
    position = _FIRST_CHUNK
    for _ in file.parts():
        if position >= riff_end:
            return
        name, length = struct.unpack("<4sI", file.take(position, 8))
        if position + 8 + length > riff_end:
            raise NotAnImage(f"WebP: chunk at byte {position} is longer than the file says it is")
        yield name, position + 8, length
        position += 8 + length + (length & 1)


def measure(file: Head) -> tuple[int, int]:
    """Width and height in pixels. Raises NotAnImage."""
    for name, start, length in _chunks(file):
        if name == _EXTENDED and length >= 10:
            canvas = file.take(start, 10)
            return (
                int.from_bytes(canvas[4:7], "little") + 1,
                int.from_bytes(canvas[7:10], "little") + 1,
            )
        if name in (_LOSSY, _LOSSLESS):
            return _bitstream(file, name, start, length)
        break
    raise NotAnImage("WebP: does not start with a picture chunk")


def _bitstream(file: Head, name: bytes, start: int, length: int) -> tuple[int, int]:
    if name == _LOSSLESS and length >= 5:
        signature, bits = struct.unpack("<BI", file.take(start, 5))
        if signature == 0x2F and not bits >> 29:
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == _LOSSY and length >= 10:
        low, high, start_code, width, height = struct.unpack("<HB3sHH", file.take(start, 10))
        tag = low | high << 16
        key_frame, version, shown = not tag & 1, tag >> 1 & 7, tag >> 4 & 1
        first_partition = tag >> 5
        if key_frame and version <= 3 and shown and start_code == b"\x9d\x01\x2a":
            if first_partition > length - 10:
                raise NotAnImage("WebP: the picture data is cut short")
            return width & 0x3FFF, height & 0x3FFF
    raise NotAnImage("WebP: impossible picture header")


def check(file: Head) -> None:
    """Walk the file as far as it was read. Raises NotAnImage where it is not sound."""
    chunks = _chunks(file)
    name, start, _ = next(chunks)
    if name != _EXTENDED:
        return
    canvas = measure(file)
    animated = bool(file.data[start] & _ANIMATED)
    for name, start, length in chunks:
        if animated and name == _FRAME:
            return
        if not animated and name in (_LOSSY, _LOSSLESS):
            # Otherwise a small canvas could hide a picture of more than MAX_PIXELS.
            if _bitstream(file, name, start, length) != canvas:
                raise NotAnImage("WebP: the picture does not have the size of its canvas")
            return
    raise NotAnImage("WebP: no picture data")
