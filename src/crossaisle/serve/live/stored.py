"""`StoredHistories`: what was in the store at the start, 11 to 16 bytes an event instead of hundreds.

Most of millions of events are of people who are not here now. They lie in arrays, by user and time; a user's
become an `Own` when they are asked for.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from crossaisle.data.kinds import Kinds
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.serve.live.event_counts import TAKEN_BACK, Arrays
from crossaisle.serve.live.own import Deed, Own
from crossaisle.serve.store.packed.merging import PackedEvents, Unsigned

AT_ONCE = 250_000
"""Events that are counted at a time."""
Days = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


class Events(NamedTuple):
    """Some users' events, by user and time."""

    user: npt.NDArray[np.int64]
    """int64 (n,): ascending"""
    item: Unsigned
    """Integers (n,): places in `StoredHistories.items`"""
    deed: Unsigned
    """Integers (n,): places in `StoredHistories.deeds`"""
    day: Days
    """float64 (n,): days since 1970"""


class StoredHistories:
    """Events in the order of their users and, of each user, of their times; equal times as they came."""

    def __init__(self, events: PackedEvents, users: defaultdict[str, int]) -> None:
        """`events`: its arrays are taken over and changed. `users`: ids and their indices, none yet; shared
        with others: a new one gets the next index.
        """
        users.update(zip(events.users, range(len(events.users)), strict=True))
        self._users, self._starts = users, events.starts
        self.item, self.deed = events.item, events.deed
        self.day: Days = np.divide(events.time, SECONDS_PER_DAY, out=events.time)
        self.items = events.items
        self.deeds: list[Deed] = [Deed(*one) for one in events.deeds]
        self.last = events.last
        """The number of the last event."""
        self.newest = float(self.day.max(initial=-np.inf))
        """The day of the newest event."""

    def __len__(self) -> int:
        return len(self.item)

    @property
    def n_users(self) -> int:
        """Users with indices from 0 to before this have events here."""
        return len(self._starts) - 1

    def of(self, user: str, kept: int) -> Own | None:
        """A user's latest events, at most `kept`; None where there are none."""
        part = self._part(user)
        total = part.stop - part.start
        if not total:
            return None
        part = slice(max(part.start, part.stop - kept), part.stop)
        return Own(
            tuple(map(self.items.__getitem__, self.item[part].tolist())),
            tuple(self.day[part].tolist()),
            tuple(map(self.deeds.__getitem__, self.deed[part].tolist())),
            total,
            total,
        )

    def names(self) -> list[str]:
        """Ids of all users with events here; any thread may call it."""
        some = np.diff(self._starts) > 0
        return [name for name, has in zip(list(self._users), some.tolist(), strict=False) if has]

    def index(self, user: str) -> int:
        """The index of a user with events here; -1 for others."""
        found = self._users.get(user, -1)
        return found if found < self.n_users else -1

    def events(self, users: Places) -> Events:
        """All events of some users, whose indices ascend."""
        starts = self._starts[users]
        sizes = self._starts[users + 1] - starts
        place = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
        return Events(np.repeat(users, sizes), self.item[place], self.deed[place], self.day[place])

    def parts(self, without: Booleans) -> Iterator[Events]:
        """Events of all but some users, about `AT_ONCE` of them and whole users at a time. `without`: bool
        (n_users,).
        """
        first = 0
        while first < self.n_users:
            end = int(np.searchsorted(self._starts, int(self._starts[first]) + AT_ONCE))
            end = max(min(end, self.n_users), first + 1)
            part = slice(int(self._starts[first]), int(self._starts[end]))
            sizes = np.diff(self._starts[first : end + 1])
            some = Events(
                np.repeat(np.arange(first, end), sizes), self.item[part], self.deed[part], self.day[part]
            )
            if without[first:end].any():
                kept = ~without[some.user]
                some = Events(some.user[kept], some.item[kept], some.deed[kept], some.day[kept])
            yield some
            first = end

    def turned(self, meanings: Kinds) -> tuple[Places, int, int]:
        """int64: indices of users with an event that takes interest back, ascending; how many such events
        there are, and how many say anything at all.
        """
        interest = [meanings.is_interest(*deed) for deed in self.deeds]
        number = np.bincount(self.deed, minlength=len(interest))
        back = np.array([one is False for one in interest], bool)
        says = np.array([one is not None for one in interest], bool)
        n = int(number[back].sum())
        if not n:
            return np.empty(0, np.int64), 0, int(number[says].sum())
        place = np.flatnonzero(back[self.deed])
        users = np.unique(np.searchsorted(self._starts, place, "right") - 1)
        return users, n, int(number[says].sum())

    def days(self, without: Collection[str], only: int | None = None) -> dict[int, tuple[float, float]]:
        """Whole day -> the first and the last moment of an event in it, but for some users. `only`: of one
        day.
        """
        gone = np.zeros(self.n_users, bool)
        gone[[place for place in map(self.index, without) if place >= 0]] = True
        found: dict[int, tuple[float, float]] = {}
        for some in self.parts(gone):
            right = ~np.isnan(some.day) if only is None else (some.day >= only) & (some.day < only + 1)
            day = some.day[right]
            if not len(day):
                continue
            whole = np.floor(day).astype(np.int64)
            least, most = int(whole.min()), int(whole.max())
            if most - least > 100_000:  # a clock that was very wrong
                days, place = np.unique(whole, return_inverse=True)
            else:
                days, place = np.arange(least, most + 1), whole - least
            first, last = np.full(len(days), np.inf), np.full(len(days), -np.inf)
            np.minimum.at(first, place, day)
            np.maximum.at(last, place, day)
            for at in np.flatnonzero(first <= last).tolist():
                key = int(days[at])
                before = found.get(key, (math.inf, -math.inf))
                found[key] = min(before[0], float(first[at])), max(before[1], float(last[at]))
        return found

    def drop(self, user: str) -> None:
        """Blanks a user's events, which nobody may ask for any more: others read these arrays meanwhile."""
        part = self._part(user)
        self.item[part], self.deed[part], self.day[part] = 0, 0, np.nan

    def _part(self, user: str) -> slice:
        place = self.index(user)
        if place < 0:
            return slice(0, 0)
        return slice(int(self._starts[place]), int(self._starts[place + 1]))


class StoredPairs:
    """Events of some users that count, for `EventCounts`."""

    def __init__(
        self, stored: StoredHistories, meanings: Kinds, indices: defaultdict[tuple[str, str], int], n: int
    ) -> None:
        """`indices`: of items with kinds of events. `n`: events that count."""
        self.n_users, self.n_events = stored.n_users, n
        self._stored, self._indices = stored, indices
        interest = [meanings.is_interest(*deed) for deed in stored.deeds]
        self._kinds = list(dict.fromkeys([TAKEN_BACK, *(deed.kind for deed in stored.deeds)]))
        kind = {name: at for at, name in enumerate(self._kinds)}
        self._kind = np.array(
            [
                -1 if says is None else kind[deed.kind if says else TAKEN_BACK]
                for says, deed in zip(interest, stored.deeds, strict=True)
            ],
            np.int64,
        )
        self._index: dict[int, int] = {}

    def __call__(self, users: Places) -> Arrays:
        """See `Source`."""
        some = self._stored.events(users)
        kind = self._kind[some.deed]
        says = kind >= 0
        number = some.item[says].astype(np.int64) * len(self._kinds) + kind[says]
        numbers, place = np.unique(number, return_inverse=True)
        index = np.array([self._index_of(one) for one in numbers.tolist()], np.int64)
        return some.user[says], index[place], some.day[says]

    def _index_of(self, number: int) -> int:
        found = self._index.get(number)
        if found is None:
            item, kind = divmod(number, len(self._kinds))
            found = self._index[number] = self._indices[self._stored.items[item], self._kinds[kind]]
        return found
