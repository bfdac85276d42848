"""GIF: CompuServe GIF89a."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from service.imageformat.head import Head, NotAnImage

_ZEROS = re.compile(rb"\x00*")
_EXTENSION, _FRAME, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9
_EXTENSIONS = frozenset((0x01, _GRAPHIC_CONTROL, 0xFE, 0xFF))
_MAX_CODE_BITS = 11


def _frames(file: Head) -> Iterator[tuple[int, int]]:
    """The right and bottom edge of each frame, up to the trailer."""
    position = 13 + _palette_bytes(file.take(10, 1)[0])
    for _ in file.parts():
        # Some encoders end a block twice; every reader skips the extra zeros.
        zeros = _ZEROS.match(file.data, position)
        position = zeros.end() if zeros else position
        block = file.take(position, 1)[0]
        if block == _TRAILER:
            return
        if block == _EXTENSION:
            label, size = file.take(position + 1, 2)
            if label not in _EXTENSIONS or (label == _GRAPHIC_CONTROL and size != 4):
                raise NotAnImage(f"GIF: unknown extension at byte {position}")
            position += 2
        elif block == _FRAME:
            left, top, width, height, flags = struct.unpack("<4HB", file.take(position + 1, 9))
            if not (width and height):
                raise NotAnImage(f"GIF: frame of impossible dimensions {width} x {height}")
            position += 10 + _palette_bytes(flags)
            if not 1 <= file.take(position, 1)[0] <= _MAX_CODE_BITS:
                raise NotAnImage(f"GIF: impossible code size at byte {position}")
            position += 1
            yield left + width, top + height
        else:
            raise NotAnImage(f"GIF: unknown block 0x{block:02X} at byte {position}")
        position = _data_end(file, position)


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _data_end(file: Head, position: int) -> int:
    """Where a chain of sub-blocks, each led by its length, ends."""
    data = file.data
    while position < len(data):
        length = data[position]
        position += length + 1
        if not length:
            return position
    raise file.past(position + 1)


def measure(file: Head) -> tuple[int, int]:
    """Width and height in pixels. Raises NotAnImage."""
    width, height = struct.unpack("<HH", file.take(6, 4))
    if not (width and height):
        return width, height
    for right, bottom in _frames(file):
        # Readers enlarge a screen that is smaller than its first frame.
        return max(width, right), max(height, bottom)
    raise NotAnImage("GIF: no picture data")


def check(file: Head) -> None:
    """Walk the file as far as it was read. Raises NotAnImage where it is not sound."""
    width, height = measure(file)
    for right, bottom in _frames(file):
        # Some readers enlarge the screen for later frames, too, to sizes that nobody measured.
        if right > width or bottom > height:
            raise NotAnImage(f"GIF: a frame reaches to {right} x {bottom} of {width} x {height}")


def check_end(tail: bytes) -> None:
    """Look at the last bytes. Raises NotAnImage where the file was cut off."""
    # The trailer behind a block's end; some encoders pad.
    if not tail.rstrip(b"\0").endswith(b"\0;"):
        raise NotAnImage("GIF: the file is cut off before its end")
