"""Videos: a few frames, their mean as the vector, damage set aside."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders.images import video
from crossaisle.encoders.images.image_encoder import ImageEncoder
from crossaisle.encoders.images.video import is_video, video_frames
from crossaisle.errors import DataError
from tests.encoders.tiny_pictures import picture_encoder, png

needs_ffmpeg = pytest.mark.skipif(video.ffmpeg() is None, reason="needs ffmpeg or imageio-ffmpeg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_encoder(tmp_path_factory.mktemp("tiny-image"))


def clip(path: Path, *, seconds: float = 2.0, kind: str = "mp4") -> bytes:
    """Red in the first half, blue in the second."""
    program = video.ffmpeg()
    assert program is not None
    halves = [f"color=c={c}:s=64x48:d={seconds / 2}:r=10" for c in ("red", "blue")]
    inputs = [word for half in halves for word in ("-f", "lavfi", "-i", half)]
    file = path / f"clip.{kind}"
    join = ["-filter_complex", "[0][1]concat=n=2:v=1:a=0", "-c:v", "mpeg4" if kind != "webm" else "libvpx"]
    subprocess.run([program, "-y", *inputs, *join, str(file)], capture_output=True, check=True)
    return file.read_bytes()


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["mp4", "avi", "mkv"])
def test_frames_are_spread_over_the_length(tmp_path: Path, kind: str) -> None:
    data = clip(tmp_path, kind=kind)
    assert is_video(data)
    frames = video_frames(data, 4)
    assert 2 <= len(frames) <= 4
    first, last = (np.asarray(frame).mean(axis=(0, 1)) for frame in (frames[0], frames[-1]))
    assert first[0] > 150 > 100 > first[2]
    assert last[2] > 150 > 100 > last[0]
    assert frames[0].size == (64, 48)


@needs_ffmpeg
def test_a_short_video_has_a_frame(tmp_path: Path) -> None:
    assert len(video_frames(clip(tmp_path, seconds=0.2), 8)) >= 1


@needs_ffmpeg
def test_a_video_is_the_mean_of_its_frames(tmp_path: Path, folder: Path) -> None:
    data = clip(tmp_path)
    encoder = ImageEncoder(folder, cache=tmp_path)
    vectors = encoder.encode([data, png((254, 0, 0)), png((0, 0, 254)), data[: len(data) // 2]])
    mean = encoder.frames(video_frames(data)).mean(axis=0)
    np.testing.assert_allclose(vectors[0], mean / np.linalg.norm(mean), atol=2e-3)
    assert list(encoder.problems) == [3]
    assert "not a readable video" in encoder.problems[3]
    assert not vectors[3].any()


def test_without_ffmpeg_it_is_set_aside(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "ffmpeg", lambda: None)
    encoder = ImageEncoder(folder, cache=tmp_path)
    assert not encoder.encode([b"\0\0\0\x20ftypisom" + b"\0" * 50])[0].any()
    assert "extra 'video'" in encoder.problems[0]


def test_a_video_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 5\n")
    slow.chmod(0o755)
    monkeypatch.setattr(video, "ffmpeg", lambda: str(slow))
    with pytest.raises(DataError, match="more than"):
        video_frames(b"\0\0\0\x20ftypisom", seconds=0.1)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x20ftypheic", png((1, 2, 3)), b"RIFF\0\0\0\0WEBP"])
def test_pictures_are_no_videos(data: bytes) -> None:
    assert not is_video(data)
