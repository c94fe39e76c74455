"""What evaluation needs of a model: one function, whose scores are checked first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from crossaisle.data.history import Floats, Histories

Score: TypeAlias = Callable[[Histories], Floats]
"""float32 (n, n_items) for a batch of histories; what `Scorer.score_rows` does."""


def scored(score: Score, histories: Histories, n_items: int) -> Floats:
    """Scores of a batch with NaN turned into -inf, after a check of their shape."""
    scores = np.asarray(score(histories))
    if scores.shape != (len(histories), n_items):
        raise ValueError(f"a scorer gave shape {scores.shape} for {len(histories)} cases, {n_items} items")
    unknown = np.isnan(scores)
    return np.where(unknown, -np.inf, scores).astype(np.float32) if unknown.any() else scores
