"""Which image a file is and how large, decided from its first bytes.

Structure is checked as far as those bytes go, to the end of the file when they are all of it.
Pixels are never decoded, so a damaged picture in a sound container passes, and a camera's
orientation tag is not applied: width and height are the stored ones. The module does not know
what type the client declared, nor where the bytes come from.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 256 * 1024
"""How many leading bytes to read.

Only JPEG needs more than a few hundred: a phone writes EXIF with a thumbnail (one segment, up to
64 KiB), XMP (the same), a colour profile, MPF and maker segments before the frame header, and
three full segments and more fit. More would be read for every upload and used by very few:
print profiles (557 KB for US Web Coated SWOP) and depth maps, which `HeaderTooFar` sets apart.
"""

MAX_PIXELS: Final = 16_384 * 16_384
"""The most pixels a picture may claim: 1 GiB as RGBA for whoever decodes it.

A few hundred bytes can claim 4 billion pixels and exhaust the reader's memory. Phones with 200
megapixels and the largest WebP frame (16,383 squared) stay below.
"""

MAX_PARTS: Final = 4_096
"""The most segments, chunks or blocks looked at; what follows them is not checked.

A head full of empty ones holds 87,000 and would stall the event loop for some 45 ms.
"""


class NotAnImage(ValueError):
    """The bytes are not a sound image of a known format; the message says why."""


class HeaderTooFar(NotAnImage):
    """Sound so far, but the size of the picture is not in the part looked at; more may tell."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file is: its media type, and its width and height in pixels."""

    content_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Head:
    """The first bytes of a file of `total` bytes; reading past either end is an error."""

    data: bytes
    total: int

    def past(self, end: int) -> NotAnImage:
        """The error for needing bytes up to `end`: the file is cut, or only the head is."""
        if end > self.total:
            return NotAnImage(f"the file is cut short: {self.total} bytes, at least {end} expected")
        return HeaderTooFar(
            "the metadata before the picture is too long: "
            f"its size is not within the first {len(self.data)} bytes"
        )

    def take(self, start: int, count: int) -> bytes:
        if start + count > len(self.data):
            raise self.past(start + count)
        return self.data[start : start + count]

    def parts(self) -> Iterator[int]:
        """Count the parts walked over, up to MAX_PARTS."""
        yield from range(MAX_PARTS)
        raise HeaderTooFar(f"more than {MAX_PARTS} parts before the picture")

    def require(self, end: int) -> None:
        """Refuse a part that ends after the file, even where its bytes were not read."""
        if end > self.total:
            raise self.past(end)


def read_header(head: bytes, total_bytes: int) -> ImageHeader:
    """Name the format and size of an object of `total_bytes`, given its first bytes.

    `head` is at least the first min(HEAD_BYTES, total_bytes) bytes. When it is the whole object,
    the object must also be complete. Raises NotAnImage, and nothing else, on any bytes.
    """
    if not head:
        raise NotAnImage("the file is empty")
    if len(head) > total_bytes:
        raise NotAnImage(f"{len(head)} bytes were read of a file said to have {total_bytes}")
    file = _Head(head, total_bytes)
    for signature, content_type, measure, check in _FORMATS:
        if signature.match(head):
            width, height = measure(file)
            _refuse_impossible(width, height)
            # Past the end of the head (or too many parts) there is nothing left to check.
            with suppress(HeaderTooFar):
                check(file)
            return ImageHeader(content_type, width, height)
    raise NotAnImage("unknown signature: not a JPEG, PNG, GIF, WebP or BMP file")


def _refuse_impossible(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise NotAnImage(f"impossible dimensions: {width} x {height}")
    if width * height > MAX_PIXELS:
        raise NotAnImage(f"{width} x {height} is more than {MAX_PIXELS} pixels")


# JPEG: ITU-T T.81, annex B.

_JPEG_MARKER = re.compile(rb"\xff+([^\xff])")  # any number of fill bytes may precede a marker
_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_SOS, _EOI = 0xDA, 0xD9
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Frames, tables (DHT, DAC, DQT, DNL, DRI), scans, hierarchy (DHP, EXP), APPn, JPGn and comments.
_JPEG_SEGMENTS = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xFF))) - {0xC8}


def _jpeg_segments(file: _Head) -> Iterator[tuple[int, int, int]]:
    """Each segment's marker and the start and end of its payload; EOI, which has none, is last."""
    position = 2
    for _ in file.parts():
        found = _JPEG_MARKER.match(file.data, position)
        if found is None:
            if file.data[position : position + 1] in (b"", b"\xff"):
                raise file.past(len(file.data) + 1)
            raise NotAnImage(f"JPEG: no marker at byte {position}")
        marker, position = found[1][0], found.end()
        if marker == _EOI:
            yield marker, position, position
            return
        if marker not in _JPEG_SEGMENTS:
            raise NotAnImage(f"JPEG: marker 0x{marker:02X} out of place at byte {position}")
        length = int.from_bytes(file.take(position, 2), "big")
        if length < 2:
            raise NotAnImage(f"JPEG: segment of impossible length {length} at byte {position}")
        end = position + length
        file.require(end)
        yield marker, position + 2, end
        position = end
        if marker == _SOS:
            scan_end = _JPEG_SCAN_END.search(file.data, position)
            if scan_end is None:
                raise file.past(max(end, len(file.data)) + 1)
            position = scan_end.start()


def _measure_jpeg(file: _Head) -> tuple[int, int]:
    for marker, start, end in _jpeg_segments(file):
        if marker in _SOF:
            return _jpeg_frame(file.take(start, end - start))
        if marker == _SOS:
            break
    raise NotAnImage("JPEG: no frame header before the picture data")


def _jpeg_frame(frame: bytes) -> tuple[int, int]:
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


def _check_jpeg(file: _Head) -> None:
    # What follows EOI is left alone: cameras put previews, gain maps and padding there.
    markers = [marker for marker, _, _ in _jpeg_segments(file)]
    if _SOS not in markers:
        raise NotAnImage("JPEG: no picture data")
    if sum(marker in _SOF for marker in markers) > 1:
        raise NotAnImage("JPEG: more than one frame")


# PNG: W3C Portable Network Graphics, third edition.

_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PNG_INDEXED = 3
_PNG_FIRST_CHUNK = 8
_PNG_COLOUR_TYPE = 25


def _measure_png(file: _Head) -> tuple[int, int]:
    length, name, width, height, depth, colour, compression, filtering, interlace, crc = (
        struct.unpack(">I4sIIBBBBBI", file.take(_PNG_FIRST_CHUNK, 25))
    )
    if name != b"IHDR" or length != 13:
        raise NotAnImage("PNG: no IHDR chunk after the signature")
    if crc != zlib.crc32(file.data[12:29]):
        raise NotAnImage("PNG: wrong checksum of the IHDR chunk")
    if depth not in _PNG_DEPTHS.get(colour, ()):
        raise NotAnImage(f"PNG: bit depth {depth} does not exist for colour type {colour}")
    if compression or filtering or interlace > 1:
        raise NotAnImage("PNG: unknown compression, filter or interlace method")
    return width, height


def _check_png(file: _Head) -> None:
    indexed = file.data[_PNG_COLOUR_TYPE] == _PNG_INDEXED
    seen: set[bytes] = set()
    position = _PNG_FIRST_CHUNK
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


# GIF: CompuServe GIF89a.

_GIF_ZEROS = re.compile(rb"\x00*")
_GIF_EXTENSION, _GIF_FRAME, _GIF_TRAILER = 0x21, 0x2C, 0x3B
_GIF_GRAPHIC_CONTROL = 0xF9
_GIF_EXTENSIONS = frozenset((0x01, _GIF_GRAPHIC_CONTROL, 0xFE, 0xFF))
_GIF_MAX_CODE_BITS = 11


def _gif_frames(file: _Head) -> Iterator[tuple[int, int]]:
    """The right and bottom edge of each frame, up to the trailer."""
    position = 13 + _gif_palette_bytes(file.take(10, 1)[0])
    for _ in file.parts():
        # Some encoders end a block twice; every reader skips the extra zeros.
        zeros = _GIF_ZEROS.match(file.data, position)
        position = zeros.end() if zeros else position
        block = file.take(position, 1)[0]
        if block == _GIF_TRAILER:
            return
        if block == _GIF_EXTENSION:
            label, size = file.take(position + 1, 2)
            if label not in _GIF_EXTENSIONS or (label == _GIF_GRAPHIC_CONTROL and size != 4):
                raise NotAnImage(f"GIF: unknown extension at byte {position}")
            position += 2
        elif block == _GIF_FRAME:
            left, top, width, height, flags = struct.unpack("<4HB", file.take(position + 1, 9))
            if not (width and height):
                raise NotAnImage(f"GIF: frame of impossible dimensions {width} x {height}")
            position += 10 + _gif_palette_bytes(flags)
            if not 1 <= file.take(position, 1)[0] <= _GIF_MAX_CODE_BITS:
                raise NotAnImage(f"GIF: impossible code size at byte {position}")
            position += 1
            yield left + width, top + height
        else:
            raise NotAnImage(f"GIF: unknown block 0x{block:02X} at byte {position}")
        position = _gif_data_end(file, position)


def _gif_palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_data_end(file: _Head, position: int) -> int:
    """Where a chain of sub-blocks, each led by its length, ends."""
    data = file.data
    while position < len(data):
        length = data[position]
        position += length + 1
        if not length:
            return position
    raise file.past(position + 1)


def _measure_gif(file: _Head) -> tuple[int, int]:
    width, height = struct.unpack("<HH", file.take(6, 4))
    if not (width and height):
        return width, height
    for right, bottom in _gif_frames(file):
        # Readers enlarge a screen that is smaller than its first frame.
        return max(width, right), max(height, bottom)
    raise NotAnImage("GIF: no picture data")


def _check_gif(file: _Head) -> None:
    for _ in _gif_frames(file):
        pass


# WebP: RFC 9649, with RFC 6386 for the lossy bitstream.

_WEBP_LOSSY, _WEBP_LOSSLESS, _WEBP_EXTENDED, _WEBP_FRAME = b"VP8 ", b"VP8L", b"VP8X", b"ANMF"
_WEBP_FIRST_CHUNK = 12
_WEBP_ANIMATED = 0x02


def _webp_chunks(file: _Head) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name, the start of its payload and its length."""
    (riff_size,) = struct.unpack("<I", file.take(4, 4))
    riff_end = riff_size + 8
    file.require(riff_end)
    position = _WEBP_FIRST_CHUNK
    for _ in file.parts():
        if position >= riff_end:
            return
        name, length = struct.unpack("<4sI", file.take(position, 8))
        if position + 8 + length > riff_end:
            raise NotAnImage(f"WebP: chunk at byte {position} is longer than the file says it is")
        yield name, position + 8, length
        position += 8 + length + (length & 1)


def _measure_webp(file: _Head) -> tuple[int, int]:
    for name, start, length in _webp_chunks(file):
        if name == _WEBP_EXTENDED and length >= 10:
            canvas = file.take(start, 10)
            return (
                int.from_bytes(canvas[4:7], "little") + 1,
                int.from_bytes(canvas[7:10], "little") + 1,
            )
        if name in (_WEBP_LOSSY, _WEBP_LOSSLESS):
            return _webp_bitstream(file, name, start, length)
        break
    raise NotAnImage("WebP: does not start with a picture chunk")


def _webp_bitstream(file: _Head, name: bytes, start: int, length: int) -> tuple[int, int]:
    if name == _WEBP_LOSSLESS and length >= 5:
        signature, bits = struct.unpack("<BI", file.take(start, 5))
        if signature == 0x2F and not bits >> 29:
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == _WEBP_LOSSY and length >= 10:
        low, high, start_code, width, height = struct.unpack("<HB3sHH", file.take(start, 10))
        tag = low | high << 16
        key_frame, version, shown = not tag & 1, tag >> 1 & 7, tag >> 4 & 1
        first_partition = tag >> 5
        if key_frame and version <= 3 and shown and start_code == b"\x9d\x01\x2a":
            if first_partition > length - 10:
                raise NotAnImage("WebP: the picture data is cut short")
            return width & 0x3FFF, height & 0x3FFF
    raise NotAnImage("WebP: impossible picture header")


def _check_webp(file: _Head) -> None:
    chunks = _webp_chunks(file)
    name, start, _ = next(chunks)
    if name != _WEBP_EXTENDED:
        return
    canvas = _measure_webp(file)
    animated = bool(file.data[start] & _WEBP_ANIMATED)
    for name, start, length in chunks:
        if animated and name == _WEBP_FRAME:
            return
        if not animated and name in (_WEBP_LOSSY, _WEBP_LOSSLESS):
            # Otherwise a small canvas could hide a picture of more than MAX_PIXELS.
            if _webp_bitstream(file, name, start, length) != canvas:
                raise NotAnImage("WebP: the picture does not have the size of its canvas")
            return
    raise NotAnImage("WebP: no picture data")


# BMP: Microsoft's BITMAPFILEHEADER and bitmap headers, and those of OS/2.

_BMP_CORE = 12
_BMP_OS2 = 64
_BMP_INFO_HEADERS = frozenset((16, 40, 52, 56, _BMP_OS2, 108, 124))
_BMP_RGB, _BMP_RLE8, _BMP_RLE4, _BMP_BITFIELDS, _BMP_RLE24, _BMP_ALPHA = 0, 1, 2, 3, 4, 6
_BMP_DEPTHS = {
    _BMP_RGB: (1, 2, 4, 8, 16, 24, 32),
    _BMP_RLE8: (8,),
    _BMP_RLE4: (4,),
    _BMP_BITFIELDS: (16, 32),
    _BMP_ALPHA: (16, 32),
}
# OS/2 gives two of the numbers another meaning: Huffman coding, and run lengths of 24 bits.
_BMP_OS2_DEPTHS = {**_BMP_DEPTHS, _BMP_BITFIELDS: (1,), _BMP_RLE24: (24,)}


@dataclass(frozen=True, slots=True)
class _Bitmap:
    width: int
    height: int
    planes: int
    depth: int
    compression: int = _BMP_RGB
    data_bytes: int = 0

    @property
    def raw(self) -> bool:
        """Whether each row is stored in full; one bit a pixel with bit fields is Huffman coding."""
        masked = self.compression in (_BMP_BITFIELDS, _BMP_ALPHA) and self.depth > 1
        return self.compression == _BMP_RGB or masked

    @property
    def pixel_bytes(self) -> int:
        """The least number of bytes that the rows take in the file."""
        row_bytes = (self.width * self.depth + 31) // 32 * 4
        return row_bytes * abs(self.height) if self.raw else max(self.data_bytes, 1)


def _bitmap(file: _Head) -> tuple[int, _Bitmap]:
    """The length of the bitmap header and what it says."""
    (length,) = struct.unpack("<I", file.take(14, 4))
    if length == _BMP_CORE:
        return length, _Bitmap(*struct.unpack("<HHHH", file.take(18, 8)))
    if length not in _BMP_INFO_HEADERS:
        raise NotAnImage(f"BMP: unknown header of {length} bytes")
    header = file.take(18, length - 4)
    layout = "<iiHH" if length == 16 else "<iiHHII"
    return length, _Bitmap(*struct.unpack_from(layout, header))


def _measure_bmp(file: _Head) -> tuple[int, int]:
    file_bytes, pixels = struct.unpack("<I4xI", file.take(2, 12))
    # Too small a file size is common (0, or that of the header) and ignored by every reader.
    file.require(file_bytes)
    length, bitmap = _bitmap(file)
    depths = _BMP_OS2_DEPTHS if length == _BMP_OS2 else _BMP_DEPTHS
    if bitmap.planes != 1 or bitmap.depth not in depths.get(bitmap.compression, ()):
        raise NotAnImage(
            f"BMP: no such bitmap: {bitmap.planes} planes, {bitmap.depth} bits a pixel, "
            f"compression {bitmap.compression}"
        )
    if pixels < 14 + length:
        raise NotAnImage("BMP: the pixels overlap the header")
    if bitmap.height < 0 and not bitmap.raw:
        raise NotAnImage("BMP: compressed rows cannot run top-down")
    return bitmap.width, abs(bitmap.height)  # a negative height means rows from the top


def _check_bmp(file: _Head) -> None:
    (pixels,) = struct.unpack("<I", file.take(10, 4))
    _, bitmap = _bitmap(file)
    file.require(pixels + bitmap.pixel_bytes)


_FORMATS: tuple[
    tuple[re.Pattern[bytes], str, Callable[[_Head], tuple[int, int]], Callable[[_Head], None]],
    ...,
] = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", _measure_jpeg, _check_jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", _measure_png, _check_png),
    (re.compile(rb"GIF8[79]a"), "image/gif", _measure_gif, _check_gif),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp", _measure_webp, _check_webp),
    (re.compile(rb"BM"), "image/bmp", _measure_bmp, _check_bmp),
)
