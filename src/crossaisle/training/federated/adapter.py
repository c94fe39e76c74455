"""`Adapter`: a linear map on the vectors of a frozen text encoder that predicts the next item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.encoders.base import unit_rows

NEWEST = 5
"""Number of newest items of a history that are read; an item's weight is exp(-age / 2)."""
_DECAY = Decay(events=2.0)


@dataclass(frozen=True)
class Adapter:
    """Scores an item by the inner product of its text vector with the mapped mean vector of a history.

    The map acts on text vectors rather than on a shop's items, so what one shop learns applies to another.
    The identity is plain text similarity.
    """

    weights: Floats
    """float32 (d, d): history vector -> item vector."""

    @classmethod
    def untrained(cls, d: int) -> Adapter:
        """The identity map."""
        return cls(np.eye(d, dtype=np.float32))

    def score_rows(self, histories: Histories, vectors: Floats) -> Floats:
        """float32 (n, n_items); `vectors` float32 (n_items, d), rows of unit length."""
        newest = histories.keep(histories.age < NEWEST)
        bags = newest.matrix(_DECAY.weights(newest), len(vectors))
        read: Floats = unit_rows(bags @ vectors)
        mapped: Floats = read @ self.weights
        scores: Floats = mapped @ vectors.T
        return scores
