"""`AskedOf`: a scorer that sees one side of a user with a cart: the user's history or the cart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.dense.rough import Rough
from crossaisle.models.topk import Mask

Side = Literal["history", "cart"]


class AskedOf(Scorer):
    """Passes on the user's own events, or the items in view; not saved, the scorer itself is."""

    kind: ClassVar[str] = "asked_of"

    def __init__(self, scorer: Scorer, side: Side) -> None:
        self._scorer, self.side = scorer, side
        self.item_ids_ = scorer.item_ids_
        self.reason: str = scorer.reason  # type: ignore[misc]
        self.rest_reason: str | None = scorer.rest_reason  # type: ignore[misc]

    @property
    def plain(self) -> Scorer:
        return self._scorer

    def fit(self, dataset: Dataset) -> AskedOf:
        self._scorer.fit(dataset)
        return self

    def _of(self, histories: Histories) -> Histories:
        return histories.carts if self.side == "cart" else histories.own

    def score_rows(self, histories: Histories) -> Floats:
        return self._scorer.score_rows(self._of(histories))

    def rough(self, histories: Histories, *, fewer: bool = False) -> Rough | None:
        return self._scorer.rough(self._of(histories), fewer=fewer)

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        return self._scorer.retrieve(self._of(histories), k, among)

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        return self._scorer.score_at(self._of(histories), rows)

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """0 for events of the other side."""
        events, rest = self._scorer.evidence(self._of(histories), item)
        out = np.zeros(len(histories.item), np.float32)
        out[histories.view_mask == (self.side == "cart")] = events
        return out, rest
