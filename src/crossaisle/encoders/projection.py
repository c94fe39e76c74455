"""`Projection`: rotates vectors onto principal axes, so that leading components can be kept and the rest
dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Principal axes of a catalogue's vectors.

    The first k components of a rotated vector are its best k-dimensional approximation, for every k at once;
    Matryoshka models (Kusupati et al., NeurIPS 2022) have to be trained for that.
    """

    mean_: Floats
    """float32 (d,)."""
    axes_: Floats
    """float32 (d, d): axes as columns, largest variance first."""

    @classmethod
    def fit(cls, vectors: Floats) -> Projection:
        """Fits the axes to a catalogue's vectors, float32 (n, d); rows of zeros (no text) are left out."""
        rows = vectors[np.any(vectors != 0, axis=1)].astype(np.float64)
        mean = rows.mean(axis=0) if len(rows) else np.zeros(vectors.shape[1])
        rows = rows - mean
        _, axes = np.linalg.eigh(rows.T @ rows)
        return cls(mean_=mean.astype(np.float32), axes_=np.ascontiguousarray(axes[:, ::-1], np.float32))

    def apply(self, vectors: Floats, dimension: int) -> Floats:
        """float32 (n, dimension), rows of unit length; rows of zeros stay zeros."""
        out = ((vectors - self.mean_) @ self.axes_[:, :dimension]).astype(np.float32)
        out[~np.any(vectors != 0, axis=1)] = 0.0
        return unit_rows(out)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to save."""
        return {"mean": self.mean_, "axes": self.axes_}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Projection:
        """The inverse of `arrays`."""
        return cls(mean_=np.asarray(arrays["mean"]), axes_=np.asarray(arrays["axes"]))
