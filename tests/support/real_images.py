"""Real files of the five formats, made by Pillow and cached."""

import io
from dataclasses import dataclass
from functools import cache

from PIL import Image

FORMATS = {
    "image/jpeg": ("JPEG", "jpg"),
    "image/png": ("PNG", "png"),
    "image/gif": ("GIF", "gif"),
    "image/webp": ("WEBP", "webp"),
    "image/bmp": ("BMP", "bmp"),
}


@dataclass(frozen=True, slots=True)
class RealImage:
    """A file that any decoder opens. `width` and `height` in pixels."""

    filename: str
    content_type: str
    width: int
    height: int
    body: bytes

    @property
    def size(self) -> int:
        return len(self.body)


@cache
def real_image(
    content_type: str = "image/jpeg", width: int = 64, height: int = 48, turned: int = 0
) -> RealImage:
    """A gradient of this type and size; another `turned` makes other bytes."""
    picture = Image.linear_gradient("L").rotate(turned).resize((width, height)).convert("RGB")
    name, suffix = FORMATS[content_type]
    return RealImage(f"photo.{suffix}", content_type, width, height, _saved(picture, name))


def real_images() -> tuple[RealImage, ...]:
    """One file of each format."""
    return tuple(real_image(content_type) for content_type in FORMATS)


@cache
def large_jpeg(width: int = 2400, height: int = 1600) -> RealImage:
    """A JPEG of a camera's weight, several megabytes: noise hardly compresses."""
    picture = Image.effect_noise((width, height), 120).convert("RGB")
    body = _saved(picture, "JPEG", quality=95)
    return RealImage("large.jpg", "image/jpeg", width, height, body)


@cache
def jpeg_behind_profile(profile_bytes: int = 600_000) -> RealImage:
    """A JPEG whose size stands behind a colour profile as long as a print shop's."""
    picture = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    body = _saved(picture, "JPEG", icc_profile=b"\x07" * profile_bytes)
    return RealImage("print.jpg", "image/jpeg", 40, 30, body)


def _saved(picture: Image.Image, image_format: str, **options: object) -> bytes:
    target = io.BytesIO()
    picture.save(target, image_format, **options)
    return target.getvalue()
