"""Ranking metrics per case, from exact ranks.

All take a `Relevant` and give float64 (n,), NaN for a case without a target. Where items tie, each metric
is the mean over all orders of them (McSherry & Najork: Computing information retrieval performance measures
efficiently in the presence of tied scores, ECIR 2008): a model that scores all items the same gets chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows

PerCase = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Relevant:
    """The ranked targets of `n` cases: `owner` int64 (m,) ascending, `rank` float64 (m,), inf = missed."""

    owner: npt.NDArray[np.int64]
    rank: npt.NDArray[np.float64]
    """The middle one of the places that tied candidates share, 1 = best."""
    n: int
    ties: npt.NDArray[np.integer] | None = None
    """int (m,): candidates with the score of a target, itself too; None where nothing ties."""

    @classmethod
    def of_one(cls, scores: Floats, own: Floats) -> Relevant:
        """One target per case, which scores `own` (n,) among `scores` (n, m), itself one of them.

        A target whose score is NaN is missed."""
        above = (scores > own[:, None]).sum(axis=1)
        level = np.maximum((scores == own[:, None]).sum(axis=1), 1)
        rank = np.where(np.isnan(own), np.inf, above + (level + 1) / 2)
        return cls(np.arange(len(own)), rank, len(own), level)

    @classmethod
    def joined(cls, blocks: Iterable[Relevant]) -> Relevant:
        """The cases of several blocks, one after the other."""
        some = list(blocks)
        starts = np.cumsum([0, *(one.n for one in some)])
        return cls(
            np.concatenate([one.owner + start for one, start in zip(some, starts, strict=False)]),
            np.concatenate([one.rank for one in some]),
            int(starts[-1]),
            np.concatenate([one.width for one in some]),
        )

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

    @cached_property
    def width(self) -> npt.NDArray[np.float64]:
        """float64 (m,): places that each target may stand at."""
        return np.ones(len(self.rank)) if self.ties is None else self.ties.astype(np.float64)

    @cached_property
    def above(self) -> npt.NDArray[np.float64]:
        """float64 (m,): candidates that stand above each target for certain; inf = missed."""
        return self.rank - (self.width + 1) / 2

    @cached_property
    def groups(self) -> Groups:
        """Targets of a case that tie with each other."""
        order = np.lexsort((self.rank, self.owner))
        owner, rank = self.owner[order], self.rank[order]
        opens = np.ones(len(owner), bool)
        opens[1:] = (owner[1:] != owner[:-1]) | (rank[1:] != rank[:-1])
        first = np.flatnonzero(opens)
        before = first - np.searchsorted(owner, owner[first])
        size = np.diff(np.append(first, len(owner)))
        one = order[first]
        return Groups(
            owner[first], self.above[one], self.width[one], size.astype(float), before.astype(float)
        )

    def sum(self, values: npt.NDArray[np.float64]) -> PerCase:
        """Adds up one value per target within each case."""
        totals: PerCase = np.bincount(self.owner, values, self.n).astype(np.float64)
        return totals

    def inside(self, k: int) -> npt.NDArray[np.float64]:
        """float64 (m,): the chance of each target to stand among the first `k`."""
        return np.clip((k - self.above) / self.width, 0.0, 1.0)

    def hits(self, k: int) -> PerCase:
        """Targets of each case among the first `k`."""
        return self.sum(self.inside(k))


@dataclass(frozen=True)
class Groups:
    """Targets of one case and one score; all arrays are (g,), by case and then from the best score on."""

    owner: npt.NDArray[np.int64]
    above: npt.NDArray[np.float64]
    """Candidates above; inf = missed."""
    width: npt.NDArray[np.float64]
    """Candidates of that score."""
    size: npt.NDArray[np.float64]
    """Those of them that are targets."""
    before: npt.NDArray[np.float64]
    """Targets of the case with better scores."""

    def reaching(self, k: int) -> Groups:
        """Those that may have a target among the first `k`."""
        some = self.above < k
        return Groups(*(column[some] for column in vars(self).values()))


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
    some = relevant.groups.reaching(k)
    # Only one group of a case can lie across place k: what stands above it, if anything, is a hit.
    missed = _without(some.width, some.size, k - some.above)
    all_missed = np.ones(relevant.n)
    np.multiply.at(all_missed, some.owner, missed)
    return np.where(np.isnan(relevant.total), np.nan, 1.0 - all_missed)


def _without(
    width: npt.NDArray[np.float64], size: npt.NDArray[np.float64], drawn: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Chance that none of `size` items is among `drawn` ones of `width`, drawn at random."""
    others = width - size
    possible = drawn <= others
    drawn = np.where(possible, drawn, 0.0)
    log = gammaln(others + 1) - gammaln(others - drawn + 1) - gammaln(width + 1) + gammaln(width - drawn + 1)
    return np.where(possible, np.exp(log), 0.0)


def ndcg(relevant: Relevant, k: int) -> PerCase:
    """Normalised discounted cumulative gain, binary relevance (Järvelin & Kekäläinen, TOIS 2002).

    The gain at rank r is 1 / log2(r + 1); the ideal list has min(k, targets) hits at its top.
    """
    upto = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    targets = np.minimum(np.nan_to_num(relevant.total), k).astype(np.int64)
    first = np.minimum(relevant.above, k)
    last = np.minimum(first + relevant.width, k)
    shared = (upto[last.astype(np.int64)] - upto[first.astype(np.int64)]) / relevant.width
    gain: PerCase = relevant.sum(shared) / np.where(targets > 0, upto[targets], np.nan)
    return gain


def mrr(relevant: Relevant, k: int) -> PerCase:
    """Reciprocal rank of the first target, 0 beyond k."""
    some = relevant.groups.reaching(k)
    some = Groups(*(column[some.before == 0] for column in vars(some).values()))
    found, left = np.zeros(len(some.owner)), np.ones(len(some.owner))
    for place in range(1, k + 1):  # the chance that the first target stands exactly there
        later = _without(some.width, some.size, np.clip(place - some.above, 0.0, some.width))
        found += (left - later) / place
        left = later
    out = np.where(np.isnan(relevant.total), np.nan, 0.0)
    out[some.owner] = found
    return out


def average_precision(relevant: Relevant, k: int) -> PerCase:
    """Precision at each hit, over min(k, targets); its mean over the cases is MAP@k."""
    some = relevant.groups.reaching(k)
    gains = np.zeros(len(some.owner))
    beside = (some.size - 1) / np.maximum(some.width - 1, 1.0)
    for place in range(1, k + 1):
        there = (place > some.above) & (place <= some.above + some.width)
        hits = 1 + some.before + (place - some.above - 1) * beside  # expected, if this place is a hit
        gains += np.where(there, some.size / some.width * hits / place, 0.0)
    return np.bincount(some.owner, gains, relevant.n) / np.minimum(relevant.total, k)


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
