"""`CatalogueOrder`: what is shown to everybody in a shop where nothing has been bought yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.models.base import Scorer

HIGHEST = 1e-6
"""Far below the popularity that a single event gives."""


@dataclass(kw_only=True)
class CatalogueOrder(Scorer):
    """The first item of each category, then the second of each, in the order of the catalogue.

    Stands in for `Popularity` before the first event; not saved, since it follows from the catalogue.
    """

    order_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,): falls along the order, in (0, `HIGHEST`]."""
    kind: ClassVar[str] = "catalogue_order"
    reason: ClassVar[str] = "the order of the catalogue"
    reads_events: ClassVar[bool] = False
    learned: ClassVar[tuple[str, ...]] = ("order_",)

    def fit(self, dataset: Dataset) -> CatalogueOrder:
        codes, n = dataset.taxonomy.codes(), dataset.n_items
        grouped = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[grouped], prepend=-2))
        turn = np.empty(n, np.int64)
        turn[grouped] = np.arange(n) - np.repeat(starts, np.diff(starts, append=n))
        place = np.empty(n, np.int64)
        place[np.argsort(turn, kind="stable")] = np.arange(n)
        self.order_ = (HIGHEST * (n - place) / max(n, 1)).astype(np.float32)
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items), all rows equal."""
        self.check_fitted()
        return np.tile(self.order_, (len(histories), 1))
