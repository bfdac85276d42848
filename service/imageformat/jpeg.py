"""JPEG: ITU-T T.81, annex B."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from service.imageformat.head import Head, NotAnImage

_MARKER = re.compile(rb"\xff+([^\xff])")  # any number of fill bytes may precede a marker
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SOS, _EOI = 0xDA, 0xD9
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Frames, tables (DHT, DAC, DQT, DNL, DRI), scans, hierarchy (DHP, EXP), APPn, JPGn and comments.
_SEGMENTS = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xFF))) - {0xC8}


def _segments(file: Head) -> Iterator[tuple[int, int, int]]:
    """Each segment's marker and the start and end of its payload; EOI, which has none, is last."""
    position = 2
    for _ in file.parts():
        found = _MARKER.match(file.data, position)
        if found is None:
            if file.data[position : position + 1] in (b"", b"\xff"):
                raise file.past(len(file.data) + 1)
            raise NotAnImage(f"JPEG: no marker at byte {position}")
        marker, position = found[1][0], found.end()
        if marker == _EOI:
            yield marker, position, position
            return
        if marker not in _SEGMENTS:
            raise NotAnImage(f"JPEG: marker 0x{marker:02X} out of place at byte {position}")
        length = int.from_bytes(file.take(position, 2), "big")
        if length < 2:
            raise NotAnImage(f"JPEG: segment of impossible length {length} at byte {position}")
        end = position + length
        file.require(end)
        yield marker, position + 2, end
        position = end
        if marker == _SOS:
            scan_end = _SCAN_END.search(file.data, position)
            if scan_end is None:
                raise file.past(max(end, len(file.data)) + 1)
            position = scan_end.start()


def measure(file: Head) -> tuple[int, int]:
    """Width and height in pixels. Raises NotAnImage."""
    for marker, start, end in _segments(file):
        if marker in _SOF:
            return _frame(file.take(start, end - start))
        if marker == _SOS:
            break
    raise NotAnImage("JPEG: no frame header before the picture data")


def _frame(frame: bytes) -> tuple[int, int]:
    if len(frame) < 6 or len(frame) != 6 + 3 * frame[5]:
        raise NotAnImage("JPEG: frame header of the wrong length")
    precision, height, width, components = struct.unpack_from(">BHHB", frame)
    sampling = frame[7::3]
    if not (
        2 <= precision <= 16
        and 1 <= components <= 4
        and all(1 <= factor >> 4 <= 4 and 1 <= factor & 15 <= 4 for factor in sampling)
    ):
        raise NotAnImage("JPEG: impossible frame header")
    # A height of 0 announces a DNL marker behind the scan, which few decoders read; it is refused
    # with all other dimensions of 0.
    return width, height


def check_end(tail: bytes) -> None:
    """Look at the last bytes. Raises NotAnImage where the file was cut off."""
    # Behind the picture's EOI may come previews, each with one of its own, and padding. Coded
    # pixels never hold this pair, so one that was cut off has none in all of its end.
    if tail.rfind(b"\xff\xd9") < 0:  # from the end, where it nearly always is
        raise NotAnImage("JPEG: the file is cut off before its end")


def check(file: Head) -> None:
    """Walk the file as far as it was read. Raises NotAnImage where it is not sound."""
    # What follows EOI is left alone: cameras put previews, gain maps and padding there.
    markers = [marker for marker, _, _ in _segments(file)]
    if _SOS not in markers:
        raise NotAnImage("JPEG: no picture data")
    if sum(marker in _SOF for marker in markers) > 1:
        raise NotAnImage("JPEG: more than one frame")
