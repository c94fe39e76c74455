"""`BehaviourTransfer`: an item that nobody bought yet behaves like those whose texts are nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.item_item import keep_strongest
from crossaisle.models.topk import top_k

_BLOCK = 1024  # rows of cosines held at once
_REACH = 8  # places of a history that count as together: exp(-7 / 3) is 10 %
_BACKWARDS = 0.7  # what an item before another says, against one after it
_SPARE = 0.1  # added to a sum of similarities: far neighbours alone lend little


@dataclass(kw_only=True)
class BehaviourTransfer(Scorer):
    """Scores are `q T K'`: what goes with the history, lent to candidates by items of similar text.

    `T` counts which items stood near each other in histories, `K` holds powers of text similarities,
    rows adding up to nearly 1, without the item itself. Gantner et al., Learning Attribute-to-Feature
    Mappings for Cold-Start Recommendations (ICDM 2010), with the neighbours' columns as features.
    An item with `n` events uses its own column with weight n / (n + own) and borrows the rest, so that
    one formula covers no events, a few and many.
    """

    decay: Decay = field(default_factory=lambda: Decay(events=2.0))
    """How much older events of the history count."""
    average: bool = False
    """Divide by the weight of the whole history, so that long ones do not score higher."""
    encoder: str = "none"
    """A text encoder beside TF-IDF: a known name, a folder, or "owner/name" on the hub."""
    own: float | None = field(default=None, metadata={"low": 1e-6, "high": 1e9})
    """Events at which an item's own behaviour weighs half; None borrows always, also for known items."""
    power: float = field(default=3.0, metadata={"low": 0.01, "high": 100.0})
    """Exponent of the similarities: larger ones listen to the nearest neighbours only."""
    neighbours: int = field(default=100, metadata={"low": 1, "high": 10_000_000})
    """Lenders kept per item and text."""
    exponent: float = field(default=0.6, metadata={"low": 0.0, "high": 2.0})
    """Counts are divided by (events of both items) to this power; 0.5 is a cosine."""
    shrink: float = field(default=3.0, metadata={"low": 1e-6, "high": 1e9})
    """Added to the events of each item: pairs seen a few times count less."""

    together_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr float32 (n_items, n_items): row = item of the history, column = lender."""
    kernel_: sparse.csr_matrix = field(init=False, repr=False, compare=False)
    """csr float32 (n_items, n_items): row = candidate, column = lender."""
    kind: ClassVar[str] = "borrowed"
    slow: ClassVar[bool] = True
    reason: ClassVar[str] = "bought with similar products"
    learned: ClassVar[tuple[str, ...]] = ("together_", "kernel_")

    def fit(self, dataset: Dataset) -> BehaviourTransfer:
        texts: list[Any] = [TfidfEncoder(min_df=2, forms=dataset.words).fit_transform(dataset.item_texts)]
        if self.encoder != "none":
            from crossaisle.models.scorers.content import EncoderSimilarity

            texts.append(EncoderSimilarity(encoder=self.encoder).fit(dataset).vectors_)
        return self.fit_texts(dataset, texts)

    def fit_texts(self, dataset: Dataset, texts: Sequence[Any]) -> BehaviourTransfer:
        """From text vectors at hand: float32 or csr (n_items, d) with unit rows, one or several."""
        lenders = dataset.item_counts > 0
        return self.fit_kernels(dataset, [self.kernel(vectors, lenders) for vectors in texts])

    def fit_kernels(self, dataset: Dataset, kernels: Sequence[sparse.csr_matrix]) -> BehaviourTransfer:
        """From what `kernel` gave for the lenders of this data set, or of one with more."""
        count = dataset.item_counts.astype(np.float32)
        lent = sum(kernels[1:], start=kernels[0]) @ sparse.diags((count > 0).astype(np.float32))
        total = np.asarray(lent.sum(axis=1)).ravel()
        lent = sparse.diags(1 / (total + _SPARE)) @ lent
        if self.own is not None:
            mine = count / (count + self.own)
            lent = sparse.diags(1 - mine) @ lent + sparse.diags(mine)
        self.kernel_ = lent.tocsr().astype(np.float32)
        self.together_ = self._together(dataset)
        self.item_ids_ = dataset.item_ids
        return self

    def kernel(self, vectors: Any, lenders: npt.NDArray[np.bool_]) -> sparse.csr_matrix:
        """csr float32 (n_items, n_items): powers of the cosines to the nearest lenders, never to itself."""
        n = vectors.shape[0]
        rows = []
        for start in range(0, n, _BLOCK):
            cosines = vectors[start : start + _BLOCK] @ vectors.T
            dense = np.asarray(cosines.toarray() if sparse.issparse(cosines) else cosines, np.float32)
            dense[:, ~lenders] = 0.0
            dense[np.arange(len(dense)), start + np.arange(len(dense))] = 0.0
            keep = min(self.neighbours, n)
            column = top_k(dense, keep)
            value = np.maximum(np.take_along_axis(dense, column, axis=1), 0.0) ** self.power
            place = np.arange(0, value.size + 1, keep)
            rows.append(sparse.csr_matrix((value.ravel(), column.ravel(), place), shape=(len(dense), n)))
        out = sparse.vstack(rows, format="csr") if rows else sparse.csr_matrix((0, 0), dtype=np.float32)
        out.eliminate_zeros()
        out.sort_indices()
        return out

    def _together(self, dataset: Dataset) -> sparse.csr_matrix:
        """How often items stood near each other, over the root of how often each did."""
        histories, n = dataset.histories(), dataset.n_items
        left = histories.age
        near = sparse.csr_matrix((n, n), dtype=np.float32)
        for gap in range(1, _REACH + 1):
            first = np.flatnonzero(left >= gap)
            pairs = histories.item[first], histories.item[first + gap]
            weight = np.full(len(first), np.exp(-(gap - 1) / 3), np.float32)
            if histories.weight is not None:
                weight *= histories.weight[first] * histories.weight[first + gap]
            near = near + sparse.csr_matrix((weight, pairs), shape=(n, n))
        near = (near + _BACKWARDS * near.T).tocsr()
        near = near - sparse.diags(near.diagonal())
        seen = np.asarray(near.sum(axis=1)).ravel()
        scale = sparse.diags((seen + self.shrink) ** -self.exponent)
        return keep_strongest((scale @ near @ scale).tocsr().astype(np.float32), 1000)

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for candidates without a lender and histories that go with nothing."""
        self.check_fitted()
        query = histories.matrix(self.decay.weights(histories, average=self.average), self.together_.shape[0])
        going = query @ self.together_
        scores: Floats = (going @ self._lent).toarray()
        scores[:, np.diff(self.kernel_.indptr) == 0] = np.nan
        scores[np.diff(going.indptr) == 0] = np.nan
        return scores

    @cached_property
    def _lent(self) -> sparse.csr_matrix:
        """csr float32 (n_items, n_items): the kernel by lender."""
        return self.kernel_.T.tocsr()

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: each event gives its weight times what its item goes with among the lenders."""
        self.check_fitted()
        goes = np.asarray((self.together_[histories.item] @ self.kernel_[item].T).todense()).ravel()
        return (self.decay.weights(histories, average=self.average) * goes).astype(np.float32), 0.0
