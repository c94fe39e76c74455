"""`PackedEvents`: many packs as one, each user's events together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crossaisle.serve.store.packed.pack import Deed, Integers, Pack, Times

Unsigned = npt.NDArray[np.unsignedinteger[Any]]


class PackedEvents(NamedTuple):
    """Events by user and time; equal times as they came."""

    users: list[str]
    """Names, in the order of the events."""
    starts: npt.NDArray[np.int64]
    """int64 (n_users + 1,): where the events of each user begin."""
    item: Unsigned
    """Integers (n,), as few bytes as will do: places in `items`."""
    deed: Unsigned
    """The same: places in `deeds`."""
    time: Times
    """float64 (n,): seconds since 1970."""
    items: list[str]
    deeds: list[Deed]
    last: int = 0
    """The number of the last event."""


NOTHING = PackedEvents(
    [], np.zeros(1, np.int64), np.empty(0, np.uint8), np.empty(0, np.uint8), np.empty(0), [], []
)


class Merging:
    """Fills the arrays of `PackedEvents`, some users after the other, so that little is there twice."""

    def __init__(self, n: int, n_items: int, n_deeds: int) -> None:
        """`n`: events that will come, of so many different items and deeds."""
        self.item = np.empty(n, np.min_scalar_type(n_items))
        self.deed = np.empty(n, np.min_scalar_type(n_deeds))
        self.time = np.empty(n)
        self._at = 0
        self._counts: list[Integers] = []
        self._users = 0

    def add(self, packs: Sequence[Pack], end: int) -> None:
        """All events of the next users, up to number `end`, from packs in the order in which they came."""
        first, counts = self._users, np.zeros(end - self._users, np.int32)
        self._counts.append(counts)
        self._users = end
        if not packs:
            return
        users, sizes, item, deed, time = Pack.joined(packs)
        starts = np.cumsum(sizes, dtype=np.int64) - sizes
        # Short numbers are sorted by their digits, in a fifth of the time.
        order = np.argsort((users - first).astype(np.min_scalar_type(len(counts))), kind="stable")
        users, sizes, starts = users[order], sizes[order], starts[order]
        np.add.at(counts, users - first, sizes)
        ends = np.cumsum(sizes, dtype=np.int64)
        source = np.repeat(starts - (ends - sizes), sizes) + np.arange(len(item))
        item, deed, time = item[source], deed[source], time[source]
        # Some come late: what a later pack holds may have happened before.
        whose = np.repeat(np.arange(len(counts)), counts)
        late = np.flatnonzero((time[1:] < time[:-1]) & (whose[1:] == whose[:-1]))
        if len(late):
            some = np.zeros(len(counts), bool)
            some[whose[late]] = True
            place = np.flatnonzero(some[whose])
            right = place[np.lexsort((time[place], whose[place]))]
            item[place], deed[place], time[place] = item[right], deed[right], time[right]
        part = slice(self._at, self._at + len(item))
        self.item[part], self.deed[part], self.time[part] = item, deed, time
        self._at = part.stop

    def events(self, users: list[str], items: list[str], deeds: list[Deed], last: int) -> PackedEvents:
        """What has come of it."""
        counts = np.concatenate([np.zeros(1, np.int64), *self._counts])
        kept = slice(0, self._at)
        return PackedEvents(
            users, np.cumsum(counts), self.item[kept], self.deed[kept], self.time[kept], items, deeds, last
        )
