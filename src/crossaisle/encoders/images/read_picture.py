"""`read_picture`: decodes bytes, a path or a URL into pixels, or gives the reason why it cannot."""

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
"""The bytes of a file, its path, or its http(s) URL."""
FORMATS = ("JPEG", "PNG", "WEBP")
MAX_BYTES = 20 << 20
MAX_PIXELS = 50_000_000
"""Larger pictures are rejected before decoding: a small file may decode to gigabytes."""
MAX_SIDE = 65_535
"""Maximum side in pixels, that of JPEG: rows of one pixel take ten times the memory of their pixels."""
MAX_SCANS = 100
"""Maximum number of scans of a JPEG. A progressive one has about ten, and decoding even a tiny scan passes
over the whole picture."""
MAX_SEGMENTS = 10_000
"""Maximum number of segments of a JPEG, scans or not."""
SECONDS = 8.0
"""Processor seconds allowed per picture; the largest allowed ones take three."""
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Does not include preceding fill bytes: matching them takes quadratic time."""
_ALONE = b"\x01\xd8\xd9"
"""JPEG markers that are not followed by a length."""


def require_pillow() -> None:
    """Raises `MissingDependencyError` with the install command if pillow is not installed."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise MissingDependencyError("pillow", "image", "reading pictures") from None


def picture_bytes(source: Picture, *, hosts: Collection[str] = ()) -> bytes:
    """The bytes of a picture file. URLs are fetched from `hosts` only; `DataError` gives the reason for a
    failure."""
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
    """Decodes JPEG, PNG or WebP to an RGB picture, with transparency on white. `DataError` gives the reason
    for a failure.

    `pixels`: maximum to decode. `seconds`: of processor time.
    """
    require_pillow()
    from PIL import Image, ImageOps

    if data.startswith(b"\xff\xd8"):
        _check_scans(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pillow warns of sizes that are rejected below
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
        # Our own words: a decoder's message may contain bytes of the file, which may come from anyone.
        why = " (it is cut off)" if "truncated" in str(error).lower() else ""
        raise DataError(f"is no readable {', '.join(FORMATS)} picture{why}") from None


class _Timed(io.BytesIO):
    """A file that raises an error in its reader after some seconds of processor time.

    Decoders read files in chunks of 64 KB, so the check runs often enough.
    """

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._seconds, self._end = seconds, time.thread_time() + seconds

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self._end:
            raise DataError(f"picture takes more than {self._seconds:g} s to decode")
        return super().read(size)


def _check_scans(data: bytes) -> None:
    """`DataError` for a JPEG with more scans or segments than any camera or program writes."""
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
            raise DataError(f"picture has more than {MAX_SCANS} scans: save it again, as a usual JPEG")
    raise DataError(f"picture has more than {MAX_SEGMENTS:,} segments: save it again, as a usual JPEG")
