"""`Pack`: some events as arrays, by user and time; what one row of the table `packed_events` holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from crossaisle.serve.store.records import EventRow

Integers = npt.NDArray[np.int32]
Times = npt.NDArray[np.float64]
Deed = tuple[str, float | None, float | None]
"""Kind, value and quantity."""
_HEAD = 2
"""Numbers before the arrays: of users and of events."""


class Pack(NamedTuple):
    """Events in the order of their users and, of each user, of their times; equal times as they came."""

    users: Integers
    """int32 (n_users,): ascending, each once."""
    counts: Integers
    """int32 (n_users,): events of each."""
    item: Integers
    """int32 (n,)"""
    deed: Integers
    """int32 (n,)"""
    time: Times
    """float64 (n,): seconds since 1970."""

    @classmethod
    def of(cls, user: Integers, item: Integers, deed: Integers, time: Times) -> Pack:
        """From events in the order in which they came, one value each."""
        order = np.lexsort((time, user))
        users, counts = np.unique(user, return_counts=True)
        return cls(users, counts.astype(np.int32), item[order], deed[order], time[order])

    @classmethod
    def from_bytes(cls, body: bytes) -> Pack:
        """As `to_bytes` wrote it; `ValueError` for anything else."""
        n_users, n = np.frombuffer(body, "<i4", _HEAD).tolist()
        if n_users < 0 or n < 0 or len(body) != 4 * _HEAD + 16 * n + 8 * n_users:
            raise ValueError("is not a pack of events")
        at = 4 * _HEAD
        time = np.frombuffer(body, "<f8", n, at)
        left = np.frombuffer(body, "<i4", offset=at + 8 * n)
        events = 2 * n_users
        return cls(
            left[:n_users],
            left[n_users:events],
            left[events : events + n],
            left[events + n :],
            time,
        )

    @classmethod
    def joined(cls, packs: Sequence[Pack]) -> Pack:
        """One pack after the other, at least one: users of several stand there several times."""
        if len(packs) == 1:
            return packs[0]
        return cls(*(np.concatenate(one) for one in zip(*packs, strict=True)))

    def to_bytes(self) -> bytes:
        """Two numbers and the arrays, little-endian."""
        head = np.array([len(self.users), len(self.item)], "<i4")
        numbers = (one.astype("<i4").tobytes() for one in self[:4])
        return b"".join((head.tobytes(), self.time.astype("<f8").tobytes(), *numbers))

    @property
    def user(self) -> Integers:
        """int32 (n,): of each event."""
        return np.repeat(self.users, self.counts)

    def of_users(self, start: int, end: int) -> Pack:
        """The events of users with numbers from `start` to before `end`."""
        first, last = np.searchsorted(self.users, (start, end)).tolist()
        ends = np.append(0, np.cumsum(self.counts))
        part = slice(int(ends[first]), int(ends[last]))
        users, counts = self.users[first:last], self.counts[first:last]
        return Pack(users, counts, self.item[part], self.deed[part], self.time[part])

    def only(self, kept: npt.NDArray[np.bool_]) -> Pack:
        """Some of its events. `kept`: bool (n,)."""
        counts = np.add.reduceat(kept, np.cumsum(self.counts) - self.counts).astype(np.int32)
        some = counts > 0
        return Pack(self.users[some], counts[some], self.item[kept], self.deed[kept], self.time[kept])


def numbering(things: Sequence[Any] = ()) -> defaultdict[Any, int]:
    """Things and their numbers, in order: a new one gets the next number."""
    found: defaultdict[Any, int] = defaultdict()
    found.update(zip(things, range(len(things)), strict=True))
    found.default_factory = found.__len__
    return found


def packed(
    rows: Sequence[EventRow],
    users: defaultdict[str, int],
    items: defaultdict[str, int],
    deeds: defaultdict[Deed, int],
) -> Pack:
    """Rows in the order in which they came, with the numbers of these."""
    _, of_users, of_items, kinds, values, quantities, times = zip(*rows, strict=True)
    n = len(rows)
    return Pack.of(
        np.fromiter(map(users.__getitem__, of_users), np.int32, n),
        np.fromiter(map(items.__getitem__, of_items), np.int32, n),
        np.fromiter(map(deeds.__getitem__, zip(kinds, values, quantities, strict=True)), np.int32, n),
        np.array(times, np.float64),
    )
