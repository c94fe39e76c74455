"""`read_picture`: bytes, a path or an address become pixels; whatever is no picture becomes a reason."""

from __future__ import annotations

import io
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from crossaisle.encoders.fetching import Hosts, fetch
from crossaisle.errors import DataError, MissingDependencyError, shorten

if TYPE_CHECKING:
    from PIL.Image import Image

Picture = bytes | str | Path
"""The bytes of a file, its path, or its http(s) address."""
FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 20 << 20
MAX_PIXELS = 50_000_000
"""Larger pictures are set aside before they are unpacked: a small file can unpack to gigabytes."""


def require_pillow() -> None:
    """Raises `MissingDependencyError` with the install command unless pillow is there."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise MissingDependencyError("pillow", "image", "reading pictures") from None


def picture_bytes(source: Picture, *, hosts: Collection[str] = ()) -> bytes:
    """The file behind a picture. Addresses are fetched only from `hosts`; `DataError` says why not."""
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, str) and "://" in source:
        data = fetch(source, Hosts.of(hosts), largest=MAX_BYTES)
    else:
        try:
            path = Path(source)
            if path.stat().st_size > MAX_BYTES:
                raise DataError(f"picture is larger than {MAX_BYTES >> 20} MB", file=str(path))
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            raise DataError(
                f"picture cannot be read ({getattr(error, 'strerror', None) or error})",
                file=shorten(str(source)),
            ) from None
    if not data:
        raise DataError("picture is empty")
    if len(data) > MAX_BYTES:
        raise DataError(f"picture is larger than {MAX_BYTES >> 20} MB")
    return data


def read_picture(data: bytes, *, pixels: int = MAX_PIXELS) -> Image:
    """An RGB picture from a JPEG, PNG or WebP file; transparency becomes white. `DataError` says why not.

    `pixels`: more are not unpacked.
    """
    require_pillow()
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pillow warns of sizes that are refused below
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            if picture.width * picture.height > pixels:
                raise DataError(f"picture has more than {pixels // 1_000_000} million pixels")
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            rgba = upright.convert("RGBA")
            white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
            return Image.alpha_composite(white, rgba).convert("RGB")
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"picture has more than {pixels // 1_000_000} million pixels") from None
    except Exception as error:  # decoders raise a dozen types for damaged files
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"is no readable {', '.join(FORMATS)} picture ({shorten(first)})") from None
