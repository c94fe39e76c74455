"""`EventCounts`: the newest event of each user and item, from which decayed counts are computed.

A count is a sum over users, each weighted by their newest event; the weight halves for every half-life by
which it is older than the newest event of all. Times are kept, not sums: so counts are exact, the same after
a restart and in any order of arrival, and a user can be removed.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.serve.limits.live import HistoryLimits
from crossaisle.serve.store.packed.pack import numbering

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
    moved: npt.NDArray[np.int64] = np.empty(0, np.int64)
    """int64: users whose events of before the start are among these, in the order in which they came here."""
    generation: int = 0
    """Grows when what is left of the others changes."""


Arrays = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""User, item and day as in `Pairs`, in any order and repeated."""


class Source(Protocol):
    """What was in the store at the start."""

    n_users: int
    """The first users of `EventCounts.users`."""
    n_events: int
    """Events that count."""

    def __call__(self, users: npt.NDArray[np.int64]) -> Arrays:
        """All events of some users that count. `users`: indices, ascending."""


class EventCounts:
    """Counts beside the live histories; one thread adds, any may read.

    Users to whom nothing has happened since the start stay where they are, and are counted as a whole
    elsewhere; with the first event they move here.
    """

    def __init__(
        self,
        limits: HistoryLimits = HistoryLimits(),
        before: EventCounts | None = None,
    ) -> None:
        """`before`: whose users and items keep their indices."""
        self._limits = limits
        self.users: defaultdict[str, int] = numbering() if before is None else before.users
        self.items: defaultdict[tuple[str, str], int] = numbering() if before is None else before.items
        """Ids (of items: with a kind of event) and their indices, in order: a new one gets the next index."""
        self.version: int = 0 if before is None else before.version + 1
        self.generation: int = 0 if before is None else before.generation + 1
        self._source: Source | None = None
        self._left = 0
        self._away = np.empty(0, np.bool_)
        self._moved = np.empty(0, np.int64)
        self._moving: deque[npt.NDArray[np.int64]] = deque()
        self._waiting: deque[tuple[str, tuple[str, str], float]] = deque()
        self._keys = np.empty(0, np.int64)
        self._days = np.empty(0, np.float64)
        self._lock = Lock()
        self._counted = -np.inf
        self._added = self._told = 0

    def begin(self, source: Source, without: npt.NDArray[np.int64]) -> None:
        """What there is before the first event. `without`: users whose events are added one by one."""
        self._source, self._left = source, source.n_events
        self._away = np.zeros(source.n_users, np.bool_)
        self._away[without] = True
        self._moved = without

    @property
    def empty(self) -> bool:
        """Whether nothing is counted, here or elsewhere."""
        return not self._waiting and not len(self._keys) and not self._left

    @property
    def full(self) -> bool:
        """Whether it is time to count, although nobody asks."""
        return len(self._waiting) >= max(self._limits.waiting_events, len(self._keys) // SHARE)

    def move(self, users: npt.NDArray[np.int64]) -> None:
        """Users whose events come here, with those of before the start; any thread may call it.

        `users`: indices of any users that have events of before the start; for others nothing happens.
        """
        self._moving.append(users)

    def add(self, user: str, item: str, kind: str, day: float) -> None:
        """One event, in the order of arrival."""
        self._waiting.append((user, (item, kind), day))
        self._added += 1

    def tick(self) -> int:
        """The version to show: grows after new events, at most once in `HistoryLimits.count_seconds`."""
        # Not those that wait: whoever else counts takes them in, too.
        if self._added != self._told and time.monotonic() - self._counted >= self._limits.count_seconds:
            self._counted, self._told = time.monotonic(), self._added
            self.version += 1
        return self.version

    def pairs(self) -> Pairs:
        """Everything up to now."""
        with self._lock:
            self._merge()
            user, item = self._keys >> 32, self._keys & (1 << 32) - 1
            return Pairs(user, item, self._days, self._moved, self.generation)

    def forget(self, user: str, deleted: float) -> None:
        """Removes a user's events up to a deletion, in days since 1970."""
        with self._lock:
            self._merge()
            index = self.users.get(user, -1)
            if 0 <= index < len(self._away):
                self._moving.append(np.array([index]))
                self._merge()
                self.generation += 1
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
            self.generation += 0 <= at[0] < len(self._away)
            place = np.flatnonzero(self._keys == (at[0] << 32 | at[1])) if min(at) >= 0 else np.empty(0, int)
            if len(place) and left is None:
                self._keys, self._days = np.delete(self._keys, place), np.delete(self._days, place)
            elif len(place):
                self._days = self._days.copy()
                self._days[place] = left
            self.version += 1

    def _merge(self) -> None:
        """Takes in what waits: users who move, then events."""
        users = [self._moving.popleft() for _ in range(len(self._moving))]
        n = len(self._waiting)
        if users and self._source is not None:
            some = np.unique(np.concatenate(users))
            some = some[(some >= 0) & (some < len(self._away))]
            some = some[~self._away[some]]
            if len(some):
                user, item, day = self._source(some)
                self._left -= len(day)
                self._away[some] = True
                self._moved = np.concatenate([self._moved, some])
                self._put(user << 32 | item, day)
        if n:
            names, items, times = zip(*(self._waiting.popleft() for _ in range(n)), strict=True)
            user = np.fromiter(map(self.users.__getitem__, names), np.int64, n)
            keys = user << 32 | np.fromiter(map(self.items.__getitem__, items), np.int64, n)
            self._put(keys, np.array(times))

    def _put(self, keys: npt.NDArray[np.int64], days: npt.NDArray[np.float64]) -> None:
        order = np.lexsort((days, keys))
        keys, days = keys[order], days[order]
        newest = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
        keys, days = keys[newest], days[newest]
        at = np.searchsorted(self._keys, keys)
        known = np.append(self._keys, -1)[at] == keys
        before = self._days.copy()  # readers hold the old ones
        before[at[known]] = np.maximum(before[at[known]], days[known])
        new = ~known
        self._days = np.insert(before, at[new], days[new])
        self._keys = np.insert(self._keys, at[new], keys[new])


@dataclass(frozen=True)
class Gaps:
    """Gaps between a model's events and those since, and among these: time in which nothing ages."""

    starts: tuple[float, ...] = ()
    """Days since 1970 of the first event after each, ascending."""
    days: tuple[float, ...] = ()
    """How long each is, together with those before it."""

    def closed(self, day: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Days as if there were no gaps."""
        if not self.starts:
            return day
        starts, before = self._steps
        return day - before[np.searchsorted(starts, day, "right")]

    @cached_property
    def _steps(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return np.array(self.starts), np.array([0.0, *self.days])
