"""`Durables`: categories that people buy from once, in shops where other things are bought again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.kinds import PURCHASE
from crossaisle.data.membership import distinct
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.models.blend import CART_OF_USER

PLACEMENTS = ("for_you", CART_OF_USER)
"""Where a durable item that its user has bought is not offered again."""
RARELY = 0.25
"""A category lasts if it is surely bought again less than this share as often as everything in the shop."""
SURELY = 1.645
"""Standard normal quantile of 95 %, one-sided."""


@dataclass(frozen=True)
class Durables:
    """Items of categories that are not bought again."""

    lasting: npt.NDArray[np.bool_]
    """bool (n_items,)"""
    alike: bool
    """Whether histories without roles are purchases."""

    @classmethod
    def of(cls, dataset: Dataset, lasting: Sequence[int]) -> Durables | None:
        """Items of some leaf categories, by code; None where there are none."""
        found = np.isin(dataset.taxonomy.codes(-1), np.array(lasting, np.int32))
        return cls(found, dataset.role == PURCHASE) if found.any() else None

    def strike(self, histories: Histories, scores: Floats, placement: str) -> Floats:
        """Takes the scores, float32 (n, n_items), of durable items from those who have bought them."""
        if placement in PLACEMENTS and len(at := self._bought(histories)):
            scores[histories.owner[at], histories.item[at]] = np.nan
        return scores

    def strike_at(self, histories: Histories, rows: list[Rows], scores: list[Floats], placement: str) -> None:
        """The same where some rows of each history are scored."""
        if placement not in PLACEMENTS or not len(at := self._bought(histories)):
            return
        for owner in np.unique(histories.owner[at]).tolist():
            mine = histories.item[at[histories.owner[at] == owner]]
            scores[owner][np.isin(rows[owner], mine)] = np.nan

    def _bought(self, histories: Histories) -> npt.NDArray[np.int64]:
        """int64: places of events in which a durable item was bought."""
        lasting = self.lasting[histories.item]
        if histories.in_view is not None:
            lasting &= ~histories.in_view
        if histories.role is not None:
            return np.flatnonzero(lasting & (histories.role == PURCHASE))
        return np.flatnonzero(lasting) if self.alike else np.empty(0, np.int64)


def lasting_categories(dataset: Dataset) -> list[int]:
    """Codes of the leaf categories of which people surely do not buy the same item on another day again."""
    bought = np.ones(len(dataset.events), bool) if dataset.roles is None else dataset.roles == PURCHASE
    leaf = dataset.taxonomy.codes(-1)
    if dataset.users_are_baskets or dataset.role not in (PURCHASE, -1) or not bought.any():
        return []
    rates = again_rates(dataset, bought, leaf)
    found: list[int] = np.flatnonzero(rates.highest < RARELY * rates.everywhere).tolist()
    return found


@dataclass(frozen=True)
class AgainRates:
    """How often purchases are of an item that the same user had bought on an earlier day."""

    highest: npt.NDArray[np.float64]
    """float64 (n_categories,): what the rate of each category may be at most, 95 % sure; 1 without events.
    The fewer purchases, the nearer to 1: a category is taken for nothing before it has shown it."""
    everywhere: float
    """The rate of the whole shop."""


def again_rates(dataset: Dataset, bought: npt.NDArray[np.bool_], code: npt.NDArray[np.int32]) -> AgainRates:
    """Of the events at `bought`, bool (n_events,), by `code`, int32 (n_items,), -1 unknown.

    The upper end of the interval of Wilson, Probable inference (JASA 1927).
    """
    events = dataset.events
    pair = events.user[bought].astype(np.int64) * dataset.n_items + events.item[bought]
    if events.time is not None and len(pair):  # twice on one day is one purchase
        day = events.time[bought] // int(SECONDS_PER_DAY)
        day -= day.min()
        span = int(day.max()) + 1
        pair = distinct(pair * span + day) // span
    first = distinct(pair)
    n_codes = int(code.max(initial=-1)) + 1

    def counted(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        found = code[pairs % dataset.n_items]
        return np.bincount(found[found >= 0], minlength=n_codes).astype(np.float64)

    n = counted(pair)
    again = n - counted(first)
    z = SURELY**2
    with np.errstate(invalid="ignore"):
        rate = np.where(n > 0, again / np.maximum(n, 1), 1.0)
        half = SURELY * np.sqrt(rate * (1 - rate) * n + z / 4)
        highest = np.where(n > 0, (again + z / 2 + half) / (n + z), 1.0)
    return AgainRates(highest, 1.0 - len(first) / max(len(pair), 1))
