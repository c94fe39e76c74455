"""`RecentSales`: what sold in the days before a query, to everybody or to similar users."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.units import SECONDS_PER_DAY

SPAN = 15.0
"""Number of half-lives after which a sale no longer counts."""
LEAST = 0.02
"""Sales added to every item, so that the logarithm is finite for items that did not sell."""
RARE = 10.0
"""Users added to those of a category before the square root, by which rare categories count more."""


@dataclass(kw_only=True)
class RecentSales:
    """ln(.02 + sales), where a sale's weight halves for every `half_life_days` before the query.

    Events on or after the day of the query are ignored, so that one fit serves queries from many years: each
    sees only what its shop could have known.
    """

    half_life_days: float
    depth: int | None = None
    """None: all users' sales count equally. Else only those of users who had earlier bought from a category
    of the history, at this level of the taxonomy; 0 the top, -1 the leaves."""

    day_: npt.NDArray[np.int64] = field(init=False, repr=False)
    """int64 (n_events,), ascending."""
    user_: npt.NDArray[np.int32] = field(init=False, repr=False)
    item_: npt.NDArray[np.int32] = field(init=False, repr=False)
    code_: npt.NDArray[np.int32] = field(init=False, repr=False)
    """int32 (n_items,): category, -1 unknown."""
    since_: sparse.csr_matrix = field(init=False, repr=False)
    """csr float64 (n_categories, n_users): the first day on which a user had an event in a category."""

    def fit(self, dataset: Dataset) -> RecentSales:
        """`ValueError` for events without times."""
        events = dataset.events
        if events.time is None:
            raise ValueError("recent sales need events with times")
        day = events.time // int(SECONDS_PER_DAY)
        order = np.argsort(day, kind="stable")
        self.day_, self.user_, self.item_ = day[order], events.user[order], events.item[order]
        if self.depth is not None:
            self.code_ = dataset.taxonomy.codes(self.depth)
            self.since_ = self._first_days(dataset.n_users)
        return self

    def scores(self, histories: Histories, inside: npt.NDArray[np.bool_]) -> Floats:
        """float32 (n, items inside). `inside` bool (n_items,): the items to score."""
        place = np.where(inside, np.cumsum(inside) - 1, -1)
        kept = np.flatnonzero(place[self.item_] >= 0)
        day, user, item = self.day_[kept], self.user_[kept], place[self.item_[kept]]
        weights = Decay(events=5.0).weights(histories)
        out = np.empty((len(histories), int(inside.sum())), np.float32)
        for row, now in enumerate(histories.now.tolist()):
            first, last = np.searchsorted(day, [now - SPAN * self.half_life_days, now])
            some = slice(first, last)
            counts = 0.5 ** ((now - day[some]) / self.half_life_days)
            if self.depth is not None:
                part = slice(histories.indptr[row], histories.indptr[row + 1])
                counts *= self._likeness(histories.item[part], weights[part], now)[user[some]]
            out[row] = np.log(LEAST + np.bincount(item[some], counts, out.shape[1]))
        return out

    def _first_days(self, n_users: int) -> sparse.csr_matrix:
        code = self.code_[self.item_]
        known = np.flatnonzero(code >= 0)
        pair = code[known].astype(np.int64) * n_users + self.user_[known]
        pair, first = np.unique(pair, return_index=True)  # events are sorted by time
        shape = (int(self.code_.max(initial=-1)) + 1, n_users)
        day = self.day_[known][first].astype(np.float64)
        return sparse.csr_matrix((day, (pair // n_users, pair % n_users)), shape=shape)

    def _likeness(self, items: npt.NDArray[np.int32], weights: Floats, now: float) -> Floats:
        """float64 (n_users,): share of the history's categories that each user had bought from before, 0 to
        1."""
        code = self.code_[items]
        share = np.bincount(code[code >= 0], weights[code >= 0], self.since_.shape[0])
        out = np.zeros(self.since_.shape[1])
        for one in np.flatnonzero(share).tolist():
            part = slice(self.since_.indptr[one], self.since_.indptr[one + 1])
            people = self.since_.indices[part][self.since_.data[part] < now]
            share[one] /= np.sqrt(len(people) + RARE)
            out[people] += share[one]
        return np.asarray(out / max(share.sum(), 1e-12))
