"""`video_frames`: extracts a few frames from a video file, using ffmpeg if installed."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crossaisle.errors import DataError, shorten

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES = 8
"""Number of evenly spaced frames taken from a video."""
SIDE = 448
"""Frames are scaled down to this many pixels on their longer side."""
SECONDS = 60
"""Time limit for ffmpeg; slower files are rejected."""
_STILL = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")
_PNG = b"\x89PNG\r\n\x1a\n"


def is_video(data: bytes) -> bool:
    """Whether a file starts like MP4/MOV, WebM/MKV, AVI or Ogg."""
    if data[4:8] == b"ftyp":
        return data[8:12] not in _STILL
    return data[:4] in (b"\x1aE\xdf\xa3", b"OggS") or (data[:4] == b"RIFF" and data[8:12] == b"AVI ")


def ffmpeg() -> str | None:
    """The ffmpeg program: on the path, or the one bundled with imageio-ffmpeg; else None."""
    found = shutil.which("ffmpeg")
    if found is None:
        try:
            import imageio_ffmpeg

            found = imageio_ffmpeg.get_ffmpeg_exe()
        except (ImportError, RuntimeError):
            return None
    return found


def video_frames(data: bytes, count: int = FRAMES, seconds: float = SECONDS) -> list[Image]:
    """1 to `count` RGB pictures from a video file, evenly spaced over its duration.

    `DataError` gives the reason if there are none. Only the file itself is opened: a playlist inside it
    cannot refer to others.
    """
    program = ffmpeg()
    if program is None:
        raise DataError("video cannot be read without ffmpeg, which the extra 'video' brings")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video"
        file.write_bytes(data)
        start = [program, "-nostdin", "-hide_banner", "-protocol_whitelist", "file,pipe", "-i", str(file)]
        length = _seconds(_run(start, seconds).stderr.decode(errors="replace"))
        # slightly more than `count` frames, as rounding must not lose the only frame of a short video
        rate = count / length if length else 1.0
        scale = f"scale='min({SIDE},iw)':'min({SIDE},ih)':force_original_aspect_ratio=decrease"
        picked = ["-an", "-sn", "-vf", f"fps={rate:.6f}:round=up,{scale}", "-frames:v", str(count)]
        done = _run([*start, *picked, "-f", "image2pipe", "-c:v", "png", "pipe:1"], seconds)
    frames = _pictures(done.stdout)
    if not frames:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no frame in it"]
        reason = lines[-1].replace(str(file), "video")
        raise DataError(f"is no readable video ({shorten(reason)})")
    return frames


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise DataError(f"video takes more than {seconds:g} seconds to read") from None
    except OSError as error:
        raise DataError(f"ffmpeg cannot be run ({error.strerror})") from None


def _seconds(said: str) -> float:
    """The duration that ffmpeg prints; 0 if unknown."""
    found = re.search(r"Duration: (\d+):(\d+):(\d+(?:\.\d+)?)", said)
    return 0.0 if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def _pictures(stream: bytes) -> list[Image]:
    """Splits a stream of concatenated PNG files."""
    from PIL import Image

    out = []
    for part in stream.split(_PNG)[1:]:
        with Image.open(io.BytesIO(_PNG + part), formats=["PNG"]) as picture:
            out.append(picture.convert("RGB"))
    return out
