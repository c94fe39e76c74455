"""`ShopTables`: what features read of a shop, one value per item or per pair of categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.models.ranking.habits import HabitTables

SMOOTHING = 100.0
"""Events of average taste that are added to every category before its transitions are counted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ShopTables:
    """Read off the events that the blend was fitted on. A category of -1 reads the last entry."""

    log_sales: Floats
    """float32 (n_items,): log(1 + events)."""
    category: Rows
    """int32 (n_items,): at the shop's level, -1 unknown."""
    leaf: Rows
    """int32 (n_items,): the deepest category, -1 unknown."""
    brand: Rows
    """int32 (n_items,): -1 unknown."""
    log_price: Floats
    """float32 (n_items,): NaN unknown."""
    category_share: Floats
    """float32 (n_categories + 1,): share of the events; NaN for the unknown category."""
    transition: Floats
    """float32 (n_categories + 1, n_categories + 1): log of how much more often the second category follows
    the first one within a history than anything does; NaN for the unknown category."""
    habits: HabitTables | None = None
    """What rankers read that look at days."""

    @classmethod
    def of(cls, dataset: Dataset, *, habits: bool = False) -> ShopTables:
        """Counts of a data set; `habits`: with those about days."""
        category, leaf, events = dataset.taxonomy.codes(), dataset.taxonomy.codes(-1), dataset.events
        n = int(category.max(initial=-1)) + 1
        code = category[events.item]
        share = np.full(n + 1, np.nan, np.float32)
        share[:n] = np.bincount(code[code >= 0], minlength=n) / max(int((code >= 0).sum()), 1)
        names, brand = np.unique(dataset.items["brand"].to_numpy().astype(str), return_inverse=True)
        price = dataset.items["price"].cast(float).to_numpy().astype(np.float32)
        known = np.where(price > 0, price, np.nan)
        return cls(
            log_sales=np.log1p(dataset.item_counts).astype(np.float32),
            category=category,
            leaf=leaf,
            brand=np.where(names[brand] == "", -1, brand).astype(np.int32),
            log_price=np.log(known).astype(np.float32),
            category_share=share,
            transition=_transitions(events.user, code, share),
            habits=HabitTables.of(dataset, leaf) if habits else None,
        )


def _transitions(user: Rows, code: Rows, share: Floats) -> npt.NDArray[np.float32]:
    """Lifts of one category after another, shrunk towards none."""
    n = len(share) - 1
    out = np.full((n + 1, n + 1), np.nan, np.float32)
    if not n:
        return out
    follows = (user[1:] == user[:-1]) & (code[1:] >= 0) & (code[:-1] >= 0)
    pairs = code[:-1][follows].astype(np.int64) * n + code[1:][follows]
    counts = np.bincount(pairs, minlength=n * n).reshape(n, n).astype(np.float64)
    prior = np.maximum(share[:n].astype(np.float64), 1e-6)
    chance = (counts + SMOOTHING * prior) / (counts.sum(axis=1, keepdims=True) + SMOOTHING)
    out[:n, :n] = np.log(np.maximum(chance, 1e-9) / prior)
    return out
