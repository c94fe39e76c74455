"""Windows of histories as batches: the newest event in the last column, those of like length together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Histories

Ints = npt.NDArray[np.int64]
_SORTED = 24
"""Batches that are sorted by length together: little padding, and still a new order each pass."""


class Batch(NamedTuple):
    """Windows side by side."""

    items: Ints
    """int64 (b, width): the newest event in the last column."""
    there: npt.NDArray[np.bool_]
    """bool (b, width): which are events, and not the padding before them."""
    answers: Ints
    """int64 (events,): what follows each event, in the order of `there`."""


@dataclass(frozen=True)
class Windows:
    """Parts of histories, each up to `length` events and the ones that follow them.

    `first`, `last` int64 (n,): the events `item[first:last]` are read, `item[first + 1 : last + 1]` are the
    right answers.
    """

    item: Ints
    first: Ints
    last: Ints

    @classmethod
    def of(cls, histories: Histories, place: Ints, length: int) -> Windows:
        """Cuts histories from their ends, so that every event but a first one is once an answer.

        `place` int64 (n_items,): the number under which an item is learned.
        """
        first, last = [], []
        start, end = histories.indptr[:-1], histories.indptr[1:] - 1
        left = np.flatnonzero(end > start)
        while len(left):
            stop = end[left]
            begin = np.maximum(stop - length, start[left])
            first.append(begin)
            last.append(stop)
            end = end.copy()
            end[left] = begin
            left = left[begin > start[left]]
        none = np.empty(0, np.int64)
        return cls(place[histories.item], np.concatenate([none, *first]), np.concatenate([none, *last]))

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> Ints:
        """int64 (n,): events read."""
        return self.last - self.first

    def batches(self, size: int, most: int, rng: np.random.Generator) -> Iterator[Batch]:
        """All windows in a new order, or as many as have `most` events."""
        order = rng.permutation(len(self))
        order = order[: int(np.searchsorted(np.cumsum(self.lengths[order]), most)) + 1]
        together = [order[i : i + size * _SORTED] for i in range(0, len(order), size * _SORTED)]
        chosen = []
        for part in together:
            part = part[np.argsort(self.lengths[part], kind="stable")]
            chosen += [part[i : i + size] for i in range(0, len(part), size)]
        for at in rng.permutation(len(chosen)).tolist():
            yield self.batch(chosen[at])

    def batch(self, rows: Ints) -> Batch:
        """Some windows side by side."""
        length = self.lengths[rows]
        width = int(length.max())
        offset = np.arange(width)[None, :] - (width - length)[:, None]
        there = offset >= 0
        place = self.first[rows][:, None] + np.maximum(offset, 0)
        return Batch(self.item[place], there, self.item[place[there] + 1])
