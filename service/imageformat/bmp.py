"""BMP: Microsoft's BITMAPFILEHEADER and bitmap headers, and those of OS/2."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from service.imageformat.head import Head, NotAnImage

_CORE = 12
_OS2 = 64
_INFO_HEADERS = frozenset((16, 40, 52, 56, _OS2, 108, 124))
_RGB, _RLE8, _RLE4, _BITFIELDS, _RLE24, _ALPHA = 0, 1, 2, 3, 4, 6
_DEPTHS = {
    _RGB: (1, 2, 4, 8, 16, 24, 32),
    _RLE8: (8,),
    _RLE4: (4,),
    _BITFIELDS: (16, 32),
    _ALPHA: (16, 32),
}
# OS/2 gives two of the numbers another meaning: Huffman coding, and run lengths of 24 bits.
_OS2_DEPTHS = {**_DEPTHS, _BITFIELDS: (1,), _RLE24: (24,)}


@dataclass(frozen=True, slots=True)
class _Bitmap:
    width: int
    height: int
    planes: int
    depth: int
    compression: int = _RGB
    data_bytes: int = 0

    @property
    def raw(self) -> bool:
        """Whether each row is stored in full; one bit a pixel with bit fields is Huffman coding."""
        masked = self.compression in (_BITFIELDS, _ALPHA) and self.depth > 1
        return self.compression == _RGB or masked

    @property
    def pixel_bytes(self) -> int:
        """The least number of bytes that the rows take in the file."""
        row_bytes = (self.width * self.depth + 31) // 32 * 4
        return row_bytes * abs(self.height) if self.raw else max(self.data_bytes, 1)


def _bitmap(file: Head) -> tuple[int, _Bitmap]:
    """The length of the bitmap header and what it says."""
    (length,) = struct.unpack("<I", file.take(14, 4))
    if length == _CORE:
        return length, _Bitmap(*struct.unpack("<HHHH", file.take(18, 8)))
    if length not in _INFO_HEADERS:
        raise NotAnImage(f"BMP: unknown header of {length} bytes")
    header = file.take(18, length - 4)
    layout = "<iiHH" if length == 16 else "<iiHHII"
    return length, _Bitmap(*struct.unpack_from(layout, header))


def measure(file: Head) -> tuple[int, int]:
    """Width and height in pixels. Raises NotAnImage."""
    file_bytes, pixels = struct.unpack("<I4xI", file.take(2, 12))
    # Too small a file size is common (0, or that of the header) and ignored by every reader.
    file.require(file_bytes)
    length, bitmap = _bitmap(file)
    depths = _OS2_DEPTHS if length == _OS2 else _DEPTHS
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


def check(file: Head) -> None:
    """Walk the file as far as it was read. Raises NotAnImage where it is not sound."""
    (pixels,) = struct.unpack("<I", file.take(10, 4))
    _, bitmap = _bitmap(file)
    file.require(pixels + bitmap.pixel_bytes)
