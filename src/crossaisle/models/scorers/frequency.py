"""`Frequency`: what a user buys again, from the user's own history alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.topk import Mask, values_at


@dataclass(kw_only=True)
class Frequency(Scorer):
    """Recency-weighted counts of the history's own items; the strong baseline of repeat-buying shops.

    Li et al., A Next Basket Recommendation Reality Check (TOIS 2023).
    """

    decay: Decay = field(default_factory=Decay)
    """How much older events of the history count."""

    kind: ClassVar[str] = "frequency"
    reason: ClassVar[str] = "bought before"

    def fit(self, dataset: Dataset) -> Frequency:
        """Only takes the item ids: there is nothing to learn from other users."""
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items): sum of event weights; NaN for items that are not in the history."""
        self.check_fitted()
        counts = histories.matrix(self.decay.weights(histories), len(self.item_ids_))
        scores = np.full(counts.shape, np.nan, np.float32)
        scores[np.repeat(np.arange(len(histories)), np.diff(counts.indptr)), counts.indices] = counts.data
        return scores

    def nominate(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        own = [np.unique(histories.items_of(row)) for row in range(len(histories))]
        return own if among is None else [rows[among[rows]] for rows in own]

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        counts = histories.matrix(self.decay.weights(histories), len(self.item_ids_))
        return [values_at(counts, row, at, missing=np.nan) for row, at in enumerate(rows)]

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: the weights of the item's own events."""
        self.check_fitted()
        weights = self.decay.weights(histories)
        return np.where(histories.item == item, weights, np.float32(0.0)), 0.0
