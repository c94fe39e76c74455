"""From ranked candidates to the list that is shown: caps, share and diversity, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.data.query import Method
from crossaisle.recommend.rerank.calibrate import Calibration
from crossaisle.recommend.rerank.diversify import mmr
from crossaisle.recommend.rerank.dpp import dpp
from crossaisle.recommend.rerank.quota import Cap, Index, fill, select_exactly

POOL = 200
"""Diversity considers this many best candidates (and at least as many as three pages hold)."""
COMPARED = 100
"""A DPP compares candidates with this many newest picks of earlier pages, all at once."""
Likeness = Callable[[Index, Index], Floats]
"""Indices (n,) and (m,) of candidates -> float32 (n, m): 0 (nothing in common) to 1 (alike)."""


def arrange(
    scores: Floats,
    page: int,
    depth: int | None = None,
    *,
    hard: Sequence[Cap] = (),
    soft: Sequence[Cap] = (),
    diversity: float = 0.0,
    similar: Likeness | None = None,
    method: Method = "mmr",
    calibration: Calibration | None = None,
) -> tuple[Index, bool]:
    """Indices of the first `depth` candidates of a list, one page by default; fewer where none fit.

    Also whether more candidates, with lower scores than these, could not change it. `scores` float32 (n,),
    sorted best first. Each page is made from what the pages before it left: best first, or in the order of
    their picks when diversified (by `method`) or calibrated. `hard` caps (quotas) hold over all pages. `soft`
    ones (the share) hold within each page, and give way where it would stay short. So the pages of one length
    never share a candidate, and a page does not depend on how many follow it.
    """
    depth = page if depth is None else depth
    if diversity == 0.0 or similar is None:
        diversity, similar = 0.0, None if calibration is None else _unlike
        if not soft and calibration is None:
            chosen, _ = select_exactly(len(scores), depth, hard)  # the same page by page as at once
            return chosen, len(chosen) == depth
    earlier = None if similar is None else _Earlier(len(scores), similar)
    left = np.arange(len(scores), dtype=np.int64)
    pages: list[Index] = []
    length, exact = 0, True
    while length < depth:
        quotas, shares = [cap.at(left) for cap in hard], [cap.at(left) for cap in soft]
        picks, full = select_exactly(len(left), page, quotas, shares)
        if earlier is not None and len(picks):
            choose = _Choice(diversity, method, calibration)
            picks = _diversified(scores, left, page, (quotas, shares), choose, picks, earlier)
        pages.append(left[picks])
        length, exact = length + len(picks), exact and full
        if len(picks) < page:
            break
        if length < depth:
            hard = [cap.after(pages[-1]) for cap in hard]
            left = np.delete(left, picks)
            if earlier is not None:
                earlier.add(pages[-1])
            if calibration is not None:
                calibration.add(pages[-1])
    return np.concatenate(pages)[:depth], exact


@dataclass(frozen=True)
class _Choice:
    """How the items of a page are chosen."""

    diversity: float
    method: Method
    calibration: Calibration | None


def _unlike(left: Index, right: Index) -> Floats:
    """Of a list that is calibrated only, no two items are compared."""
    return np.zeros((len(left), len(right)), np.float32)


class _Earlier:
    """How much candidates are like what stands on earlier pages, worked out once they are considered."""

    def __init__(self, n: int, similar: Likeness) -> None:
        self.similar = similar
        self._picks = np.empty(0, np.int64)
        self._likeness = np.zeros(n, np.float32)
        self._compared = np.zeros(n, np.int64)
        """int64 (n,): with how many picks a candidate has been compared."""

    def add(self, picks: Index) -> None:
        """A page that stands."""
        self._picks = np.concatenate([self._picks, picks])

    def beside(self, candidates: Index) -> Floats | None:
        """float32 (m, m + n): similarities of the m newest picks to themselves and to candidates."""
        picks = self._picks[-COMPARED:]
        return self.similar(picks, np.concatenate([picks, candidates])) if len(picks) else None

    def likeness(self, candidates: Index) -> Floats:
        """float32 (n,): the largest similarity of each candidate to a pick."""
        for start in np.unique(self._compared[candidates]).tolist():
            if start < len(self._picks):
                group = candidates[self._compared[candidates] == start]
                nearest = self.similar(self._picks[start:], group).max(axis=0)
                self._likeness[group] = np.maximum(self._likeness[group], nearest)
                self._compared[group] = len(self._picks)
        return self._likeness[candidates]


def _diversified(
    scores: Floats,
    left: Index,
    page: int,
    caps: tuple[Sequence[Cap], Sequence[Cap]],
    choice: _Choice,
    plain: Index,
    earlier: _Earlier,
) -> Index:
    """Indices into `left` of a page whose items differ. `plain`: the page without diversity."""
    hard, soft = caps
    # With the plain page in it, the pool always holds enough candidates of every group.
    pool = np.union1d(np.arange(min(max(POOL, 3 * page), len(left))), plain)
    inside = [cap.at(pool) for cap in hard]
    # The share that `select` reached is the share that is possible.
    reached = [Cap(cap.codes[pool], cap.counts(plain)) for cap in soft]
    at = left[pool]
    # A page of one item is compared with earlier pages alone.
    inner = earlier.similar(at, at) if page > 1 else np.eye(len(at), dtype=np.float32)
    every = [*inside, *reached]
    if choice.method == "dpp" and choice.diversity > 0:
        picks = dpp(scores[at], inner, page, choice.diversity, every, earlier.beside(at))
    else:
        balance = None if choice.calibration is None else choice.calibration.at(at)
        picks = mmr(scores[at], inner, page, choice.diversity, every, earlier.likeness(at), balance)
    # Only quotas on overlapping categories can leave the page short here.
    return pool[np.array(fill(picks.tolist(), len(pool), page, inside), dtype=np.int64)]


def relevance_kept(scores: Floats, chosen: Index) -> float | None:
    """The sum of the chosen scores over that of the best list of the same length; 1 = nothing given up.

    None where the best list's sum is not positive: a share of it would mean nothing.
    """
    best = float(scores[: len(chosen)].sum(dtype=np.float64))
    return float(scores[chosen].sum(dtype=np.float64)) / best if best > 0 else None
