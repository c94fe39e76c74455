"""`Adapter`: a linear map on the vectors of a frozen text encoder that says what follows what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.encoders.base import unit_rows

NEWEST = 5
"""Items of a history that are read; older ones count exp(-age / 2)."""
_DECAY = Decay(events=2.0)


@dataclass(frozen=True)
class Adapter:
    """Scores an item by its text's vector times the mapped vectors of what a history has.

    Its space is that of texts, not of a shop's items: what one shop learned holds in another. The identity
    is plain text similarity.
    """

    weights: Floats
    """float32 (d, d): history vector -> item vector."""

    @classmethod
    def untrained(cls, d: int) -> Adapter:
        """The identity."""
        return cls(np.eye(d, dtype=np.float32))

    def score_rows(self, histories: Histories, vectors: Floats) -> Floats:
        """float32 (n, n_items); `vectors` float32 (n_items, d), rows of unit length."""
        newest = histories.keep(histories.age < NEWEST)
        bags = newest.matrix(_DECAY.weights(newest), len(vectors))
        read: Floats = unit_rows(bags @ vectors)
        mapped: Floats = read @ self.weights
        scores: Floats = mapped @ vectors.T
        return scores
