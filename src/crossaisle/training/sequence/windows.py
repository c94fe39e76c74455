"""Windows of histories in batches of similar length, with the newest event in the last column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories

Ints = npt.NDArray[np.int64]
_SORTED = 24
"""Number of batches sorted by length together: little padding, and still a new order in each pass."""


class Batch(NamedTuple):
    """Windows padded to the same width."""

    items: Ints
    """int64 (b, width): the newest event in the last column."""
    there: npt.NDArray[np.bool_]
    """bool (b, width): True for events, False for the padding before them."""
    answers: Ints
    """int64 (events,): the item that follows each event, in the order of `there`."""
    weight: Floats
    """float32 (b, width): weight of each event relative to the largest in its history; 1 for padding."""
    worth: Floats
    """float32 (events,): weight of each target; 1 if all events are alike."""


@dataclass(frozen=True)
class Windows:
    """Parts of histories, each with up to `length` events and the events that follow these.

    `first`, `last` int64 (n,): the inputs are `item[first:last]`, the targets `item[first + 1 : last + 1]`.
    """

    item: Ints
    first: Ints
    last: Ints
    weight: Floats
    """float32 (nnz,): weight of each event of the histories as input."""
    worth: Floats
    """float32 (nnz,): weight of each event as a target."""

    @classmethod
    def of(cls, histories: Histories, place: Ints, length: int) -> Windows:
        """Cuts histories from their ends, so that every event except the first is a target once.

        `place` int64 (n_items,): index of each learned item.
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
        return cls.between(histories, place, np.concatenate([none, *first]), np.concatenate([none, *last]))

    @classmethod
    def between(cls, histories: Histories, place: Ints, first: Ints, last: Ints) -> Windows:
        """Windows of histories with given bounds; events are weighted by their kinds."""
        alike = np.ones(len(histories.item), np.float32)
        weight, worth = histories.relative.weight, histories.weight
        return cls(
            place[histories.item],
            first,
            last,
            alike if weight is None else weight,
            alike if worth is None else worth,
        )

    def __len__(self) -> int:
        return len(self.first)

    @property
    def lengths(self) -> Ints:
        """int64 (n,): number of input events."""
        return self.last - self.first

    def batches(self, size: int, most: int, rng: np.random.Generator) -> Iterator[Batch]:
        """All windows in a new order, or as many of them as contain `most` events."""
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
        """Some windows padded to the same width."""
        length = self.lengths[rows]
        width = int(length.max())
        offset = np.arange(width)[None, :] - (width - length)[:, None]
        there = offset >= 0
        place = self.first[rows][:, None] + np.maximum(offset, 0)
        answer = place[there] + 1
        weight = np.where(there, self.weight[place], np.float32(1.0))
        return Batch(self.item[place], there, self.item[answer], weight, self.worth[answer])
