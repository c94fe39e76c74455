"""`Whitening`: makes a catalogue's vectors have equal variance in all directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows

ENOUGH = 10
"""Number of texts per dimension from which on their covariance is used without shrinkage."""


@dataclass(kw_only=True)
class Whitening:
    """ZCA whitening, then normalisation to unit length.

    Raw sentence vectors share a few dominant directions, which makes all products of one shop look alike;
    removing those improves ranking by cosine (Su et al., Whitening Sentence Representations, 2021).

    In a small catalogue, whitening makes all texts dissimilar: with as many texts as dimensions, all vectors
    are orthogonal. So the covariance of n texts is shrunk towards a sphere by 1 - n / (`ENOUGH` d) (after
    Ledoit and Wolf, 2004).
    """

    eps: float = 1e-3
    """Added to each variance, so that directions with less than this, mostly noise, are not amplified."""
    mean_: npt.NDArray[np.float32]
    """float32 (d,)."""
    matrix_: npt.NDArray[np.float32]
    """float32 (d, d), symmetric."""

    @classmethod
    def fit(cls, vectors: Floats, *, eps: float = 1e-3) -> Whitening:
        """Fits the map to a catalogue's vectors, float32 (n, d); rows of zeros (no text) are left out."""
        rows = vectors[np.any(vectors != 0, axis=1)].astype(np.float64)
        if len(rows) == 0:
            d = vectors.shape[1]
            return cls(eps=eps, mean_=np.zeros(d, np.float32), matrix_=np.eye(d, dtype=np.float32))
        mean = rows.mean(axis=0)
        rows -= mean
        covariance = rows.T @ rows / len(rows)
        d = covariance.shape[0]
        shrink = max(1.0 - len(rows) / (ENOUGH * d), 0.0)
        if shrink:
            covariance = (1.0 - shrink) * covariance + shrink * np.trace(covariance) / d * np.eye(d)
        variance, axes = np.linalg.eigh(covariance)
        matrix = (axes / np.sqrt(np.maximum(variance, 0.0) + eps)) @ axes.T
        return cls(eps=eps, mean_=mean.astype(np.float32), matrix_=matrix.astype(np.float32))

    def apply(self, vectors: Floats) -> Floats:
        """float32 (n, d), rows of unit length; rows of zeros stay zeros."""
        out = ((vectors - self.mean_) @ self.matrix_).astype(np.float32)
        out[~np.any(vectors != 0, axis=1)] = 0.0
        return unit_rows(out)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to save."""
        return {"mean": self.mean_, "matrix": self.matrix_, "eps": np.array(self.eps)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Whitening:
        """The inverse of `arrays`."""
        mean, matrix = np.asarray(arrays["mean"]), np.asarray(arrays["matrix"])
        return cls(eps=float(arrays["eps"]), mean_=mean, matrix_=matrix)
