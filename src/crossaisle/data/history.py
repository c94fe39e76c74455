"""`Histories`: a batch of integer-coded event sequences; scorers receive queries in this form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.distinct import distinct
from crossaisle.data.vocabulary import Rows
from crossaisle.decode import check_ranges

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ItemWeights:
    """Weights of the distinct items of `n` histories: a csr matrix without scipy's checks."""

    indptr: npt.NDArray[np.int64]
    """int64 (n + 1,): where each history starts."""
    indices: Rows
    """int32 (m,): item rows, ascending within each history."""
    data: Floats
    """float32 (m,)"""

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def owner(self) -> npt.NDArray[np.int64]:
        """int64 (m,): the history that each weight belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def of(self, at: int) -> tuple[Rows, Floats]:
        """Item rows and weights of one history."""
        part = slice(self.indptr[at], self.indptr[at + 1])
        return self.indices[part], self.data[part]

    def at(self, at: int, rows: Rows, *, missing: float = 0.0) -> Floats:
        """float32 (k,): the weights of some item rows in one history."""
        there, value = self.of(at)
        if not len(there):
            return np.full(len(rows), missing, np.float32)
        place = np.searchsorted(there, rows)
        place[place == len(there)] = 0
        return np.where(there[place] == rows, value[place], np.float32(missing))


@dataclass(frozen=True)
class Histories:
    """`n` concatenated histories, each with its oldest event first.

    `indptr` int64 (n + 1,): where each history starts. `item` int32 (nnz,): item rows. `day` float64 (nnz,):
    time in days, NaN if only the order is known. `user` int32 (n,): user rows, -1 for a session, cart or
    unknown user. `now` float64 (n,): time of the query in days, NaN if unknown. `in_view` bool (nnz,): items
    in view or in the cart, which come after the user's own events; None: the batch has no user with a cart.

    If events differ in meaning: `weight` float32 (nnz,), above 0; `role` int8 (nnz,), codes of
    `data.kinds.ROLES`, -1 unknown; `disliked`: each user's items with negative feedback, a batch of as many
    histories. None if all events are alike, or if there is no negative feedback.
    """

    indptr: npt.NDArray[np.int64]
    item: Rows
    day: npt.NDArray[np.float64]
    user: Rows
    now: npt.NDArray[np.float64]
    in_view: npt.NDArray[np.bool_] | None = None
    weight: Floats | None = None
    role: npt.NDArray[np.int8] | None = None
    disliked: Histories | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @classmethod
    def of(
        cls,
        items: Sequence[Sequence[int] | Rows],
        *,
        days: Sequence[Sequence[float] | npt.NDArray[np.float64]] | None = None,
        users: Sequence[int] | Rows | None = None,
        now: Sequence[float] | None = None,
    ) -> Histories:
        """From one list of item rows per query, oldest first."""
        lengths = [len(i) for i in items]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        flat = np.concatenate([np.empty(0, np.int32), *(np.asarray(i, np.int32) for i in items)])
        day = (
            np.concatenate([np.asarray(d, dtype=np.float64) for d in days])
            if days
            else np.full(int(indptr[-1]), np.nan)
        )
        n = len(items)
        return cls(
            indptr,
            flat,
            day,
            np.full(n, -1, np.int32) if users is None else np.asarray(users, np.int32),
            np.full(n, np.nan) if now is None else np.asarray(now, np.float64),
        )

    @classmethod
    def joined(cls, parts: Sequence[Histories]) -> Histories:
        """Concatenates batches; either all of them have carts after their histories, or none has."""
        if len(parts) == 1:
            return parts[0]
        lengths = np.concatenate([[0], *(part.lengths for part in parts)])
        return cls(
            np.cumsum(lengths).astype(np.int64),
            np.concatenate([part.item for part in parts]),
            np.concatenate([part.day for part in parts]),
            np.concatenate([part.user for part in parts]),
            np.concatenate([part.now for part in parts]),
            None if parts[0].in_view is None else np.concatenate([part.view_mask for part in parts]),
            _together([(part.weight, len(part.item)) for part in parts], np.float32(1.0)),
            _together([(part.role, len(part.item)) for part in parts], np.int8(-1)),
            cls._all_disliked(parts),
        )

    @classmethod
    def _all_disliked(cls, parts: Sequence[Histories]) -> Histories | None:
        if all(part.disliked is None for part in parts):
            return None
        return cls.joined([part.disliked or cls.of([()] * len(part)) for part in parts])

    def take(self, rows: Sequence[int] | npt.NDArray[np.integer] | slice) -> Histories:
        """The histories of some queries, in that order."""
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        rows = np.asarray(rows, dtype=np.int64)
        index: npt.NDArray[np.int64] | slice
        if len(rows) == 1:  # nothing needs to be copied
            index = slice(int(self.indptr[rows[0]]), int(self.indptr[rows[0] + 1]))
            indptr = np.array([0, index.stop - index.start])
        else:
            lengths = self.indptr[rows + 1] - self.indptr[rows]
            indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
            index = np.repeat(self.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Histories(
            indptr,
            self.item[index],
            self.day[index],
            self.user[rows],
            self.now[rows],
            *self._details(index),
            disliked=None if self.disliked is None else self.disliked.take(rows),
        )

    def _details(
        self, index: npt.NDArray[np.integer] | npt.NDArray[np.bool_] | slice
    ) -> tuple[npt.NDArray[np.bool_] | None, Floats | None, npt.NDArray[np.int8] | None]:
        """The `in_view`, `weight` and `role` of some events."""
        return (
            None if self.in_view is None else self.in_view[index],
            None if self.weight is None else self.weight[index],
            None if self.role is None else self.role[index],
        )

    def keep(self, kept: npt.NDArray[np.bool_]) -> Histories:
        """The same queries with a subset of their events; `kept` bool (nnz,)."""
        indptr = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)[self.indptr]
        details = self._details(kept)
        return Histories(
            indptr, self.item[kept], self.day[kept], self.user, self.now, *details, disliked=self.disliked
        )

    def with_view(self, carts: Histories) -> Histories:
        """Each history followed by the items of a cart, marked as in view."""
        n = np.arange(len(self))
        bare = (replace(one, in_view=None, disliked=None) for one in (self, carts))
        both = Histories.joined(list(bare)).take(np.stack([n, n + len(self)], axis=1).ravel())
        in_view = np.repeat(np.tile([False, True], len(self)), both.lengths)
        return replace(
            both,
            indptr=both.indptr[::2],
            user=self.user,
            now=self.now,
            in_view=in_view,
            disliked=self.disliked,
        )

    @property
    def view_mask(self) -> npt.NDArray[np.bool_]:
        """bool (nnz,): items in view; all False if the batch has none."""
        return np.zeros(len(self.item), bool) if self.in_view is None else self.in_view

    @property
    def own(self) -> Histories:
        """Only the users' own events."""
        return self if self.in_view is None else replace(self.keep(~self.in_view), in_view=None)

    @property
    def carts(self) -> Histories:
        """Only the items in view; whole histories if none are marked."""
        return self if self.in_view is None else replace(self.keep(self.in_view), in_view=None, disliked=None)

    @property
    def relative(self) -> Histories:
        """The same with weights relative to the largest in each history, so that a history of views alone
        counts as much as one of purchases."""
        if self.weight is None:
            return self
        if len(self) == 1:
            highest = self.weight.max(initial=np.float32(0.0))
            if highest == 1.0:
                return self
            return replace(self, weight=(self.weight / highest).astype(np.float32))
        top = np.zeros(len(self), np.float32)
        np.maximum.at(top, self.owner, self.weight)
        return replace(self, weight=(self.weight / top[self.owner]).astype(np.float32))

    def items_of(self, row: int) -> Rows:
        """Item rows of one history, oldest first."""
        return self.item[self.indptr[row] : self.indptr[row + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 (n,): events per history."""
        return np.diff(self.indptr)

    @property
    def owner(self) -> npt.NDArray[np.int64]:
        """int64 (nnz,): the history that each event belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def age(self) -> npt.NDArray[np.int64]:
        """int64 (nnz,): position counted from the newest event of its history, which has age 0."""
        return np.repeat(self.indptr[1:], self.lengths) - 1 - np.arange(len(self.item))

    @property
    def last_item(self) -> Rows:
        """int32 (n,): the newest item of each history; -1 if empty."""
        last = np.full(len(self), -1, dtype=np.int32)
        some = self.lengths > 0
        last[some] = self.item[self.indptr[1:][some] - 1]
        return last

    @cached_property
    def _each_item(self) -> tuple[npt.NDArray[np.int64], Rows, npt.NDArray[np.int64]]:
        """int64 (n + 1,): bounds; the distinct items of each history, ascending; and int64 (nnz,): the index
        of each event's item among these."""
        keys, place = distinct(self.owner << 32 | self.item)
        indptr = np.searchsorted(keys >> 32, np.arange(len(self) + 1))
        return indptr, (keys & (1 << 32) - 1).astype(np.int32), place

    def item_weights(self, weights: Floats | None, *, combine: str = "sum") -> ItemWeights:
        """Weights of the distinct items; `combine` says how the weights of repeated items are combined.

        `weights` float32 (nnz,); None: those of the events, or 1 if all are alike. `combine`: "sum", "log"
        (ln(1 + sum)) or "max".
        """
        if weights is None:
            weights = self.weight
        indptr, items, place = self._each_item
        if combine == "max":
            strongest = np.full(len(items), -np.inf, np.float32)
            np.maximum.at(strongest, place, np.float32(1.0) if weights is None else weights)
            return ItemWeights(indptr, items, strongest)
        sums = np.bincount(place, weights, len(items)).astype(np.float32)
        return ItemWeights(indptr, items, np.log1p(sums) if combine == "log" else sums)

    def matrix(self, weights: Floats | None, n_items: int, *, combine: str = "sum") -> sparse.csr_matrix:
        """csr float32 (n, n_items), indices sorted: `item_weights`."""
        own = self.item_weights(weights, combine=combine)
        return sparse.csr_matrix((own.data, own.indices, own.indptr), shape=(len(self), n_items))


def _together(parts: Sequence[tuple[npt.NDArray[Any] | None, int]], missing: Any) -> npt.NDArray[Any] | None:
    """Concatenates arrays, with `missing` in place of those that are None; None if all are."""
    if all(values is None for values, _ in parts):
        return None
    return np.concatenate([np.full(n, missing) if values is None else values for values, n in parts])


@dataclass(frozen=True, kw_only=True)
class Decay:
    """How much an event of a history counts. Both rules multiply; None disables a rule."""

    events: float | None = field(default=None, metadata={"low": 0.01, "high": 1e9})
    """Weight `exp(-age / events)`, with age 0 for the newest event."""
    half_life_days: float | None = field(default=None, metadata={"low": 0.001, "high": 1e9})
    """Weight `2 ** (-days ago / half_life_days)`; ignored without event times."""

    def __post_init__(self) -> None:
        check_ranges(self)

    def weights(self, histories: Histories, *, average: bool = False) -> Floats:
        """Weights of all events, float32 (nnz,); with `average` those of each history sum to 1."""
        out = np.ones(len(histories.item))
        if self.events is not None:
            out *= np.exp(-histories.age / self.events)
        if self.half_life_days is not None:
            ago = np.repeat(histories.now, histories.lengths) - histories.day
            factor = np.exp2(-np.maximum(ago, 0.0) / self.half_life_days)
            out *= np.where(np.isnan(factor), 1.0, factor)
        weights = out.astype(np.float32)
        if histories.weight is not None:
            weights *= histories.weight
        if average:
            total = np.bincount(histories.owner, weights, len(histories))
            weights = (weights / np.maximum(total, 1e-12)[histories.owner]).astype(np.float32)
        return weights


def decayed(days: npt.NDArray[np.float64], half_life_days: float | None) -> Floats:
    """float32 weights of times in days: 1 for the newest, halved for every `half_life_days` of age.

    All are 1 without a half-life; so are unknown times (NaN).
    """
    if half_life_days is None or not len(days):
        return np.ones(len(days), np.float32)
    weights = np.exp2((days - np.fmax.reduce(days)) / half_life_days)
    return np.where(np.isnan(weights), 1.0, weights).astype(np.float32)
