"""`Alignment`: maps pictures and titles into one space with small heads, trained by
training/images/align.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from crossaisle.artifact import writing
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.errors import ArtifactError

Side = Literal["image", "text"]
Fusion = Literal["sum", "concatenate", "gated"]
SIDES: tuple[Side, Side] = ("image", "text")
KIND = "alignment"
_PARTS = ("mean", "scale", "weight", "bias")


@dataclass(frozen=True)
class Head:
    """An affine map after standardisation: (x - mean) / scale @ weight + bias, normalised to unit length."""

    mean: Floats
    """float32 (d,)."""
    scale: Floats
    """float32 (d,)."""
    weight: Floats
    """float32 (d, space)."""
    bias: Floats
    """float32 (space,)."""

    def __call__(self, vectors: Floats) -> Floats:
        """float32 (n, d) -> (n, space), rows of unit length; a row of zeros (nothing to encode) stays
        zeros."""
        out: Floats = (((vectors - self.mean) / self.scale) @ self.weight + self.bias).astype(np.float32)
        out = unit_rows(out)
        out[~np.any(vectors, axis=1)] = 0.0
        return out


@dataclass(frozen=True)
class Alignment:
    """One or more pairs of heads; the vectors of several pairs are concatenated, which averages their
    cosines."""

    heads: tuple[Mapping[Side, Head], ...]

    def place(self, side: Side, vectors: Floats) -> Floats:
        """Maps one side's vectors: float32 (n, heads x space), rows of unit length."""
        beside = np.hstack([pair[side](vectors) for pair in self.heads])
        out: Floats = (beside / np.sqrt(len(self.heads))).astype(np.float32)
        return out

    def items(
        self, images: Floats, texts: Floats, *, fuse: Fusion = "sum", image_share: float = 0.5
    ) -> Floats:
        """Item vectors from picture, title or both: float32, rows of unit length; zeros if an item has
        neither.

        `images` (n, d) and `texts` (n, e) contain zeros where an item has none. "sum": weighted mean of both
        sides, (n, heads x space). "concatenate": both sides, (n, 2 x heads x space). "gated": a mean with
        weights `exp(8 surprise)` per item and side, where surprise is the distance of a side from the mean
        over all items: a side that is the same for all items carries little information.
        """
        seen, read = self.place("image", images), self.place("text", texts)
        if fuse == "concatenate":
            root = np.sqrt([image_share, 1 - image_share])
            return unit_rows(np.hstack([root[0] * seen, root[1] * read]))
        if fuse == "gated":
            image, text = np.exp(8 * _surprise(seen)), np.exp(8 * _surprise(read))
            share = (image / (image + text))[:, None]
            return unit_rows(share * seen + (1 - share) * read)
        return unit_rows(image_share * seen + (1 - image_share) * read)

    def save(self, folder: str | Path) -> None:
        """Writes one `.npy` file per array, atomically."""
        with writing(folder, KIND) as fresh:
            for number, pair in enumerate(self.heads):
                for side in SIDES:
                    for part in _PARTS:
                        np.save(fresh / f"{number}-{side}-{part}.npy", getattr(pair[side], part))

    @classmethod
    def load(cls, folder: str | Path) -> Alignment:
        """The inverse of `save`; `ArtifactError` if files are missing or damaged."""
        folder = Path(folder)
        count = len(list(folder.glob("*-image-mean.npy")))
        if not count:
            raise ArtifactError(f"{folder}: holds no alignment")
        heads = []
        try:
            for number in range(count):
                arrays = {
                    side: [
                        np.load(folder / f"{number}-{side}-{part}.npy", allow_pickle=False) for part in _PARTS
                    ]
                    for side in SIDES
                }
                heads.append({side: Head(*arrays[side]) for side in SIDES})
        except (OSError, ValueError, EOFError) as error:
            raise ArtifactError(f"{folder}: damaged alignment ({error})") from None
        return cls(tuple(heads))


def _surprise(vectors: Floats) -> Floats:
    """float32 (n,): 1 - cosine to the mean of all non-zero rows."""
    some = np.any(vectors, axis=1)
    if not some.any():
        return np.zeros(len(vectors), np.float32)
    mean = vectors[some].mean(axis=0)
    out: Floats = (1.0 - vectors @ mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return out
