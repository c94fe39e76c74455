"""Ridge regressions shared out: each worker of an executor solves the systems of some items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from crossaisle.execution.executor import Executor
from crossaisle.models.scorers.learning.ridge import Ints, ridge_of_neighbours

ITEMS = 16_384
"""Items of a shard: a worker takes the products of the busiest items with each other anew for each."""


@dataclass(frozen=True)
class Regressions:
    """A task: the columns of `ridge_of_neighbours` for some items."""

    gram: sparse.csr_matrix
    together: sparse.csr_matrix
    ridge: float
    neighbours: int

    def __call__(self) -> Callable[[Ints], sparse.csr_matrix]:
        return self._columns

    def _columns(self, items: Ints) -> sparse.csr_matrix:
        return ridge_of_neighbours(self.gram, self.together, self.ridge, self.neighbours, columns=items)


def ridge_in_blocks(
    executor: Executor,
    gram: sparse.csr_matrix,
    together: sparse.csr_matrix,
    ridge: float,
    neighbours: int,
    *,
    items: int = ITEMS,
) -> sparse.csr_matrix:
    """csr float32 (n, n): `ridge_of_neighbours`, by `items` items at a time where there are workers.

    The same up to rounding: which systems are padded to one size depends on which are solved together.
    """
    if executor.threads is None:  # one process
        return ridge_of_neighbours(gram, together, ridge, neighbours)
    gram = gram.tocsr()
    gram.sort_indices()  # workers may not write to what they are sent
    task = Regressions(gram, together.tocsc(), ridge, neighbours)
    # Items with many neighbours take longest: each shard gets its share of them.
    order = np.argsort(-np.diff(task.together.indptr), kind="stable")
    shards = -(-len(order) // items)
    found = [
        part.tocoo() for part in executor.map(task, (np.sort(order[at::shards]) for at in range(shards)))
    ]
    where = (np.concatenate([one.row for one in found]), np.concatenate([one.col for one in found]))
    values = np.concatenate([one.data for one in found])
    return sparse.csr_matrix((values, where), shape=gram.shape, dtype=np.float32)
