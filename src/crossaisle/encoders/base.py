"""`Encoder`: text to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats


class Encoder(Protocol):
    """Turns texts into vectors; the same text always gives the same vector."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever any vector could change; part of the cache key."""
        ...

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Floats:
        """float32 (len(texts), d), rows of unit length; an empty text gives a row of zeros."""
        ...


def unit_rows(vectors: npt.NDArray[np.floating]) -> Floats:
    """float32, rows of unit length; rows of zeros stay zeros."""
    length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit: Floats = (vectors / length).astype(np.float32)
    return unit
