"""`ALS`: matrix factorisation of implicit feedback; a history is folded in when it is asked about."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.dense.products import products
from crossaisle.models.space import AnyDecay, Choice, Range, Space


@dataclass(kw_only=True)
class ALS(Scorer):
    """Weighted matrix factorisation by alternating least squares.

    Hu, Koren and Volinsky, Collaborative Filtering for Implicit Feedback Datasets (ICDM 2008). With the
    confidence c = 1 + alpha r of an item in a history (r: its decayed events) and item vectors Y, a
    history has the vector x = (Y'Y + Y'(C - I)Y + regularization I)^-1 Y'C p, and an item j the score
    x'y_j. The library `implicit` trains; serving needs numpy alone.
    """

    decay: Decay = field(default_factory=Decay)
    """How much older events of a history count, in training and in a question."""
    combine: Literal["sum", "log", "max"] = "log"
    """Repeats of an item in a history add up, as such or as ln(1 + sum), or the strongest stands for all."""
    factors: int = field(default=64, metadata={"low": 1, "high": 4096})
    """Length of an item's vector."""
    alpha: float = field(default=10.0, metadata={"low": 1e-6, "high": 1e9})
    """Confidence that an event adds to that of an item without one, which is 1."""
    regularization: float = field(default=1.0, metadata={"low": 1e-6, "high": 1e9})
    """L2 penalty of every vector."""
    iterations: int = field(default=15, metadata={"low": 1, "high": 1000})
    """Passes over users and items."""
    seed: int = field(default=0, metadata={"low": 0, "high": 2**31 - 1})
    """Of the vectors that training starts from."""

    factors_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items, factors): vectors of the items (Y); zeros for items without an event."""
    known_: npt.NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    """bool (n_items,): items with an event."""
    kind: ClassVar[str] = "als"
    space: ClassVar[Space] = {
        "factors": Range(low=16, high=256, whole=True),
        "alpha": Range(low=0.3, high=100.0),
        "regularization": Range(low=0.01, high=100.0),
        "combine": Choice(("log", "sum", "max")),
        "decay": AnyDecay(),
    }
    learned: ClassVar[tuple[str, ...]] = ("factors_", "known_")
    needs: ClassVar[tuple[str, str] | None] = ("implicit", "als")
    slow: ClassVar[bool] = True

    def fit(self, dataset: Dataset) -> ALS:
        """`MissingDependencyError` without the library `implicit`."""
        self.check_installed()
        self.known_ = dataset.item_counts > 0
        self.factors_ = np.zeros((dataset.n_items, self.factors), np.float32)
        confidence = self._confidence(dataset.histories(), dataset.n_items)
        busy = np.flatnonzero(self.known_)
        if len(busy):
            self.factors_[busy] = self._trained(confidence[:, busy].tocsr())
        self.item_ids_ = dataset.item_ids
        return self

    def _trained(self, confidence: sparse.csr_matrix) -> Floats:
        """float32 (items, factors) from csr float32 (users, items)."""
        from implicit.cpu.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        model = AlternatingLeastSquares(
            factors=self.factors,
            regularization=self.regularization,
            iterations=self.iterations,
            random_state=self.seed,
        )
        # The library runs threads of its own, and warns where BLAS would add more.
        with threadpool_limits(1, "blas"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            model.fit(confidence, show_progress=False)
        return np.asarray(model.item_factors, np.float32)

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items without events and for histories without a known item."""
        self.check_fitted()
        scores = products(self._users(histories), self.factors_)
        scores[:, ~self.known_] = np.nan
        scores[~self._speaking(histories)] = np.nan
        return scores

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        vectors, speaking = self._users(histories), self._speaking(histories)
        return [
            np.where(self.known_[at] & speaks, self.factors_[at] @ vector, np.float32(np.nan))
            for vector, speaks, at in zip(vectors, speaking, rows, strict=True)
        ]

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: x'y_j is a sum over the history, item i giving c_i y_j' W y_i (section 5 of the paper).

        W, the inverse above, knows the whole history: without an event the others count a little more.
        """
        self.check_fitted()
        out = np.zeros(len(histories.item), np.float32)
        confidence = self._confidence(histories, len(self.known_))
        if not self.known_[item] or not confidence.nnz:
            return out, 0.0
        rows = confidence.indices
        towards = np.linalg.solve(self._normal(rows, confidence.data), self.factors_[item].astype(np.float64))
        amount = np.zeros(len(self.known_))
        amount[rows] = confidence.data * (self.factors_[rows] @ towards)
        events = self.decay.weights(histories).astype(np.float64)
        total = np.bincount(histories.item, events, len(amount))[histories.item]
        return (amount[histories.item] * events / np.maximum(total, 1e-30)).astype(np.float32), 0.0

    def _confidence(self, histories: Histories, n_items: int) -> sparse.csr_matrix:
        """csr float32 (n, n_items): 1 + alpha r where a history has an item."""
        weights = histories.matrix(self.decay.weights(histories), n_items, combine=self.combine)
        weights.data = 1.0 + np.float32(self.alpha) * weights.data
        return weights

    def _users(self, histories: Histories) -> Floats:
        """float32 (n, factors): the histories folded in by the normal equations."""
        confidence = self._confidence(histories, len(self.known_))
        out = np.zeros((len(histories), self.factors_.shape[1]), np.float32)
        for row, (start, end) in enumerate(zip(confidence.indptr, confidence.indptr[1:], strict=False)):
            if start < end:
                rows, weight = confidence.indices[start:end], confidence.data[start:end]
                out[row] = np.linalg.solve(self._normal(rows, weight), weight @ self.factors_[rows])
        return out

    def _normal(self, rows: Rows, confidence: Floats) -> npt.NDArray[np.float64]:
        """float64 (factors, factors): Y'Y + Y'(C - I)Y + regularization I of one history."""
        own = self.factors_[rows]
        return self._gram + (own.T * (confidence - 1.0)) @ own

    @cached_property
    def _gram(self) -> npt.NDArray[np.float64]:
        """float64 (factors, factors): Y'Y + regularization I."""
        vectors = self.factors_.astype(np.float64)
        # A trace of ridge keeps vectors that are all zero solvable.
        return vectors.T @ vectors + max(self.regularization, 1e-9) * np.eye(vectors.shape[1])

    def _speaking(self, histories: Histories) -> npt.NDArray[np.bool_]:
        """bool (n,): histories with an item that has a vector."""
        return np.bincount(histories.owner, self.known_[histories.item], len(histories)) > 0
