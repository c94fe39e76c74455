"""`ItemKNN`: items that the same users had, without a learned weight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.models.scorers.item_item import ItemWeights, keep_strongest
from crossaisle.models.space import AnyDecay, Choice, Range, Space

AT_ONCE = 5_000_000
"""Co-occurrences held at once: at most 40 MB of csr and as much again beside it."""


@dataclass(kw_only=True)
class ItemKNN(ItemWeights):
    """Similarity from co-occurrence in users (or baskets), the best neighbours of each item kept.

    Sarwar et al., Item-based collaborative filtering (WWW 2001); shrinkage after Bell and Koren (2007).
    """

    similarity: Literal["cosine", "conditional"] = "cosine"
    """`cosine`: together / (sqrt(n_i n_j) + shrink). `conditional`: together / (n_i + shrink), the share
    of the history item's users who also had the candidate; it favours popular candidates, which suits
    baskets."""
    shrink: float = field(default=20.0, metadata={"low": 0.0, "high": 1e9})
    """Added to the denominator: pairs seen a few times count less."""
    neighbours: int = field(default=300, metadata={"low": 1, "high": 10_000_000})
    """Entries kept per item."""
    baskets: bool = False
    """Count over single baskets instead of users: what goes together, not what the same people buy."""

    kind: ClassVar[str] = "item_knn"
    space: ClassVar[Space] = {
        "shrink": Range(low=1.0, high=300.0),
        "neighbours": Range(low=20, high=1000, whole=True),
        "similarity": Choice(("cosine", "conditional")),
        "decay": AnyDecay(),
    }

    def fit(self, dataset: Dataset) -> ItemKNN:
        users = dataset.basket_matrix() if self.baskets else dataset.matrix()
        self.weights_ = similarities(
            users, similarity=self.similarity, shrink=self.shrink, neighbours=self.neighbours
        )
        self.known_ = dataset.item_counts > 0
        self.item_ids_ = dataset.item_ids
        return self


def similarities(
    users: sparse.csr_matrix,
    *,
    similarity: Literal["cosine", "conditional"],
    shrink: float,
    neighbours: int,
    at_once: int = AT_ONCE,
) -> sparse.csr_matrix:
    """float32 csr (n_items, n_items): the strongest `neighbours` of each item; see `ItemKNN`.

    `users`: csr (users or baskets, n_items). `at_once`: co-occurrences held in memory at a time.
    """
    items = users.T.tocsr()
    count = np.diff(items.indptr).astype(np.float32)
    if len(users.data) and (users.data != 1.0).any():  # events differ in weight
        count = np.asarray((users.power(2) if similarity == "cosine" else users).sum(axis=0)).ravel()
    n = len(count)
    # No item meets more others than its users have events.
    most = np.cumsum(np.minimum(items @ np.diff(users.indptr).astype(np.float64), n))
    starts = np.flatnonzero(np.diff(most // at_once, prepend=-1.0))
    blocks = []
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        together = (items[start:end] @ users).tocsr()
        row = np.repeat(np.arange(start, end), np.diff(together.indptr))
        column = together.indices
        norm = np.sqrt(count[row] * count[column]) if similarity == "cosine" else count[row]
        # float32; `norm` is positive wherever two items met, so a shrink of 0 divides by no zero.
        together.data = together.data / (norm + np.float32(shrink))
        together.data[row == column] = 0.0
        blocks.append(keep_strongest(together, neighbours))
    if not blocks:
        return sparse.csr_matrix((0, 0), dtype=np.float32)
    return sparse.vstack(blocks, format="csr", dtype=np.float32)
