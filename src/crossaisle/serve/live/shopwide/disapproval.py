"""`LiveDisapproval`: what a shop has turned against, from the model's events and the live ones."""

from __future__ import annotations

import time
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.dataset import Dataset
from crossaisle.data.distinct import run_starts
from crossaisle.models.disapproval import Disapproval, counts_of, pairs_against, people_for
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.derived import Derived
from crossaisle.serve.live.event_counts import Pairs
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.own_history import own_history
from crossaisle.serve.live.shopwide.stored_counts import LogWeight, StoredCounts, Sums, log_amounts
from crossaisle.serve.live.shopwide.trending import Trending

Integers = npt.NDArray[np.int64]
Said = tuple[Integers, npt.NDArray[np.float64], Integers]
"""Item rows that somebody is for, by how much, and item rows that they are against."""


class LiveDisapproval:
    """Counted anew after events that stand against items, every `LiveLimits.disapproval_seconds` at most."""

    def __init__(
        self, base: Recommender, live: LiveHistories, trending: Trending, limits: LiveLimits
    ) -> None:
        self._base, self._live, self._trending, self._limits = base, live, trending, limits
        self._lock = Lock()
        self._kept: tuple[tuple[int, int], Disapproval | None] | None = None
        self._at = -np.inf
        self._generation = 0
        self._said = Derived[Said](live)
        self._stored = StoredCounts(live.stored)
        self._deleted = False
        """Whether somebody was, since it was counted."""
        live.holders.add(self)

    def forget(self, user: str) -> None:
        """Counts anew before the next list: what a deleted user said counts at once no more."""
        self._deleted = True

    def version(self) -> int:
        """Grows when scores change; -1 where it is time to count. Costs nothing."""
        return -1 if self._due(None) else self._generation

    def now(self, dataset: Dataset) -> Disapproval | None:
        """What is to be taken off scores; None where nothing is. `dataset`: with new items."""
        if self._due(dataset.n_items):
            with self._lock:
                if self._due(dataset.n_items):
                    self._count(dataset)
        return None if self._kept is None else self._kept[1]

    @property
    def _silent(self) -> bool:
        """Whether nobody has turned against anything."""
        return self._base.dataset.against is None and not self._live.negatives

    def _due(self, n_items: int | None) -> bool:
        if self._silent:
            return False
        if self._kept is None or (n_items is not None and self._kept[0][1] != n_items):
            return True
        if self._deleted:
            return True
        waited = time.monotonic() - self._at >= self._limits.disapproval_seconds
        return waited and self._kept[0][0] != self._live.negatives

    def _count(self, dataset: Dataset) -> None:
        self._deleted = False  # who is deleted from here on is counted next time
        state = self._live.negatives, dataset.n_items
        against, for_it = (np.pad(one, (0, dataset.n_items - len(one))) for one in self._of_model)
        gone = self._trending.forgotten
        if len(gone):
            n_old = self._base.dataset.n_items
            for_it[:n_old] -= np.asarray(self._people[gone].sum(axis=0), np.float64).ravel()
            user, item = np.divmod(self._pairs, n_old)
            np.subtract.at(against, item[np.isin(user, gone)], 1.0)
        self._add_live(dataset, against, for_it, gone)
        found = Disapproval.from_counts(np.maximum(against, 0.0), np.maximum(for_it, 0.0))
        before = None if self._kept is None else self._kept[1]
        same = before is not None and np.array_equal(before.share, found.share[: len(before.share)])
        self._generation += not same
        self._kept, self._at = (state, found), time.monotonic()

    def _add_live(
        self,
        dataset: Dataset,
        against: npt.NDArray[np.float64],
        for_it: npt.NDArray[np.float64],
        gone: npt.NDArray[np.integer],
    ) -> None:
        """Adds what live events change to the counts of the model."""
        pairs = self._trending.live_pairs(dataset)
        n_old = self._base.dataset.n_items
        turned = np.union1d(pairs.user[pairs.amount < 0], np.intersect1d(pairs.user, self._pairs // n_old))
        plain = ~np.isin(pairs.user, turned) & (pairs.amount > 0)
        user, item, amount = pairs.user[plain], pairs.item[plain], np.minimum(pairs.amount[plain], 1.0)
        order = np.lexsort((-amount, item, user))
        user, item, amount = user[order], item[order], amount[order]
        first = run_starts(user, item)
        user, item, amount = user[first], item[first], amount[first]
        known = (user < self._people.shape[0]) & (item < n_old) & ~np.isin(user, gone)
        before = np.zeros(len(user))
        if known.any():
            before[known] = np.asarray(self._people[user[known], item[known]], np.float64).ravel()
        np.add.at(for_it, item, np.maximum(amount - before, 0.0))
        if self._stored:
            rows, sums = self._trending.rows_of_stored(dataset), self._sums(pairs.pairs)
            for_it[rows[rows >= 0]] += sums.total[rows >= 0]
        for name in (pairs.name_of(row) for row in turned.tolist()):
            row = -1 if self._live.is_forgotten(name) else self._base.dataset.user_ids.get(name)
            liked, weights, disliked = self._said_by(name, row, dataset)
            np.add.at(for_it, liked, weights)
            np.add.at(against, disliked, 1.0)
            if row >= 0:
                own = self._people[[row]]
                np.subtract.at(for_it, own.indices, own.data)
                np.subtract.at(against, self._pairs[self._pairs // n_old == row] % n_old, 1.0)

    def _sums(self, pairs: Pairs) -> Sums:
        """What users are for of whom nothing was heard since the start."""

        def weight() -> LogWeight:
            amounts = log_amounts(self._live.stored, self._live.meanings, self._base.dataset.meanings)
            amounts = np.minimum(amounts, 0.0)
            return lambda some: amounts[some.deed]

        model = self._trending.model_of_stored
        return self._stored.sums(pairs, None, weight, lambda: model(self._people), 1.0)

    def _said_by(self, name: str, row: int, dataset: Dataset) -> Said:
        """What a user's events come to, those of the model included."""
        own, gap = self._live.of(name), self._live.gaps_after(self._trending.end)
        if (kept := self._said.of(name, own, gap)) is not None:
            return kept
        live = dataset.item_ids.rows(own.items), gap.closed(np.array(own.days)), own.deeds
        log, end = self._base.log_of(row), self._trending.end
        stands = own_history(log, row, self._base.dataset, dataset.n_items, live, end)
        liked, place = np.unique(stands.item, return_inverse=True)
        weights = np.zeros(len(liked))
        np.maximum.at(weights, place, 1.0 if stands.weight is None else np.minimum(stands.weight, 1.0))
        disliked = np.unique(stands.disliked.item if stands.disliked is not None else stands.item[:0])
        said = liked.astype(np.int64), weights, disliked.astype(np.int64)
        self._said.keep(name, own, gap, said)
        return said

    @cached_property
    def _of_model(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return counts_of(self._base.dataset)

    @cached_property
    def _people(self) -> sparse.csr_matrix:
        """csr (n_users, n_old): how much each user of the model is for each item."""
        return people_for(self._base.dataset)

    @cached_property
    def _pairs(self) -> Integers:
        """int64: user * n_old + item that the model's events stand against, ascending."""
        return pairs_against(self._base.dataset)
