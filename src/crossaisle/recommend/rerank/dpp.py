"""Determinantal point processes: a list whose items span as much as they can."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.recommend.rerank.quota import Cap, Index, Room

LEAST = 1e-6
"""An item that adds less volume than this says nothing new: what is left is filled up by score."""


def dpp(
    scores: Floats,
    similar: Floats,
    k: int,
    diversity: float,
    caps: Sequence[Cap] = (),
    before: Floats | None = None,
) -> Index:
    """Places of at most `k` candidates, in the order they are picked: greedy MAP of a DPP.

    The kernel is `q_i S_ij q_j` with q = exp(a r), r the score scaled to 0..1 over the candidates and
    a = (1 - diversity) / (2 diversity). Each pick adds most to the logarithm of the determinant, found with
    an incremental Cholesky factor: Chen, Zhang and Zhou, Fast greedy MAP inference for determinantal point
    process (NeurIPS 2018). Other than in maximal marginal relevance, an item is compared with all picks
    together and not with the nearest one.

    `scores` float32 (n,), best first; `similar` float32 (n, n), 1 on the diagonal; `caps` are never exceeded.
    `before` float32 (m, m + n): similarities of what was picked before to itself and to the candidates. The
    answer is shorter than `k` where nothing new is left.
    """
    n, m = len(scores), 0 if before is None else len(before)
    spread = float(scores[0] - scores[-1]) if n else 0.0
    relevance = (scores - scores[-1]) / spread if spread > 0 else np.ones(n, np.float32)
    log_quality = (1.0 - diversity) / (2.0 * max(diversity, 1e-6)) * relevance.astype(np.float64)
    factor = np.zeros((m + k, n))
    volume = np.diag(similar).astype(np.float64).copy()
    if before is not None and m:
        root = np.linalg.cholesky(before[:, :m].astype(np.float64) + LEAST * np.eye(m))
        factor[:m] = np.linalg.solve(root, before[:, m:].astype(np.float64))
        volume -= (factor[:m] ** 2).sum(axis=0)
    room, free = Room(caps), np.ones(n, bool)
    chosen: list[int] = []
    while len(chosen) < k:
        fits = free & room.open() if caps else free
        fits = fits & (volume > LEAST)
        if not fits.any():
            break
        gain = np.where(fits, 2.0 * log_quality + np.log(np.maximum(volume, LEAST)), -np.inf)
        best = int(gain.argmax())
        known = factor[: m + len(chosen)]
        step = (similar[best] - known[:, best] @ known) / np.sqrt(volume[best])
        factor[m + len(chosen)] = step
        volume = volume - step**2
        chosen.append(best)
        room.take(best)
        free[best] = False
    return np.array(chosen, dtype=np.int64)
