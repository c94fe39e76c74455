"""`EventCounts`: the newest event of each user and item, from which decayed counts are computed.

A count is a sum over users, each weighted by their newest event; the weight halves for every half-life by
which it is older than the newest event of all. Times are kept, not sums: so counts are exact, the same after
a restart and in any order of arrival, and a user can be removed.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossaisle.serve.limits.live import HistoryLimits

TAKEN_BACK = ""
"""The kind of events that take others back: what is left of the pair has to be looked up."""
SHARE = 16
"""At least one in this many counted events must wait for a count, because each copies all of them."""


class Pairs(NamedTuple):
    """Each user, item and kind of event once."""

    user: npt.NDArray[np.int64]
    """int64 (n,): indices into `EventCounts.users`."""
    item: npt.NDArray[np.int64]
    """int64 (n,): indices into `EventCounts.items`."""
    day: npt.NDArray[np.float64]
    """float64 (n,): days since 1970 of the newest event."""


Part = tuple[npt.NDArray[np.int32], npt.NDArray[np.integer], npt.NDArray[np.float64]]
"""Events of some users, all of which come after those of the part before: int32 (n,) indices into
`EventCounts.users`, numbers of item and kind, and float64 (n,) days."""


class EventCounts:
    """Counts beside the live histories; one thread adds, any may read."""

    def __init__(self, limits: HistoryLimits = HistoryLimits()) -> None:
        self._limits = limits
        self.users: defaultdict[str, int] = defaultdict()
        self.items: defaultdict[tuple[str, str], int] = defaultdict()
        """Ids (of items: with a kind of event) and their indices, in order: a new one gets the next index."""
        for indices in (self.users, self.items):
            indices.default_factory = indices.__len__
        self.version = 0
        self._waiting: deque[tuple[str, tuple[str, str], float]] = deque()
        self._keys = np.empty(0, np.int64)
        self._days = np.empty(0, np.float64)
        self._lock = Lock()
        self._counted = -np.inf

    @property
    def empty(self) -> bool:
        """Whether nothing is counted."""
        return not self._waiting and not len(self._keys)

    @property
    def full(self) -> bool:
        """Whether it is time to count, although nobody asks."""
        return len(self._waiting) >= max(self._limits.waiting_events, len(self._keys) // SHARE)

    def add(self, user: str, item: str, kind: str, day: float) -> None:
        """One event, in the order of arrival."""
        self._waiting.append((user, (item, kind), day))

    def fill(self, parts: Iterable[Part], names: Callable[[int], tuple[str, str]], n: int) -> None:
        """Many events at once, while nothing is counted. `names`: item and kind of each of `n` numbers."""
        index, found = np.full(n, -1, np.int64), [(np.empty(0, np.int64), np.empty(0))]
        with self._lock:
            for user, number, day in parts:
                for new in np.unique(number[index[number] < 0]).tolist():
                    index[new] = self.items[names(new)]
                keys = user.astype(np.int64) << 32 | index[number]
                order = np.lexsort((day, keys))
                keys, day = keys[order], day[order]
                newest = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
                found.append((keys[newest], day[newest]))
            self._keys, self._days = (np.concatenate(one) for one in zip(*found, strict=True))

    def tick(self) -> int:
        """The version to show: grows after new events, at most once in `HistoryLimits.count_seconds`."""
        if self._waiting and time.monotonic() - self._counted >= self._limits.count_seconds:
            self._counted = time.monotonic()
            self.version += 1
        return self.version

    def pairs(self) -> Pairs:
        """Everything up to now."""
        with self._lock:
            self._merge()
            return Pairs(self._keys >> 32, self._keys & (1 << 32) - 1, self._days)

    def forget(self, user: str, deleted: float) -> None:
        """Removes a user's events up to a deletion, in days since 1970."""
        with self._lock:
            self._merge()
            index = self.users.get(user, -1)
            left = (self._keys >> 32 != index) | (self._days > deleted)
            self._keys, self._days = self._keys[left], self._days[left]
            self.version += 1

    def withdraw(self, user: str, item: str, kind: str, left: float | None) -> None:
        """Sets the newest event of a user, item and kind after one was deleted; None: there is no other.

        `left`: days since 1970.
        """
        with self._lock:
            self._merge()
            at = (self.users.get(user, -1), self.items.get((item, kind), -1))
            place = np.flatnonzero(self._keys == (at[0] << 32 | at[1])) if min(at) >= 0 else np.empty(0, int)
            if len(place) and left is None:
                self._keys, self._days = np.delete(self._keys, place), np.delete(self._days, place)
            elif len(place):
                self._days = self._days.copy()
                self._days[place] = left
            self.version += 1

    def _merge(self) -> None:
        n = len(self._waiting)
        if not n:
            return
        users, items, times = zip(*(self._waiting.popleft() for _ in range(n)), strict=True)
        user = np.fromiter(map(self.users.__getitem__, users), np.int64, n)
        keys = user << 32 | np.fromiter(map(self.items.__getitem__, items), np.int64, n)
        days = np.array(times)
        order = np.lexsort((days, keys))
        keys, days = keys[order], days[order]
        newest = np.append(keys[1:] != keys[:-1], True)
        keys, days = keys[newest], days[newest]
        at = np.searchsorted(self._keys, keys)
        known = np.append(self._keys, -1)[at] == keys
        before = self._days.copy()  # readers hold the old ones
        before[at[known]] = np.maximum(before[at[known]], days[known])
        new = ~known
        self._days = np.insert(before, at[new], days[new])
        self._keys = np.insert(self._keys, at[new], keys[new])


class Gaps(NamedTuple):
    """Gaps between a model's events and those since, and among these: time in which nothing ages."""

    starts: tuple[float, ...] = ()
    """Days since 1970 of the first event after each, ascending."""
    days: tuple[float, ...] = ()
    """How long each is, together with those before it."""

    def closed(self, day: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Days as if there were no gaps."""
        if not self.starts:
            return day
        before: npt.NDArray[np.float64] = np.append(0.0, self.days)
        return day - before[np.searchsorted(self.starts, day, "right")]
