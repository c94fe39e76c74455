"""`CatalogueOrder`: what is shown to everybody in a shop where nothing has been bought yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.cold_start.transferred import TransferredPopularity, turns

HIGHEST = 1e-6
"""Far below the popularity that a single event gives."""


@dataclass(kw_only=True)
class CatalogueOrder(Scorer):
    """The first item of each category, then the second of each; the largest category first, what a shop has
    most of being what it sells. Within a category, the order of the catalogue.

    Where another shop was carried over, types that sell there come first. Stands in for `Popularity` before
    the first event; not saved, since it follows from the catalogue.
    """

    popular: Floats | None = field(default=None, repr=False, compare=False)
    """float32 (n_items,): how well the type of each item sells elsewhere, NaN where unknown."""

    order_: Floats = field(init=False, repr=False, compare=False)
    """float32 (n_items,): falls along the order, in (0, `HIGHEST`]."""
    kind: ClassVar[str] = "catalogue_order"
    reason: ClassVar[str] = "the order of the catalogue"
    reads_events: ClassVar[bool] = False
    learned: ClassVar[tuple[str, ...]] = ("order_",)

    @classmethod
    def led_by(cls, elsewhere: TransferredPopularity | None) -> CatalogueOrder:
        """The order where `elsewhere` knows another shop."""
        return cls() if elsewhere is None else cls(popular=elsewhere.popularity_)

    def fit(self, dataset: Dataset) -> CatalogueOrder:
        n = dataset.n_items
        place = np.empty(n, np.int64)
        place[in_turn(dataset.taxonomy.codes(), self.popular)] = np.arange(n)
        self.order_ = (HIGHEST * (n - place) / max(n, 1)).astype(np.float32)
        self.item_ids_ = dataset.item_ids
        return self

    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items), all rows equal."""
        self.check_fitted()
        return np.tile(self.order_, (len(histories), 1))


def in_turn(codes: Rows, popular: Floats | None = None) -> Rows:
    """int32 (n_items,): rows in the order of `CatalogueOrder`. `codes` (n_items,): category, -1 unknown."""
    size = np.where(codes >= 0, np.bincount(codes + 1, minlength=1)[codes + 1], 0)
    first = np.zeros(len(codes)) if popular is None else -np.nan_to_num(popular)
    return np.lexsort((-size, turns(codes), first)).astype(np.int32)
