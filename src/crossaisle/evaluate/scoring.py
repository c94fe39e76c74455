"""What evaluation needs of a model, one function, and the two things it does with its scores first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows

Score: TypeAlias = Callable[[Histories], Floats]
"""float32 (n, n_items) for a batch of histories; what `Scorer.score_rows` does."""


def scored(score: Score, histories: Histories, n_items: int) -> Floats:
    """Scores of a batch with NaN turned into -inf, after a check of their shape."""
    scores = np.asarray(score(histories))
    if scores.shape != (len(histories), n_items):
        raise ValueError(f"a scorer gave shape {scores.shape} for {len(histories)} cases, {n_items} items")
    unknown = np.isnan(scores)
    return np.where(unknown, -np.inf, scores).astype(np.float32) if unknown.any() else scores


def top_k(scores: Floats, k: int) -> Rows:
    """int32 (n, k): columns of the k highest scores, best first; the lower column first among ties.

    -1 where only -inf is left. k must not exceed the number of columns.
    """
    n, m = scores.shape
    kth = np.partition(scores, m - k, axis=1)[:, m - k, None]
    chosen = scores > kth
    level = (scores == kth) & (kth > -np.inf)
    room = k - np.count_nonzero(chosen, axis=1)
    crowded = np.count_nonzero(level, axis=1) > room
    level[crowded] &= np.cumsum(level[crowded], axis=1, dtype=np.int32) <= room[crowded, None]
    row, column = np.nonzero(chosen | level)
    order = np.lexsort((column, -scores[row, column], row))
    row, column = row[order], column[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    out = np.full((n, k), -1, np.int32)
    out[row, place] = column
    return out
