"""`Frequency` and `PersonalPopularity`: what a user buys again, from the user's own history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.dense.rough import OfOwnItems, Rough
from crossaisle.models.space import AnyDecay, Range, Space
from crossaisle.models.topk import Mask, first_of, values_at


@dataclass(kw_only=True)
class Frequency(Scorer):
    """Recency-weighted counts of the history's own items; the strong baseline of repeat-buying shops.

    Li et al., A Next Basket Recommendation Reality Check (TOIS 2023).
    """

    decay: Decay = field(default_factory=Decay)
    """How much older events of the history count."""

    kind: ClassVar[str] = "frequency"
    space: ClassVar[Space] = {"decay": AnyDecay()}
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

    def rough(self, histories: Histories, *, fewer: bool = False) -> Rough:
        own = histories.item_weights(self.decay.weights(histories))
        return OfOwnItems(own, len(self.item_ids_))

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
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


@dataclass(kw_only=True)
class PersonalPopularity(Scorer):
    """How likely a basket of this user has an item: the user's share of baskets, backed off to everybody's.

    `P(j | u) = (h_j + s P(j)) / (t + s)`, with h_j the decayed count of the user's events with j and t
    something that is the same for all j. The score is its logarithm, less what is the same for all j:
    `ln(1 + h_j / (s P(j))) + ln P(j)`, the second term so that the rarest item has 0.
    """

    decay: Decay = field(default_factory=lambda: Decay(half_life_days=60.0))
    """How much older events of the history count."""
    shrink: float = field(default=5.0, metadata={"low": 1e-6, "high": 1e9})
    """Baskets of everybody's taste added to the user's (s)."""
    half_life_days: float | None = field(default=30.0, metadata={"low": 0.001, "high": 1e9})
    """Of everybody's baskets, for P(j): one this much older than the newest counts half."""

    share_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,): P(j); NaN for items without an event."""
    kind: ClassVar[str] = "personal_popularity"
    space: ClassVar[Space] = {
        "decay": AnyDecay(),
        "shrink": Range(low=0.5, high=100.0),
    }
    reason: ClassVar[str] = "bought before"
    rest_reason: ClassVar[str | None] = "popular"
    learned: ClassVar[tuple[str, ...]] = ("share_",)
    gaps: ClassVar[tuple[str, ...]] = learned

    def fit(self, dataset: Dataset) -> PersonalPopularity:
        weight = dataset.basket_weights(self.half_life_days)
        total = max(float(weight.sum()), 1e-12)
        held = dataset.basket_matrix().T @ weight
        # Of an item that nobody has had for long, some doubt is left.
        share = np.maximum(held, 0.1) / total
        self.share_ = np.where(dataset.item_counts > 0, share, np.nan).astype(np.float32)
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items); NaN for items without events and for empty histories."""
        self.check_fitted()
        lifts = self._lifts(histories)
        scores = np.tile(self._everyone, (len(histories), 1))
        scores[np.repeat(np.arange(len(histories)), np.diff(lifts.indptr)), lifts.indices] += lifts.data
        scores[histories.lengths == 0] = np.nan
        return scores

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        popular = first_of(self._order, k, among)
        out = []
        for row in range(len(histories)):
            own = np.unique(histories.items_of(row))
            own = own[~np.isnan(self.share_[own])]
            own = own if among is None else own[among[own]]
            out.append(np.union1d(own, popular).astype(np.int32) if histories.lengths[row] else own)
        return out

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        lifts = self._lifts(histories)
        spoken = np.where(histories.lengths > 0, np.float32(0.0), np.float32(np.nan))
        return [
            (values_at(lifts, row, at) + self._everyone[at] + spoken[row]).astype(np.float32)
            for row, at in enumerate(rows)
        ]

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """Exact: the item's own events share the first term by their weights; the rest is popularity."""
        self.check_fitted()
        weights = np.where(histories.item == item, self.decay.weights(histories), np.float32(0.0))
        if np.isnan(self.share_[item]) or not len(weights):
            return np.zeros(len(weights), np.float32), 0.0
        total = float(weights.sum())
        lift = float(np.log1p(total / (self.shrink * self.share_[item])))
        return (weights * np.float32(lift / max(total, 1e-30))).astype(np.float32), float(
            self._everyone[item]
        )

    def _lifts(self, histories: Histories) -> sparse.csr_matrix:
        """csr float32 (n, n_items), indices sorted: what the history adds to the logarithm of everybody's."""
        counts = histories.matrix(self.decay.weights(histories), len(self.share_))
        share = self.share_[counts.indices]
        counts.data = np.where(
            np.isnan(share), np.float32(0.0), np.log1p(counts.data / (np.float32(self.shrink) * share))
        )
        return counts

    @cached_property
    def _everyone(self) -> Floats:
        """float32 (n_items,): ln P(j), the smallest 0; NaN for items without an event."""
        log: Floats = np.log(self.share_)
        return log - np.nanmin(log) if (~np.isnan(log)).any() else log

    @cached_property
    def _order(self) -> Rows:
        """int32: items with an event, the most popular first."""
        known = np.flatnonzero(~np.isnan(self.share_))
        return known[np.argsort(-self.share_[known], kind="stable")].astype(np.int32)
