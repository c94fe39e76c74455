"""Ranking metrics per case, from exact ranks.

All take a `Relevant` and give float64 (n,), NaN for a case without a target. A target is a hit at
`k` when its rank is at most `k`; ranks of tied items may be fractions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows

PerCase = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Relevant:
    """The ranked targets of `n` cases: `owner` int64 (m,) ascending, `rank` float64 (m,), inf = missed."""

    owner: npt.NDArray[np.int64]
    rank: npt.NDArray[np.float64]
    n: int

    @classmethod
    def spread(
        cls,
        owner: npt.NDArray[np.int64],
        rank: npt.NDArray[np.float64],
        ties: npt.NDArray[np.integer],
        n: int,
    ) -> Relevant:
        """From middle ranks; `ties` (m,): how many candidates share the score of a target, itself too.

        Targets of a case that tie with each other are spread over the places they share: of m among
        g tied items the j-th best has the expected rank first + j (g + 1) / (m + 1). One alone keeps
        the middle rank. Without this three targets tied for places 1 to 3 would all be hits at 2.
        """
        order = np.lexsort((rank, owner))
        owner, rank, width = owner[order], rank[order], ties[order] + 1.0
        opens = np.ones(len(owner), bool)
        opens[1:] = (owner[1:] != owner[:-1]) | (rank[1:] != rank[:-1])
        group = np.cumsum(opens) - 1
        together = np.bincount(group)[group] if len(owner) else np.empty(0)
        place = np.arange(len(owner)) - np.flatnonzero(opens)[group] + 1
        return cls(owner, rank - width / 2 + place * width / (together + 1), n)

    @classmethod
    def listed(cls, lists: Rows, indptr: npt.NDArray[np.int64], target: Rows) -> Relevant:
        """From lists (n, k), best first, -1 where nothing stands; case i has the targets
        `target[indptr[i]:indptr[i + 1]]`. A target that is not in the list of its case is missed."""
        owner = np.repeat(np.arange(len(lists)), np.diff(indptr))
        found = lists[owner] == target[:, None]
        return cls(owner, np.where(found.any(axis=1), found.argmax(axis=1) + 1.0, np.inf), len(lists))

    @cached_property
    def total(self) -> PerCase:
        """Targets per case, NaN for none."""
        counts = np.bincount(self.owner, minlength=self.n).astype(np.float64)
        return np.where(counts > 0, counts, np.nan)

    def sum(self, values: npt.NDArray[np.float64]) -> PerCase:
        """Adds up one value per target within each case."""
        totals: PerCase = np.bincount(self.owner, values, self.n).astype(np.float64)
        return totals

    def hits(self, k: int) -> PerCase:
        """Targets of each case among the first `k`."""
        return self.sum((self.rank <= k).astype(np.float64))


def recall(relevant: Relevant, k: int) -> PerCase:
    """Hits over min(k, targets), so that a perfect list reaches 1 however many targets there are."""
    return relevant.hits(k) / np.minimum(relevant.total, k)


def precision(relevant: Relevant, k: int) -> PerCase:
    """Hits over k."""
    return np.where(np.isnan(relevant.total), np.nan, relevant.hits(k) / k)


def f1(relevant: Relevant, k: int) -> PerCase:
    """Harmonic mean of `precision` and `recall`; 0 without a hit."""
    p, r = precision(relevant, k), recall(relevant, k)
    return np.where(p + r == 0, 0.0, 2 * p * r / np.where(p + r == 0, 1.0, p + r))


def hr(relevant: Relevant, k: int) -> PerCase:
    """Hit rate: 1 when any target is among the first k. At k = 1 this is accuracy."""
    return np.where(np.isnan(relevant.total), np.nan, np.minimum(relevant.hits(k), 1.0))


def ndcg(relevant: Relevant, k: int) -> PerCase:
    """Normalised discounted cumulative gain, binary relevance (Järvelin & Kekäläinen, TOIS 2002).

    The gain at rank r is 1 / log2(r + 1); the ideal list has min(k, targets) hits at its top.
    """
    rank = np.where(relevant.rank <= k, relevant.rank, np.inf)
    ideal = np.concatenate([[np.nan], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    best = ideal[np.minimum(np.nan_to_num(relevant.total), k).astype(np.int64)]
    gain: PerCase = relevant.sum(1 / np.log2(rank + 1)) / best
    return gain


def ndcg_of_one(rank: npt.NDArray[np.floating], k: int) -> Floats:
    """`ndcg` of cases with one target each, float32 (n,), from the targets' ranks (n,)."""
    return np.where(rank <= k, 1 / np.log2(rank + 1), 0.0).astype(np.float32)


def middle_rank(scores: Floats, own: Floats) -> Floats:
    """float32 (n,): rank of a target that scores `own` (n,) among `scores` (n, m), itself one of them."""
    above, level = (scores > own[:, None]).sum(axis=1), (scores == own[:, None]).sum(axis=1)
    rank: Floats = (above + (level + 1) / 2).astype(np.float32)
    return rank


def mrr(relevant: Relevant, k: int) -> PerCase:
    """Reciprocal rank of the first target, 0 beyond k."""
    first = np.full(relevant.n, np.inf)
    np.minimum.at(first, relevant.owner, relevant.rank)
    return np.where(np.isnan(relevant.total), np.nan, np.where(first <= k, 1 / first, 0.0))


def average_precision(relevant: Relevant, k: int) -> PerCase:
    """Precision at each hit, over min(k, targets); its mean over the cases is MAP@k."""
    order = np.lexsort((relevant.rank, relevant.owner))
    owner, rank = relevant.owner[order], relevant.rank[order]
    place = np.arange(len(owner)) - np.searchsorted(owner, owner) + 1
    gains = np.where(rank <= k, place / rank, 0.0)
    return np.bincount(owner, gains, relevant.n) / np.minimum(relevant.total, k)


def auc(relevant: Relevant, candidates: npt.NDArray[np.int64]) -> PerCase:
    """Chance that a target outranks another candidate, ties half: exact, over all candidates.

    `candidates` int64 (n,): how many items competed. A target that is no candidate counts 0.
    """
    ranked = np.isfinite(relevant.rank)
    t = relevant.sum(ranked.astype(np.float64))
    ranks = relevant.sum(np.where(ranked, relevant.rank, 0.0))
    others = candidates - t
    some = (t > 0) & (others > 0)
    # Mann-Whitney: what the ranks exceed the best possible ones by, over all pairs.
    lost = np.where(some, (ranks - t * (t + 1) / 2) / np.where(some, t * others, 1.0), 1.0)
    return np.where(others > 0, (1 - lost) * t / relevant.total, np.nan)


AT_K: dict[str, Callable[[Relevant, int], PerCase]] = {
    "recall": recall,
    "ndcg": ndcg,
    "hr": hr,
    "mrr": mrr,
    "map": average_precision,
    "precision": precision,
    "f1": f1,
}
"""Metrics that look at the first k, by the name they have in result files."""
