"""`ImageEncoder`: encodes pictures as vectors with onnxruntime. No torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from crossaisle.artifact import sha256
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.cache import VectorFile, content_key
from crossaisle.encoders.images.read_picture import Picture, picture_bytes, read_picture, require_pillow
from crossaisle.encoders.images.video import is_video, video_frames
from crossaisle.encoders.mapped import read_session
from crossaisle.encoders.weights import image_folder, onnx_file
from crossaisle.errors import DataError, FetchError
from crossaisle.fetch import cache_dir
from crossaisle.progress import bar

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 224
SETTINGS = "picture.json"
HUES, SHADES = 12, 3
COLOURS = 2 * HUES * SHADES * SHADES
"""Histogram bins (hue x saturation x brightness) of the whole picture, then of its centre."""
WIDTHS = (1280, 496, COLOURS)
"""The parts of a vector, each scaled to the same length: last layer, pooled earlier blocks, colours."""


@dataclass
class ImageEncoder:
    """EfficientNet-Lite0 (Tan and Le, ICML 2019): features of objects, texture and colours.

    `folder` contains `model.onnx`, as written by `crossaisle models pull efficientnet-lite0`. Damaged or
    rejected pictures get a row of zeros and an entry in `problems`.
    """

    folder: Path
    _: KW_ONLY
    hosts: Collection[str] = ()
    """Hosts from which pictures may be fetched; by default none."""
    batch: int = 16
    threads: int = 2
    cache: Path | None = None
    """Folder for cached vectors; by default the user's cache folder."""
    outputs: ClassVar[int] = 2
    """Number of outputs of the ONNX file."""
    problems: dict[int, str] = field(default_factory=dict, init=False)
    """Index of a picture in the last call -> why it was rejected."""

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the weights and the preprocessing, which determine the vectors."""
        return f"image-{sha256(onnx_file(self.folder))[:16]}-{SIZE}-{COLOURS}-1"

    @property
    def dimension(self) -> int:
        """Dimension of the vectors."""
        return sum(WIDTHS)

    def encode(self, pictures: Sequence[Picture | None], *, progress: bool = False) -> Floats:
        """float32 (n, dimension), rows of unit length; zeros for None and for rejected pictures.

        A video's vector is the mean over some of its frames. Vectors are cached under the hash of the
        picture's bytes, so no picture is encoded twice.
        """
        require_pillow()
        self.problems = {}
        keys: list[bytes | None] = []
        data: dict[bytes, bytes] = {}
        for place, picture in enumerate(pictures):
            key = None
            if picture is not None:
                try:
                    found = picture_bytes(picture, hosts=self.hosts)
                    key = content_key(found)
                    data[key] = found
                except DataError as error:
                    self.problems[place] = str(error)
            keys.append(key)
        file = VectorFile((self.cache or cache_dir() / "vectors") / f"{self.fingerprint}.sqlite")
        known: dict[bytes, Any] = dict(file.read(list(data)))
        reasons: dict[bytes, str] = {}
        missing = [key for key in data if key not in known]
        with bar("encoding pictures", len(missing), show=progress) as advance:
            for start in range(0, len(missing), self.batch):
                part = missing[start : start + self.batch]
                fresh = self._look({key: data[key] for key in part}, reasons)
                file.write(fresh)
                known |= fresh
                advance(len(part))
        out: Floats = np.zeros((len(keys), self.dimension), np.float32)
        for place, key in enumerate(keys):
            if key is not None and key in reasons:
                self.problems[place] = reasons[key]
            elif key is not None:
                out[place] = known[key]
        return unit_rows(out)

    def frames(self, images: Sequence[Image]) -> Floats:
        """float32 (n, dimension): vectors of decoded pictures."""
        pixels = np.stack([prepare(image) for image in images])
        final, stages = self._session.run(None, {"pixels": pixels})
        if final.shape[1] != WIDTHS[0] or stages.shape[1] != WIDTHS[1]:
            raise FetchError(f"{self.folder}: is no EfficientNet-Lite0 of this package")
        parts = [final, stages, np.stack([colours(image) for image in images])]
        rows = [unit_rows(p) for p in parts]
        vectors: Floats = (np.hstack(rows) / np.sqrt(len(rows))).astype(np.float32)
        return vectors

    def _look(self, data: Mapping[bytes, bytes], reasons: dict[bytes, str]) -> dict[bytes, np.ndarray]:
        images: dict[bytes, Image] = {}
        vectors: dict[bytes, np.ndarray] = {}
        for key, content in data.items():
            try:
                if is_video(content):
                    seen = self.frames(video_frames(content)).mean(axis=0, keepdims=True)
                    vectors[key] = unit_rows(seen)[0].astype(np.float16)
                else:
                    images[key] = read_picture(content)
            except DataError as error:
                reasons[key] = str(error)
        if images:
            vectors |= zip(images, self.frames(list(images.values())).astype(np.float16), strict=True)
        return vectors

    @cached_property
    def _session(self) -> Any:
        session = read_session(onnx_file(self.folder), self.threads)
        names = [i.name for i in session.get_inputs()]
        if names != ["pixels"] or len(session.get_outputs()) != self.outputs:
            raise FetchError(f"{self.folder}: is no picture encoder (its inputs are {', '.join(names)})")
        return session


def open_image_encoder(
    name: str = "efficientnet-lite0", *, hosts: Collection[str] = (), threads: int = 2
) -> ImageEncoder:
    """The picture encoder for a known name or a folder; `FetchError` says how to get its weights."""
    folder = image_folder(name)
    kind = VisionEncoder if (folder / SETTINGS).is_file() else ImageEncoder
    return kind(folder, hosts=hosts, threads=threads)


@dataclass
class VisionEncoder(ImageEncoder):
    """Any other image model exported by `training/images/vision.py`, with its own input size and
    normalisation.

    `folder` contains `model.onnx` and `picture.json`.
    """

    outputs: ClassVar[int] = 1

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the weights and the preprocessing, which determine the vectors."""
        settings = sha256(self.folder / SETTINGS)[:8]
        return f"vision-{sha256(onnx_file(self.folder))[:16]}-{settings}-1"

    @property
    def dimension(self) -> int:
        """Dimension of the vectors."""
        return int(self._settings["dimension"])

    def frames(self, images: Sequence[Image]) -> Floats:
        """float32 (n, dimension): vectors of decoded pictures."""
        size = int(self._settings["size"])
        mean, std = (np.array(self._settings[name], np.float32) for name in ("mean", "std"))
        pixels = [(square(image, size) / 255 - mean) / std for image in images]
        return self.vectors(np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32, copy=False))

    def vectors(self, pixels: Floats) -> Floats:
        """float32 (n, dimension), rows of unit length, for preprocessed pixels float32 (n, 3, size, size)."""
        (found,) = self._session.run(None, {"pixels": pixels})
        return unit_rows(found)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        file = self.folder / SETTINGS
        try:
            read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if not {"size", "mean", "std", "dimension"} <= set(read):
                raise ValueError("a setting is missing")
        except (OSError, ValueError) as error:
            raise FetchError(f"{file}: is not readable ({error}): export the model again") from error
        return read


def prepare(image: Image) -> Floats:
    """float32 (3, 224, 224): padded to a white square, which preserves proportions, then resized and
    normalised."""
    pixels: Floats = ((square(image, SIZE) - 127) / 128).transpose(2, 0, 1).astype(np.float32)
    return pixels


def square(image: Image, size: int) -> Floats:
    """float32 (size, size, 3), 0 to 255: padded with white, which preserves proportions, and resized."""
    from PIL import Image as PillowImage

    side = max(image.size)
    whole = PillowImage.new("RGB", (side, side), (255, 255, 255))
    whole.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    values: Floats = np.asarray(whole.resize((size, size), PillowImage.Resampling.BICUBIC), np.float32)
    return values


def colours(image: Image) -> Floats:
    """float32 (216,): square roots of the shares of 108 colours, in the whole picture and in its centre."""
    hsv = np.asarray(image.resize((60, 80)).convert("HSV")).astype(np.int64)
    hue, saturation, value = (hsv[..., i] * n // 256 for i, n in enumerate((HUES, SHADES, SHADES)))
    code = (hue * SHADES + saturation) * SHADES + value
    areas = (code, code[20:60, 15:45])
    shares = [np.bincount(area.ravel(), minlength=COLOURS // 2) / area.size for area in areas]
    out: Floats = np.sqrt(np.concatenate(shares)).astype(np.float32)
    return out
