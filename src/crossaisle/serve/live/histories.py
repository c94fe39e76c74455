"""`LiveHistories`: what people did since the model was fitted, by external id: it outlives a model."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.serve.live.event_counts import EventCounts, Gap
from crossaisle.serve.live.limits import HistoryLimits
from crossaisle.serve.store.deleted_users import Forgotten
from crossaisle.serve.store.store import Event

OLD_DAYS = 30.0
"""A silence this long after a model's last event is no time in which anything aged."""


class Own(NamedTuple):
    """A person's live events, oldest first. Never changed, only replaced, so that readers need no lock."""

    items: tuple[str, ...] = ()
    """Of the latest events by their times, as many as `HistoryLimits` allows."""
    days: tuple[float, ...] = ()
    """Days since 1970."""
    version: int = 0
    """Grows with every change."""
    total: int = 0
    """All live events, be they kept here or in the store only."""


_NOTHING = Own()


def _with(own: Own, events: Sequence[Event], kept: int) -> Own:
    """A user's events and some more, the latest `kept`; of equal times in the order of arrival."""
    first = events[0].time / SECONDS_PER_DAY
    if len(events) == 1 and (not own.days or own.days[-1] <= first):  # as nearly all come
        items, days = (*own.items, sys.intern(events[0].item)), (*own.days, first)
    else:
        of_items: list[str] = []
        of_days: list[float] = []
        at = 0
        new = [(event.time / SECONDS_PER_DAY, sys.intern(event.item)) for event in events]
        for day, item in sorted(new, key=itemgetter(0)):
            place = bisect_right(own.days, day, at)
            of_items += own.items[at:place]
            of_days += own.days[at:place]
            of_items.append(item)
            of_days.append(day)
            at = place
        items, days = (*of_items, *own.items[at:]), (*of_days, *own.days[at:])
    return Own(items[-kept:], days[-kept:], own.version + len(events), own.total + len(events))


class LiveHistories:
    """Kept in memory beside the store; one thread writes, any may read.

    Ids of items are interned: a few popular items make up most of a million events.
    """

    def __init__(
        self,
        events: Iterable[Event] = (),
        forgotten: Forgotten | None = None,
        *,
        limits: HistoryLimits = HistoryLimits(),
    ) -> None:
        self._limits = limits
        self._own: dict[str, Own] = {}
        self.trends = EventCounts(limits)
        self._gaps: dict[float, tuple[float, float]] = {}
        self.forgotten = Forgotten() if forgotten is None else forgotten
        """People whose history in the model must not be used."""
        left = iter(events)
        while portion := list(islice(left, limits.batch_events)):
            self.add(portion)
            if self.trends.full:
                self.trends.pairs()

    def add(self, events: Sequence[Event]) -> None:
        """Takes events in; those that come late find their places by their times.

        Each person's are merged at once: what a batch costs grows with its length, whatever is in it.
        """
        own: dict[str, list[Event]] = {}
        for event in events:
            day = event.time / SECONDS_PER_DAY
            self.trends.add(event.user, event.item, day)
            for end in tuple(self._gaps):  # a reader may add one
                last, first = self._gaps[end]
                old = day <= end + OLD_DAYS
                self._gaps[end] = (max(last, day), first) if old else (last, min(first, day))
            own.setdefault(event.user, []).append(event)
        for user, new in own.items():
            self._own[user] = _with(self._own.get(user, _NOTHING), new, self._limits.user_events)

    def of(self, user: str) -> Own:
        """A person's live events."""
        return self._own.get(user, _NOTHING)

    def gap_after(self, end: float) -> Gap:
        """The silence after the last event of a model, if it was longer than `OLD_DAYS`.

        `end` and the answer in days since 1970. Depends on times of events that are kept, not on the clock.
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
        gone = bisect_right(own.days, day)
        total = len(own.items) - gone if gone else own.total
        self._own[user] = Own(own.items[gone:], own.days[gone:], own.version + 1, total)
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
