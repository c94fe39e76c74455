"""From ranked candidates to the list that is shown: caps, share and diversity in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.recommend.rerank.diversify import mmr
from crossaisle.recommend.rerank.quota import Cap, Index, fill, select

POOL = 200
"""Diversity looks at this many best candidates (and at least at three lists' worth)."""


def arrange(
    scores: Floats,
    k: int,
    *,
    hard: Sequence[Cap] = (),
    soft: Sequence[Cap] = (),
    diversity: float = 0.0,
    similar: Callable[[Index], Floats] | None = None,
) -> Index:
    """Places of at most `k` candidates: best first, or in the order of their picks when diversified.

    `scores` float32 (n,), sorted best first. `hard` caps (quotas) always hold; `soft` ones (the share)
    give way when the list would stay short. `similar` gives the float32 (m, m) likeness of m places.
    """
    plain = select(len(scores), k, hard, soft)
    if diversity == 0.0 or similar is None or not len(plain):
        return plain
    # With the plain list in it, the pool always holds enough candidates of every group.
    pool = np.union1d(np.arange(min(max(POOL, 3 * k), len(scores))), plain)
    inside = [Cap(cap.codes[pool], cap.limits) for cap in hard]
    # The share that `select` reached is the share that is possible.
    reached = [Cap(cap.codes[pool], _counts(cap, plain)) for cap in soft]
    picks = mmr(scores[pool], similar(pool), k, diversity, [*inside, *reached])
    # Only quotas on overlapping categories can leave the list short here.
    return pool[np.array(fill(picks.tolist(), len(pool), k, inside), dtype=np.int64)]


def _counts(cap: Cap, places: Index) -> Index:
    codes = cap.codes[places]
    return np.bincount(codes[codes >= 0], minlength=len(cap.limits))


def relevance_kept(scores: Floats, chosen: Index) -> float | None:
    """The sum of the chosen scores over that of the best list of the same length; 1 = nothing given up.

    None where the best list's sum is not positive: a share of it would mean nothing.
    """
    best = float(scores[: len(chosen)].sum(dtype=np.float64))
    return float(scores[chosen].sum(dtype=np.float64)) / best if best > 0 else None
