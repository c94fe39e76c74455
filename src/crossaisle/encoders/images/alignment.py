"""`Alignment`: pictures and titles in one space, by two small maps; trained in training/images/align.py."""

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
    """An affine map after standardising: (x - mean) / scale @ weight + bias, then unit length."""

    mean: Floats
    """float32 (d,)."""
    scale: Floats
    """float32 (d,)."""
    weight: Floats
    """float32 (d, space)."""
    bias: Floats
    """float32 (space,)."""

    def __call__(self, vectors: Floats) -> Floats:
        """float32 (n, d) -> (n, space), unit rows; a row of zeros (nothing was read) stays zeros."""
        out: Floats = (((vectors - self.mean) / self.scale) @ self.weight + self.bias).astype(np.float32)
        out = unit_rows(out)
        out[~np.any(vectors, axis=1)] = 0.0
        return out


@dataclass(frozen=True)
class Alignment:
    """One or more pairs of heads; the vectors of several are put side by side, which averages cosines."""

    heads: tuple[Mapping[Side, Head], ...]

    def place(self, side: Side, vectors: Floats) -> Floats:
        """float32 (n, heads x space), unit rows."""
        beside = np.hstack([pair[side](vectors) for pair in self.heads])
        out: Floats = (beside / np.sqrt(len(self.heads))).astype(np.float32)
        return out

    def items(
        self, images: Floats, texts: Floats, *, fuse: Fusion = "sum", image_share: float = 0.5
    ) -> Floats:
        """Items from what they have: picture, title or both. float32 unit rows; neither gives zeros.

        `images` (n, d) and `texts` (n, e) hold zeros where an item has none. "sum": the weighted mean of
        both sides, (n, heads x space). "concatenate": side by side, (n, 2 x heads x space). "gated": a
        mean in which each item's sides weigh `exp(8 surprise)`, surprise being how far a side lies from
        the mean of all items: a side that says the same of everything says little.
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
        """Writes one npy file per array, atomically."""
        with writing(folder, KIND) as fresh:
            for number, pair in enumerate(self.heads):
                for side in SIDES:
                    for part in _PARTS:
                        np.save(fresh / f"{number}-{side}-{part}.npy", getattr(pair[side], part))

    @classmethod
    def load(cls, folder: str | Path) -> Alignment:
        """The opposite of `save`; `ArtifactError` when files are missing or damaged."""
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
    """float32 (n,): 1 - cosine to the mean of all rows that are not zeros."""
    some = np.any(vectors, axis=1)
    if not some.any():
        return np.zeros(len(vectors), np.float32)
    mean = vectors[some].mean(axis=0)
    out: Floats = (1.0 - vectors @ mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return out
