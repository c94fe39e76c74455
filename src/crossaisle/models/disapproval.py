"""Disapproval: a product that people return or dislike loses score for everyone.

Of `n` users who said anything about an item, by an event that stands (a look counts as much less as it
weighs) or by one that stands against it, `g` are against it. The item keeps 1 - g / (n + k) of each score
above 0. `k` is how many users' word an item needs to be believed; it follows from how much items differ, as
in an empirical Bayes estimate of a beta-binomial (Kleinman, JASA 1973, by moments), and shrinks towards 0:
without a negative event nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows

REASON = "disliked or returned by others"
"""What an explanation calls what is lost."""
DEFAULT = 10.0
"""`k` where too few items have been talked about to tell."""
FEWEST = 20
"""So many items with two users each are enough."""
BOUNDS = (2.0, 100.0)
"""Of `k`."""
SPARED = ("trending", "buy_again")
"""Placements that stand on purchases that were kept: of everybody, or the user's own."""

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Disapproval:
    """How much of its scores each item loses."""

    share: Floats
    """float32 (n_items,): from 0 up to less than 1."""

    @classmethod
    def of(cls, dataset: Dataset) -> Disapproval | None:
        """That of a data set; None where nothing stands against anything."""
        against = pairs_against(dataset)
        return None if not len(against) else cls.from_counts(*counts_of(dataset))

    @classmethod
    def from_counts(cls, against: Counts, for_it: Counts) -> Disapproval:
        """float64 (n_items,) each: users against an item, and users for it by the weight of what they did."""
        said = against + for_it
        return cls((against / (said + believed_from(against, said))).astype(np.float32))

    def lower(self, scores: Floats, placement: str, rows: Rows | None = None) -> None:
        """Takes the shares off float32 (..., n_items) scores, or those of some rows, in place."""
        if placement not in SPARED:
            share = self.share if rows is None else self.share[rows]
            np.multiply(scores, 1 - share, out=scores, where=scores > 0)

    def lower_each(self, scores: Sequence[Floats], placement: str, rows: Sequence[Rows]) -> None:
        """The same for several histories, in place."""
        for values, at in zip(scores, rows, strict=True):
            self.lower(values, placement, at)

    def lost(self, row: int, placement: str) -> float:
        """The share that an item loses in a placement."""
        return 0.0 if placement in SPARED else float(self.share[row])


def pairs_against(dataset: Dataset) -> npt.NDArray[np.int64]:
    """int64: user * n_items + item of what each user stands against, ascending, each once."""
    one = dataset.against
    if one is None:
        return np.empty(0, np.int64)
    return np.unique(one.user.astype(np.int64) * dataset.n_items + one.item)


def counts_of(dataset: Dataset) -> tuple[Counts, Counts]:
    """float64 (n_items,): users against each item, and users for it, each by their strongest event."""
    against = np.bincount(pairs_against(dataset) % dataset.n_items, minlength=dataset.n_items)
    for_it = np.asarray(people_for(dataset).sum(axis=0), np.float64).ravel()
    return against.astype(np.float64), for_it


def people_for(dataset: Dataset) -> sparse.csr_matrix:
    """csr float32 (n_users, n_items): how much each user is for each item, from 0 to 1."""
    people = dataset.matrix().tocsr()
    people.data = np.minimum(people.data, 1.0)
    return people


def believed_from(against: Counts, said: Counts) -> float:
    """`k`, from float64 (n_items,) users against an item and users who said anything about it."""
    known = said >= 2
    g, n = against[known], said[known]
    if len(n) < FEWEST or not g.sum():
        return DEFAULT
    total = float(n.sum())
    mean = float(g.sum()) / total
    spread = float((n * (g / n - mean) ** 2).sum()) - (len(n) - 1) * mean * (1 - mean)
    between = spread / (total - float((n**2).sum()) / total)
    k = mean * (1 - mean) / between - 1 if between > 0 else BOUNDS[1]
    return float(np.clip(k, *BOUNDS))
