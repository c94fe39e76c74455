"""`StoredCounts`: what users without new events since the start add to each item's counts.

A sum over all of them is computed once, and what one of them has added is taken off when they move to
`EventCounts`. All weights halve together, so the sum stays right while time passes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.kinds import Kinds
from crossaisle.data.vocabulary import Rows
from crossaisle.serve.live.event_counts import Pairs
from crossaisle.serve.live.stored import Days, Events, StoredHistories

Integers = npt.NDArray[np.int64]
LogWeight = Callable[[Events], Days]
"""float64 (n,): logarithms (base 2) of the weights of events; -inf for those that do not count."""


class Strongest(NamedTuple):
    """Each pair of a user and an item once, by user."""

    user: Integers
    item: Integers
    """int64 (n,): places in `StoredHistories.items`."""
    weight: Days
    """float64 (n,): of the strongest event."""


class Sums(NamedTuple):
    """By place in `StoredHistories.items`."""

    total: Days
    """float64: what users add, beyond what the model has of them."""
    heard: Integers
    """int64: users."""


class _Kept(NamedTuple):
    state: Hashable
    sums: Sums
    moved: int
    """How many users had moved."""


class Model(NamedTuple):
    """What a model has of users and items."""

    weights: sparse.csr_matrix
    """csr (n_users, n_items): what counts already."""
    user_rows: Integers
    """int64: rows of users by their indices; not below `n_users` for others."""
    item_rows: Integers
    """int64: rows of items by their places, -1 or not below `n_items` for others."""
    gone: Rows
    """int32: rows of users of whom nothing counts."""

    def of(self, pairs: Strongest) -> Days:
        """float64 (n,): 0 where there is nothing."""
        user, item = self.user_rows[pairs.user], self.item_rows[pairs.item]
        out = np.zeros(len(user))
        known = (user < self.weights.shape[0]) & (item >= 0) & (item < self.weights.shape[1])
        if len(self.gone):
            known &= ~np.isin(user, self.gone)
        if known.any():
            out[known] = np.asarray(self.weights[user[known], item[known]], np.float64).ravel()
        return out


class StoredCounts:
    """Sums for one model; one thread at a time."""

    def __init__(self, stored: StoredHistories) -> None:
        self._stored = stored
        self._kept: _Kept | None = None
        self._newest: tuple[int, Days] | None = None
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(len(self._stored))

    def sums(
        self,
        pairs: Pairs,
        state: Hashable,
        weight: Callable[[], LogWeight],
        model: Callable[[], Model],
        scale: float,
    ) -> Sums:
        """Of all users but those in `pairs.moved`. `state`: on which `weight` and what counts depend.

        `scale`: what a weight of 1 in the model comes to.
        """
        with self._lock:
            kept, state = self._kept, (pairs.generation, state)
            if kept is None or kept.state != state or kept.moved > len(pairs.moved):
                sums = self._summed(self._stored.parts(self._away(pairs)), weight(), model(), scale)
                kept = _Kept(state, sums, len(pairs.moved))
            elif kept.moved < len(pairs.moved):
                new = np.sort(pairs.moved[kept.moved :])
                off = self._summed(iter([self._stored.events(new)]), weight(), model(), scale)
                sums = Sums(kept.sums.total - off.total, kept.sums.heard - off.heard)
                kept = _Kept(state, sums, len(pairs.moved))
            self._kept = kept
            return kept.sums

    def pairs(self, pairs: Pairs, weight: Callable[[], LogWeight]) -> Iterator[Strongest]:
        """Of all users but those in `pairs.moved`, some at a time."""
        logs = weight()
        for some in self._stored.parts(self._away(pairs)):
            yield _strongest(some, logs)

    def newest(self, pairs: Pairs, amounts: Callable[[], Days]) -> Days:
        """float64: the newest day of each item, of all users but those in `pairs.moved`; -inf for none.

        Those of users who moved may be there still: they are among `pairs`, too.
        """
        with self._lock:
            if self._newest is None or self._newest[0] != pairs.generation:
                logs, days = amounts(), np.full(len(self._stored.items), -np.inf)
                for some in self._stored.parts(self._away(pairs)):
                    counts = logs[some.deed] > -np.inf
                    np.maximum.at(days, some.item[counts], some.day[counts])
                self._newest = pairs.generation, days
            return self._newest[1]

    def _away(self, pairs: Pairs) -> npt.NDArray[np.bool_]:
        away = np.zeros(self._stored.n_users, bool)
        away[pairs.moved] = True
        return away

    def _summed(self, parts: Iterator[Events], weight: LogWeight, model: Model, scale: float) -> Sums:
        n = len(self._stored.items)
        total, heard = np.zeros(n), np.zeros(n, np.int64)
        for some in parts:
            pairs = _strongest(some, weight)
            more = np.maximum(pairs.weight - model.of(pairs) * scale, 0.0)
            total += np.bincount(pairs.item, more, n)
            heard += np.bincount(pairs.item[pairs.weight > 0], minlength=n)
        return Sums(total, heard)


def log_amounts(stored: StoredHistories, served: Kinds, model: Kinds) -> Days:
    """float64: logarithms (base 2) of the weights that events have by their deeds; -inf for no interest.

    `served`: tells what is interest. `model`: has the weights.
    """
    amounts = [model.meaning(deed.kind).weight if served.is_interest(*deed) else 0.0 for deed in stored.deeds]
    with np.errstate(divide="ignore"):
        logs: Days = np.log2(np.maximum(np.array(amounts, np.float64), 0.0))
    return logs


def _strongest(some: Events, weight: LogWeight) -> Strongest:
    logs = weight(some)
    counts = logs > -np.inf
    user, item, logs = some.user[counts], some.item[counts].astype(np.int64), logs[counts]
    if not len(user):
        return Strongest(user, item, logs)
    first = int(user[0])
    key = (user - first) << 32 | item
    order = np.argsort(key)
    key, logs = key[order], logs[order]
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    key = key[starts]
    return Strongest((key >> 32) + first, key & (1 << 32) - 1, np.exp2(np.maximum.reduceat(logs, starts)))
