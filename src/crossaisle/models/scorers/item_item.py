"""`ItemWeights`: the common half of all models that are one matrix, history times weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.distinct import run_starts
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.topk import Mask, values_at


@dataclass(kw_only=True)
class ItemWeights(Scorer):
    """Scores are `q W`: the decayed events of a history times an item-to-item matrix.

    A subclass only writes `fit`, which sets `weights_`, `known_` and `item_ids_`.
    """

    decay: Decay = field(default_factory=Decay)
    """How much older events of the history count."""
    combine: Literal["sum", "log", "max"] = "sum"
    """Repeats of an item in a history add up, as such or as ln(1 + sum), or the strongest stands for all."""
    average: bool = False
    """Divide by the weight of the whole history, so that long ones do not score higher."""

    weights_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr float32 (n_items, n_items): row = item of the history, column = candidate."""
    known_: npt.NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    """bool (n_items,): the candidates this model can score."""
    learned: ClassVar[tuple[str, ...]] = ("weights_", "known_")

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for unknown candidates and for a history without a known item."""
        self.check_fitted()
        query = self._query(histories)
        scores: Floats = (query @ self.weights_).toarray()
        scores[:, ~self.known_] = np.nan
        scores[~self._speaking(histories)] = np.nan
        return scores

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        scores = self.once(histories, self._sparse_scores)
        out = []
        for part in map(slice, scores.indptr[:-1], scores.indptr[1:]):
            rows, value = scores.indices[part], scores.data[part]
            if among is not None:
                rows, value = rows[among[rows]], value[among[rows]]
            if len(rows) > k:
                rows = rows[np.sort(np.argpartition(value, -k)[-k:])]
            out.append(rows[self.known_[rows]])
        return out

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        scores, speaking = self.once(histories, self._sparse_scores), self._speaking(histories)
        return [
            np.where(self.known_[at] & speaking[row], values_at(scores, row, at), np.float32(np.nan))
            for row, at in enumerate(rows)
        ]

    def _sparse_scores(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_items), indices sorted; zero where nothing links the history and an item."""
        scores = self._query(histories) @ self.weights_
        scores.sort_indices()
        return scores

    def _speaking(self, histories: Histories) -> npt.NDArray[np.bool_]:
        """bool (n,): histories with an item that has weights."""
        indptr = self.weights_.indptr
        has_weights = indptr[histories.item + 1] > indptr[histories.item]
        return np.bincount(histories.owner, has_weights, len(histories)) > 0

    def _query(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_items): the weight of each item in each history."""
        query = histories.matrix(self.decay.weights(histories), len(self.known_), combine=self.combine)
        if self.average:
            total = np.asarray(query.sum(axis=1)).ravel()
            query.data /= np.maximum(np.repeat(total, np.diff(query.indptr)), 1e-12)
        return query

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event gives its decayed weight times its item's weight on the candidate."""
        self.check_fitted()
        events = self.decay.weights(histories)
        if self.combine == "max":
            events = np.where(_strongest_of_repeats(histories.item, events), events, 0.0)
        if not self.known_[item]:
            return np.zeros(len(events), np.float32), 0.0
        # Each event carries its share of what its item's repeats come to.
        total = np.bincount(histories.item, events, len(self.known_))[histories.item]
        weight = self._query(histories).toarray().ravel()[histories.item]
        events = weight * events / np.maximum(total, 1e-30)
        column = np.asarray(self.weights_[histories.item, np.full(len(events), item)]).ravel()
        return (events * column).astype(np.float32), 0.0


def _strongest_of_repeats(items: npt.NDArray[np.int32], weights: Floats) -> npt.NDArray[np.bool_]:
    """bool (nnz,): True for one event per item, its strongest, the newest of equals."""
    order = np.lexsort((-np.arange(len(items)), -weights, items))
    out = np.zeros(len(items), bool)
    out[order[run_starts(items[order])]] = True
    return out


def keep_strongest(weights: sparse.csr_matrix, keep: int) -> sparse.csr_matrix:
    """The `keep` entries of each row that are largest in size; explicit zeros go too."""
    weights = weights.tocsr()
    kept = weights.data != 0.0
    for row in np.flatnonzero(np.diff(weights.indptr) > keep):
        part = slice(weights.indptr[row], weights.indptr[row + 1])
        size = np.abs(weights.data[part])
        kept[part] = False
        kept[part.start + np.argpartition(size, -keep)[-keep:]] = True
    there = np.flatnonzero(kept)
    indptr = np.searchsorted(there, weights.indptr)
    triple = weights.data.take(there), weights.indices.take(there), indptr.astype(weights.indptr.dtype)
    return sparse.csr_matrix(triple, shape=weights.shape)
