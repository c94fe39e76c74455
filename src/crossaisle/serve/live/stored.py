"""`StoredHistories`: what was in the store at the start, 20 bytes an event instead of hundreds.

Most of millions of events are of people who are not here now. They lie in arrays, by user and time; a user's
become an `Own` when they are asked for.
"""

from __future__ import annotations

import gc
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.serve.live.own import Deed, Own
from crossaisle.serve.store.records import EventRow

AT_ONCE = 1_000_000
"""Events that are counted at a time."""
Codes = npt.NDArray[np.int32]
Days = npt.NDArray[np.float64]


class StoredHistories:
    """Events in the order of their users and, of each user, of their times; equal times as they came."""

    def __init__(self, portions: Iterable[Sequence[EventRow]], users: defaultdict[str, int]) -> None:
        """`portions`: of events, in the order in which they came. `users`: ids and their indices, which are
        shared with others: a new one gets the next index.
        """
        self._users = users
        names: defaultdict[str, int] = indices()
        kinds: defaultdict[tuple[str, float | None, float | None], int] = indices()
        columns = array("i"), array("i"), array("i"), array("d")
        self.last = 0
        """The number of the last event."""
        with _no_collection():
            for portion in portions:
                seqs, of_users, items, *deeds, times = zip(*portion, strict=True)
                self.last = seqs[-1]
                columns[0].extend(map(self._users.__getitem__, of_users))
                columns[1].extend(map(names.__getitem__, items))
                columns[2].extend(map(kinds.__getitem__, zip(*deeds, strict=True)))
                columns[3].extend(times)
        left = [np.frombuffer(one, one.typecode) for one in columns]
        del columns
        left[3] /= SECONDS_PER_DAY
        order = np.lexsort((left[3], left[0]))
        # One after the other, so that never all of them are there twice.
        self.user: Codes = left.pop(0)[order]
        self.item: Codes = left.pop(0)[order]
        self.deed: Codes = left.pop(0)[order]
        self.day: Days = left.pop(0)[order]
        self.items: list[str] = list(names)
        self.deeds: list[Deed] = [Deed(*one) for one in kinds]
        self._starts = np.searchsorted(self.user, np.arange(len(self._users) + 1))

    def __len__(self) -> int:
        return len(self.item)

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

    def days_but_of(self, users: Collection[str]) -> Days:
        """float64: days of all events, but for those of some users."""
        return self.day[self._others(users)[self.user]]

    def parts(self, users: Collection[str]) -> Iterator[npt.NDArray[np.int64]]:
        """int64 (n,): places of the events of all but some users, about `AT_ONCE` of them and whole users at
        a time."""
        others, start = self._others(users), 0
        while start < len(self):
            end = int(np.searchsorted(self._starts, start + AT_ONCE))
            end = int(self._starts[min(end, len(self._starts) - 1)])
            part = np.arange(start, end)
            yield part[others[self.user[part]]]
            start = end

    def _others(self, users: Collection[str]) -> npt.NDArray[np.bool_]:
        """bool: users by their indices, but for some."""
        others = np.ones(len(self._starts) - 1, bool)
        places = [self._users.get(user, len(others)) for user in list(users)]
        others[[place for place in places if place < len(others)]] = False
        return others

    def drop(self, user: str) -> None:
        """Blanks a user's events, which nobody may ask for any more: others read these arrays meanwhile."""
        part = self._part(user)
        self.item[part], self.deed[part], self.day[part] = 0, 0, np.nan

    def _part(self, user: str) -> slice:
        place = self._users.get(user, len(self._starts))
        if place + 1 >= len(self._starts):
            return slice(0, 0)
        return slice(int(self._starts[place]), int(self._starts[place + 1]))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing that is read here refers to itself: looking for that takes a quarter of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def indices() -> defaultdict[Any, int]:
    """Keys and their indices, in order: a new one gets the next index."""
    found: defaultdict[Any, int] = defaultdict()
    found.default_factory = found.__len__
    return found
