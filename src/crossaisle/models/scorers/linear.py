"""Closed-form linear item-item models: `EASE` for sets, `SLIT` for sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.execution.executor import Executor, LocalExecutor
from crossaisle.execution.processors import cores
from crossaisle.models.scorers.item_item import ItemWeights, keep_strongest
from crossaisle.models.scorers.learning.blocks import ridge_in_blocks
from crossaisle.models.scorers.learning.ridge import inverse_of_gram, ridge_of_neighbours
from crossaisle.models.space import AnyDecay, Range, Space
from crossaisle.models.topk import top_k
from crossaisle.models.updates import Change, Counts, Updated, products, raised, steps

_BLOCK = 1024  # rows of a weight matrix held dense at once
_LONGEST = 12  # places a source or target reaches: exp(-12 / 2) is 0.2 %
_Blocks = Iterator[Floats] | Iterator[sparse.csr_matrix]


@dataclass(kw_only=True)
class EASE(ItemWeights):
    """Ridge regression of every item on all others, with a zero diagonal.

    Steck, Embarrassingly Shallow Autoencoders for Sparse Data (WWW 2019). `SpectralEASE` is the form
    for shops with fewer users than items.
    """

    ridge: float | None = field(default=None, metadata={"low": 0.01, "high": 1e9})
    """L2 penalty; None takes 12 times the mean number of users per item."""
    keep: int = field(default=300, metadata={"low": 1, "high": 10_000_000})
    """Weights kept per history item, the largest in size."""
    neighbours: int = field(default=250, metadata={"low": 1, "high": 10_000_000})
    """Each item is regressed on so many others that it was most with. Where all items are not more than
    that, this is the exact solution."""
    max_items: int = field(default=10_000_000, metadata={"low": 1, "high": 10_000_000})
    """Only this many items, the most bought, take part."""

    kind: ClassVar[str] = "ease"
    space: ClassVar[Space] = {"ridge": Range(low=5.0, high=5000.0), "decay": AnyDecay()}

    def fit(self, dataset: Dataset) -> EASE:
        return self.fit_on(dataset, LocalExecutor())

    def fit_on(self, dataset: Dataset, executor: Executor) -> EASE:
        busy = _busiest(dataset, self.max_items)
        self.weights_ = _collect(self._blocks(dataset, busy, executor), busy, dataset.n_items, self.keep)
        self.known_ = np.isin(np.arange(dataset.n_items), busy)
        self.item_ids_ = dataset.item_ids
        return self

    def _blocks(self, dataset: Dataset, busy: npt.NDArray[np.int64], executor: Executor) -> _Blocks:
        """Rows of the weights between the busy items."""
        users = dataset.matrix()[:, busy].tocsr()
        gram = products(users, users)
        ridge = self._ridge(gram, len(busy))
        if len(busy) <= self.neighbours:
            return _over_items(gram, ridge)
        return iter([ridge_in_blocks(executor, gram, _off_diagonal(gram), ridge, self.neighbours)])

    def _ridge(self, gram: sparse.csr_matrix, items: int) -> float:
        return self.ridge or 12.0 * float(gram.diagonal().sum()) / max(items, 1)

    def count(self, dataset: Dataset) -> Counts:
        """`gram` csr float32 (n_items, n_items): users of two items."""
        users = dataset.matrix()
        return {"gram": products(users, users)}

    def update(self, change: Change, counts: Counts | None = None) -> Updated:
        """See `updated`. Each event of a user touches all items of that user: little is saved."""
        return updated(self, change, counts) or super().update(change)

    def penalty(self, counts: Counts, items: int) -> float:
        """What is added to the diagonal, where so many items have events."""
        return self._ridge(counts["gram"], items)

    def targets(self, counts: Counts) -> sparse.csr_matrix:
        """csr float32 (n_items, n_items): what each item is regressed to."""
        return _off_diagonal(counts["gram"])


def _off_diagonal(gram: sparse.csr_matrix) -> sparse.csr_matrix:
    out = (gram - sparse.diags_array(gram.diagonal(), format="csr")).tocsr()
    out.eliminate_zeros()
    return out


def _over_items(gram: sparse.csr_matrix, ridge: float) -> Iterator[Floats]:
    """Blocks of rows of EASE's weights from the inverse of the item-item matrix."""
    inverse = inverse_of_gram(gram, ridge)
    diagonal = np.diag(inverse).copy()
    for start in range(0, len(inverse), _BLOCK):
        block: Floats = -inverse[start : start + _BLOCK] / diagonal
        block[np.arange(len(block)), start + np.arange(len(block))] = 0.0
        yield block


@dataclass(kw_only=True)
class SLIT(ItemWeights):
    """Ridge regression of the next items on the items before them, each place of a history one example.

    Choi et al., Session-aware Linear Item-Item Models (WWW 2021): B = (S'S + ridge I)^-1 S'T, where a
    row of S holds the decayed past of one place and the row of T its decayed future.
    """

    decay: Decay = field(default_factory=lambda: Decay(events=2.0))
    """Weights of the query's events."""
    ridge: float = field(default=50.0, metadata={"low": 0.01, "high": 1e9})
    """L2 penalty."""
    source_decay: float = field(default=2.0, metadata={"low": 0.01, "high": 1e9})
    """An example's past event `a` places back weighs exp(-a / source_decay)."""
    target_decay: float = field(default=1.0, metadata={"low": 0.01, "high": 1e9})
    """Its future event `a` places ahead of the next one weighs exp(-a / target_decay)."""
    next_items: int = field(default=3, metadata={"low": 1, "high": 1000})
    """Future events per example."""
    keep: int = field(default=300, metadata={"low": 1, "high": 10_000_000})
    """Weights kept per history item, the largest in size."""
    neighbours: int = field(default=250, metadata={"low": 1, "high": 10_000_000})
    """Each item is regressed on so many others that it was most with. Where all items are not more than
    that, this is the exact solution."""
    max_items: int = field(default=10_000_000, metadata={"low": 1, "high": 10_000_000})
    """Only this many items, the most bought, take part."""

    kind: ClassVar[str] = "slit"
    space: ClassVar[Space] = {
        "ridge": Range(low=2.0, high=1000.0),
        "source_decay": Range(low=0.5, high=10.0),
        "target_decay": Range(low=0.3, high=10.0),
        "next_items": Range(low=1, high=7, log=False, whole=True),
        "decay": AnyDecay(),
    }
    reason: ClassVar[str] = "bought next"

    def fit(self, dataset: Dataset) -> SLIT:
        return self.fit_on(dataset, LocalExecutor())

    def fit_on(self, dataset: Dataset, executor: Executor) -> SLIT:
        busy = _busiest(dataset, self.max_items)
        self.weights_ = _collect(self._blocks(dataset, busy, executor), busy, dataset.n_items, self.keep)
        self.known_ = np.isin(np.arange(dataset.n_items), busy)
        self.item_ids_ = dataset.item_ids
        return self

    def _blocks(self, dataset: Dataset, busy: npt.NDArray[np.int64], executor: Executor) -> _Blocks:
        """Rows of the weights between the busy items."""
        gram, together = self._counts(dataset, busy)
        if len(busy) <= self.neighbours:
            return _after_items(gram, together, self.ridge)
        return iter([ridge_in_blocks(executor, gram, together, self.ridge, self.neighbours)])

    def _counts(
        self, dataset: Dataset, busy: npt.NDArray[np.int64]
    ) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """csr (busy, busy) twice: pasts with pasts, and with futures."""
        past, future = self._examples(dataset.histories())
        past = past[:, busy].tocsr()
        future = future[:, busy].tocsr()
        return products(past, past), products(past, future)

    def count(self, dataset: Dataset) -> Counts:
        """Two csr float32 (n_items, n_items): `gram`, pasts with pasts; `together`, pasts with futures."""
        past, future = self._examples(dataset.histories())
        past.resize(past.shape[0], dataset.n_items)
        future.resize(future.shape[0], dataset.n_items)
        return {"gram": products(past, past), "together": products(past, future)}

    def update(self, change: Change, counts: Counts | None = None) -> Updated:
        """See `updated`: of the items that were bought, the weights are those of a fit."""
        return updated(self, change, counts) or super().update(change)

    def penalty(self, counts: Counts, items: int) -> float:
        """What is added to the diagonal."""
        return self.ridge

    def targets(self, counts: Counts) -> sparse.csr_matrix:
        """csr float32 (n_items, n_items): what each item is regressed to."""
        together: sparse.csr_matrix = counts["together"]
        return together

    def _examples(self, histories: Histories) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """csr (places, items) of pasts and futures: one example per event that has a later one."""
        n, own = len(histories.item), histories.weight
        left = np.repeat(histories.indptr[1:], histories.lengths) - np.arange(n) - 1  # events after it
        behind = np.arange(n) - np.repeat(histories.indptr[:-1], histories.lengths)  # events before it
        places = np.flatnonzero(left > 0)
        shape = (len(places), int(histories.item.max(initial=-1)) + 1)

        def matrix(offsets: range, room: npt.NDArray[np.int64], sign: int, scale: float) -> sparse.csr_matrix:
            # Row by row from the start: a list of (row, column) pairs would take four times the memory.
            indptr = np.concatenate(
                [[0], np.cumsum(np.clip(room, offsets[0] - 1, offsets[-1]) - offsets[0] + 1)]
            )
            column, weight = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
            for at, step in enumerate(offsets):
                fits = np.flatnonzero(room >= step)
                into, event = indptr[fits] + at, places[fits] + sign * step
                column[into] = histories.item[event]
                near = np.float32(np.exp(-at / scale))
                weight[into] = near if own is None else near * own[event]
            out = sparse.csr_matrix((weight, column, indptr), shape=shape)
            out.sum_duplicates()
            return out

        past = matrix(range(0, _LONGEST + 1), behind[places], -1, self.source_decay)
        future = matrix(range(1, self.next_items + 1), left[places], +1, self.target_decay)
        return past, future


def updated(old: EASE | SLIT, change: Change, counts: Counts | None) -> Updated | None:
    """A linear model after a change; None where it is not solved on neighbours and must be fitted whole.

    Columns of items whose own products with others changed are solved anew, exactly. Of the others, only
    the left sides changed; each weight is scaled by how much its item's own square (and the penalty) grew,
    which is all there is to first order but for products of two neighbours.
    """
    busy = int((change.after.item_counts > 0).sum())
    before_busy = int((change.before.item_counts > 0).sum())
    if not change.adds_up or busy > old.max_items or min(busy, before_busy) <= old.neighbours:
        return None
    before = old.count(change.before) if counts is None else counts
    by = steps(old.count(change.now), old.count(change.then))
    after, new, step = raised(before, by), replace(old), old.targets(by)
    columns = np.flatnonzero(np.bincount(step.indices, minlength=step.shape[1]))
    ridge, n = old.penalty(after, busy), change.after.n_items
    found = ridge_of_neighbours(
        after["gram"], old.targets(after), ridge, old.neighbours, columns=columns, threads=cores()
    )
    scale = np.zeros(n, np.float32)
    was = before["gram"].diagonal() + old.penalty(before, before_busy)
    scale[: len(was)] = was / (after["gram"].diagonal()[: len(was)] + ridge)
    weights = old.weights_.copy()
    weights.resize(n, n)
    again = np.zeros(n, bool)
    again[columns] = True
    weights.data = weights.data * np.repeat(scale, np.diff(weights.indptr))
    weights.data[again[weights.indices]] = 0.0
    new.weights_ = keep_strongest((weights + found).tocsr(), old.keep)
    new.known_ = change.after.item_counts > 0
    new.item_ids_ = change.after.item_ids
    return Updated(new, f"{len(columns):,} of {busy:,} items solved anew", after)


def _after_items(gram: sparse.csr_matrix, together: sparse.csr_matrix, ridge: float) -> Iterator[Floats]:
    """Blocks of rows of SLIT's weights; `together`: csr (sources, targets)."""
    inverse = inverse_of_gram(gram, ridge)
    targets = together.T.tocsr()  # so that rows of the weights come out dense
    for start in range(0, len(inverse), _BLOCK):
        yield np.ascontiguousarray((targets @ inverse[start : start + _BLOCK].T).T)


def _busiest(dataset: Dataset, limit: int) -> npt.NDArray[np.int64]:
    """Rows of the items with the most events, at most `limit`, ascending; those without any are left out."""
    count = dataset.item_counts
    return np.sort(np.argsort(-count, kind="stable")[: min(limit, int((count > 0).sum()))])


def _collect(
    blocks: _Blocks,
    busy: npt.NDArray[np.int64],
    n_items: int,
    keep: int,
) -> sparse.csr_matrix:
    """The strongest weights of each row, put back into the rows and columns of the whole catalogue."""
    kept = [
        keep_strongest(block, keep) if sparse.issparse(block) else _strongest(block, keep) for block in blocks
    ]
    small = sparse.vstack(kept, format="csr") if kept else sparse.csr_matrix((0, 0), dtype=np.float32)
    lengths = np.zeros(n_items, np.int64)
    lengths[busy] = np.diff(small.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    shape = (n_items, n_items)
    return sparse.csr_matrix((small.data, busy[small.indices].astype(np.int32), indptr), shape=shape)


def _strongest(block: Floats, keep: int) -> sparse.csr_matrix:
    """csr of the `keep` largest entries of each row, in size."""
    n = block.shape[1]
    if keep >= n:
        return sparse.csr_matrix(block)
    columns = np.sort(top_k(np.abs(block), keep), axis=1)
    data = np.take_along_axis(block, columns, axis=1)
    indptr = np.arange(0, data.size + 1, keep)
    return sparse.csr_matrix((data.ravel(), columns.ravel(), indptr), shape=block.shape)
