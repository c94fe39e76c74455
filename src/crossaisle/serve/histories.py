"""`LiveHistories`: what people did since the model was fitted, by external id: it outlives a model."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from crossaisle.data.history import SECONDS_PER_DAY
from crossaisle.serve.forgotten import Forgotten
from crossaisle.serve.store import Event
from crossaisle.serve.trends import Gap, Trends

OLD_DAYS = 30.0
"""A silence this long after a model's last event is no time in which anything aged."""


class Own(NamedTuple):
    """A person's live events, oldest first. Never changed, only replaced, so that readers need no lock."""

    items: tuple[str, ...] = ()
    days: tuple[float, ...] = ()
    """Days since 1970."""
    version: int = 0
    """Grows with every change."""


_NOTHING = Own()


class LiveHistories:
    """Kept in memory beside the store; one thread writes, any may read.

    Ids of items are interned: a few popular items make up most of a million events.
    """

    def __init__(self, events: Iterable[Event] = (), forgotten: Forgotten | None = None) -> None:
        self._own: dict[str, Own] = {}
        self.trends = Trends()
        self._gaps: dict[float, tuple[float, float]] = {}
        self.forgotten = Forgotten() if forgotten is None else forgotten
        """People whose history in the model must not be used."""
        items: dict[str, list[Event]] = {}
        for event in events:
            items.setdefault(event.user, []).append(event)
            self.trends.add(event.user, event.item, event.time / SECONDS_PER_DAY)
            if self.trends.full:
                self.trends.pairs()
        for user, own in items.items():
            own.sort(key=lambda event: event.time)  # stable: equal times keep the order of arrival
            names, days = zip(*((sys.intern(e.item), e.time / SECONDS_PER_DAY) for e in own), strict=True)
            self._own[user] = Own(names, days, 1)

    def add(self, events: Iterable[Event]) -> None:
        """Takes events in; one that comes late finds its place by its time."""
        for event in events:
            own = self._own.get(event.user, _NOTHING)
            day = event.time / SECONDS_PER_DAY
            self.trends.add(event.user, event.item, day)
            for end, (last, first) in self._gaps.items():
                old = day <= end + OLD_DAYS
                self._gaps[end] = (max(last, day), first) if old else (last, min(first, day))
            place = len(own.days)
            while place and own.days[place - 1] > day:
                place -= 1
            self._own[event.user] = Own(
                (*own.items[:place], sys.intern(event.item), *own.items[place:]),
                (*own.days[:place], day, *own.days[place:]),
                own.version + 1,
            )

    def of(self, user: str) -> Own:
        """A person's live events."""
        return self._own.get(user, _NOTHING)

    def gap_after(self, end: float) -> Gap:
        """The silence after the last event of a model, if it was longer than `OLD_DAYS`.

        `end` and the answer in days since 1970. Depends on times of events only, not on the clock.
        """
        if math.isnan(end):
            return Gap()
        if end not in self._gaps:
            last, first = end, math.inf
            for own in list(self._own.values()):
                place = bisect_right(own.days, end + OLD_DAYS)
                last = max(last, own.days[place - 1]) if place else last
                first = min(first, own.days[place]) if place < len(own.days) else first
            self._gaps[end] = last, first
        last, first = self._gaps[end]
        return Gap(first, first - last) if OLD_DAYS < first - last < math.inf else Gap()

    def forget(self, user: str, deleted: float, arrived: Iterable[float]) -> None:
        """Drops what a person did up to a deletion; the history in the model is not used from now on.

        What came after it stays, whichever of the two is told of first. `arrived`: times of the latest
        events that are left, oldest first. Times in seconds since 1970.
        """
        own, day = self.of(user), deleted / SECONDS_PER_DAY
        left = bisect_right(own.days, day)
        self._own[user] = Own(own.items[left:], own.days[left:], own.version + 1)
        self.forgotten.add(self.forgotten.digest(user), deleted)
        self._gaps.clear()
        self.trends.forget(user, day, [time / SECONDS_PER_DAY for time in arrived])

    def names(self) -> list[str]:
        """Everybody with live events; may be asked by any thread."""
        return list(self._own)

    def forget_digest(self, digest: bytes, deleted: float) -> None:
        """Remembers somebody of whom nothing else is known here."""
        self.forgotten.add(digest, deleted)
        self.trends.version += 1

    @property
    def any_forgotten(self) -> bool:
        """Whether there is anybody whose history in the model must not be used."""
        return bool(self.forgotten)

    def is_forgotten(self, user: str) -> bool:
        """Whether the model's history of this person must not be used."""
        return user in self.forgotten
