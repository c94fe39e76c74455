"""`ItemKNN`: items that the same users had, without a learned weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.models.scorers.item_item import ItemWeights, keep_strongest
from crossaisle.models.space import AnyDecay, Choice, Range, Space
from crossaisle.models.updates import COUNTED, Change, Counts, Updated, products, total

Similarity = Literal["cosine", "conditional"]
AT_ONCE = 5_000_000
"""Co-occurrences held at once: at most 40 MB of csr and as much again beside it."""


@dataclass(kw_only=True)
class ItemKNN(ItemWeights):
    """Similarity from co-occurrence in users (or baskets), the best neighbours of each item kept.

    Sarwar et al., Item-based collaborative filtering (WWW 2001); shrinkage after Bell and Koren (2007).
    """

    similarity: Similarity = "cosine"
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
        self.weights_ = similarities(
            self._users(dataset), similarity=self.similarity, shrink=self.shrink, neighbours=self.neighbours
        )
        self.known_ = dataset.item_counts > 0
        self.item_ids_ = dataset.item_ids
        return self

    def _users(self, dataset: Dataset) -> sparse.csr_matrix:
        return dataset.basket_matrix() if self.baskets else dataset.matrix()

    def count(self, dataset: Dataset) -> Counts:
        """`together` csr float32 (n_items, n_items): co-occurrences; `held` float32 (n_items,): users, or
        baskets, of each item."""
        users = self._users(dataset)
        return {"together": products(users, users), "held": _held(users, self.similarity)}

    def update(self, change: Change, counts: Counts | None = None) -> Updated:
        """Exact: the same as a fit, but for the order in which float32 numbers are added."""
        if not change.adds_up:
            return super().update(change)
        before = self.count(change.before) if counts is None else counts
        after = total(before, self.count(change.now), self.count(change.then))
        new = replace(self)
        together, held = after["together"], after["held"]
        starts = np.flatnonzero(np.diff(together.indptr[:-1] // AT_ONCE, prepend=-1))
        blocks = [
            _strongest(_rows(together, start, end), start, held, new.similarity, new.shrink, new.neighbours)
            for start, end in pairwise([*starts.tolist(), len(held)])
        ]
        new.weights_ = _stacked(blocks)
        new.known_ = change.after.item_counts > 0
        new.item_ids_ = change.after.item_ids
        return Updated(new, COUNTED, after)


def similarities(
    users: sparse.csr_matrix,
    *,
    similarity: Similarity,
    shrink: float,
    neighbours: int,
    at_once: int = AT_ONCE,
) -> sparse.csr_matrix:
    """float32 csr (n_items, n_items): the strongest `neighbours` of each item; see `ItemKNN`.

    `users`: csr (users or baskets, n_items). `at_once`: co-occurrences held in memory at a time.
    """
    items, count = users.T.tocsr(), _held(users, similarity)
    n = len(count)
    # No item meets more others than its users have events.
    most = np.cumsum(np.minimum(items @ np.diff(users.indptr).astype(np.float64), n))
    starts = np.flatnonzero(np.diff(most // at_once, prepend=-1.0))
    blocks = [
        _strongest((items[start:end] @ users).tocsr(), start, count, similarity, shrink, neighbours)
        for start, end in pairwise([*starts.tolist(), n])
    ]
    return _stacked(blocks)


def _rows(matrix: sparse.csr_matrix, start: int, end: int) -> sparse.csr_matrix:
    """Some rows, without a copy of what they hold."""
    indptr = matrix.indptr[start : end + 1]
    part = slice(indptr[0], indptr[-1])
    triple = matrix.data[part], matrix.indices[part], indptr - indptr[0]
    return sparse.csr_matrix(triple, shape=(end - start, matrix.shape[1]))


def _held(users: sparse.csr_matrix, similarity: Similarity) -> Floats:
    """float32 (n_items,): users or baskets of each item, by weight where events differ in it."""
    if len(users.data) and (users.data != 1.0).any():
        users = users.power(2) if similarity == "cosine" else users
    return np.asarray(users.sum(axis=0), np.float32).ravel()


def _strongest(
    together: sparse.csr_matrix,
    start: int,
    count: Floats,
    similarity: Similarity,
    shrink: float,
    neighbours: int,
) -> sparse.csr_matrix:
    """The neighbours of some items, from `start` on; `together` csr (items, n_items)."""
    together.sort_indices()  # which of equals is kept must not depend on how they were counted
    rows = np.arange(start, start + together.shape[0], dtype=np.int32)
    lengths, column = np.diff(together.indptr), together.indices
    norm = np.repeat(count[rows], lengths)
    if similarity == "cosine":
        norm *= count.take(column)
        np.sqrt(norm, out=norm)
    # float32; `norm` is positive wherever two items met, so a shrink of 0 divides by no zero.
    norm += np.float32(shrink)
    alike = np.divide(together.data, norm, out=norm)
    alike[np.repeat(rows, lengths) == column] = 0.0
    made = sparse.csr_matrix((alike, column, together.indptr), shape=together.shape)
    return keep_strongest(made, neighbours)


def _stacked(blocks: Sequence[sparse.csr_matrix]) -> sparse.csr_matrix:
    if not blocks:
        return sparse.csr_matrix((0, 0), dtype=np.float32)
    return sparse.vstack(blocks, format="csr", dtype=np.float32)
