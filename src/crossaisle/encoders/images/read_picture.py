"""`read_picture`: bytes, a path or an address become pixels; whatever is no picture becomes a reason."""

from __future__ import annotations

import io
import re
import time
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
MAX_SIDE = 65_535
"""Pixels, as many as a JPEG can have: rows of one pixel take ten times the memory of their pixels."""
MAX_SCANS = 100
"""Of a JPEG: a progressive one has about ten; each is decoded over the whole picture, however short."""
MAX_SEGMENTS = 10_000
"""Of a JPEG, scans or not."""
SECONDS = 8.0
"""Of a processor, for one picture; the largest that are allowed take three."""
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Without the filling before it: to look for that, too, takes time by the square of its length."""
_ALONE = b"\x01\xd8\xd9"
"""Markers of a JPEG that no length follows."""


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


def read_picture(data: bytes, *, pixels: int = MAX_PIXELS, seconds: float = SECONDS) -> Image:
    """An RGB picture from a JPEG, PNG or WebP file; transparency becomes white. `DataError` says why not.

    `pixels`: more are not unpacked. `seconds`: of a processor.
    """
    require_pillow()
    from PIL import Image, ImageOps

    if data.startswith(b"\xff\xd8"):
        _check_scans(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pillow warns of sizes that are refused below
            picture = Image.open(_Timed(data, seconds), formats=FORMATS)
            if picture.width * picture.height > pixels:
                raise DataError(f"picture has more than {pixels // 1_000_000} million pixels")
            if max(picture.size) > MAX_SIDE:
                raise DataError(f"picture is more than {MAX_SIDE:,} pixels high or wide")
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
        # In words of our own: the decoders' hold bytes of the file, which may come from anywhere.
        why = " (it is cut off)" if "truncated" in str(error).lower() else ""
        raise DataError(f"is not a readable {', '.join(FORMATS)} picture{why}") from None


class _Timed(io.BytesIO):
    """A file that ends the work of its reader after some seconds of the processor.

    Decoders ask for a file bit by bit (64 KB), so none is away from here for long.
    """

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._seconds, self._end = seconds, time.thread_time() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end:
            raise DataError(f"picture takes more than {self._seconds:g} s to decode")
        return super().read(size)


def _check_scans(data: bytes) -> None:
    """`DataError` for a JPEG of more scans or segments than any camera or program writes."""
    place, scans = 2, 0
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, place)
        if found is None:
            return
        place, kind = found.end(), data[found.end() - 1]
        if kind not in _ALONE:
            scans += kind == 0xDA
            place += max(int.from_bytes(data[place : place + 2], "big"), 2)
        if scans > MAX_SCANS:
            raise DataError(f"picture has more than {MAX_SCANS} scans: save it again as an ordinary JPEG")
    raise DataError(f"picture has more than {MAX_SEGMENTS:,} segments: save it again as an ordinary JPEG")
