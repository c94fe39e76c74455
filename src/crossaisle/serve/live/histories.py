"""`LiveHistories`: events since the model was fitted, by external user id, so that it outlives a model."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import itemgetter
from threading import Lock

import numpy as np

from crossaisle.data.kinds import Kinds
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.serve.limits.live import HistoryLimits
from crossaisle.serve.live.event_counts import TAKEN_BACK, EventCounts, Gaps
from crossaisle.serve.live.holders import Holders
from crossaisle.serve.live.own import Deed, Own
from crossaisle.serve.live.stored import StoredHistories, StoredPairs
from crossaisle.serve.store.deleted_users import Forgotten
from crossaisle.serve.store.packed.merging import NOTHING, PackedEvents
from crossaisle.serve.store.records import Event

FEW_DAYS = 3
"""Days of which the bounds are found again at once."""
OLD_DAYS = 30.0
"""Days: over a gap this long after a model's last event, nothing ages."""


_NOTHING = Own()


def _with(own: Own, events: Sequence[Event], kept: int) -> Own:
    """A user's events and some more, the latest `kept`; of equal times in the order of arrival."""
    first = events[0].time / SECONDS_PER_DAY
    if len(events) == 1 and (not own.days or own.days[-1] <= first):  # the usual case
        items, days = (*own.items, sys.intern(events[0].item)), (*own.days, first)
        deeds = (*own.deeds, _deed(events[0]))
    else:
        of_items: list[str] = []
        of_days: list[float] = []
        of_deeds: list[Deed] = []
        at = 0
        new = [(event.time / SECONDS_PER_DAY, sys.intern(event.item), _deed(event)) for event in events]
        for day, item, deed in sorted(new, key=itemgetter(0)):
            before = bisect_right(own.days, day, at)
            of_items += own.items[at:before]
            of_days += own.days[at:before]
            of_deeds += own.deeds[at:before]
            of_items.append(item)
            of_days.append(day)
            of_deeds.append(deed)
            at = before
        items, days = (*of_items, *own.items[at:]), (*of_days, *own.days[at:])
        deeds = (*of_deeds, *own.deeds[at:])
    version, total = own.version + len(events), own.total + len(events)
    return Own(items[-kept:], days[-kept:], deeds[-kept:], version, total)


_DEEDS: dict[Deed, Deed] = {}
_MOST_DEEDS = 10_000


def _deed(event: Event) -> Deed:
    """What an event was, one object for equal ones while there are few of them."""
    deed = Deed(event.kind, event.value, event.quantity)
    return _DEEDS.setdefault(deed, deed) if len(_DEEDS) < _MOST_DEEDS else _DEEDS.get(deed, deed)


class LiveHistories:
    """Live events in memory, beside the store; one thread writes, any may read.

    Ids of items are interned: a few popular items make up most of a million events.
    """

    def __init__(
        self,
        events: Iterable[Event] = (),
        forgotten: Forgotten | None = None,
        *,
        stored: PackedEvents | None = None,
        meanings: Kinds | None = None,
        limits: HistoryLimits = HistoryLimits(),
    ) -> None:
        """`stored`: events of before, which are kept as compactly as can be. `meanings`: what kinds mean
        to the model that serves.
        """
        self._limits, self._meanings = limits, meanings or Kinds()
        self.holders = Holders()
        """Who hears of deletions."""
        self._own: dict[str, Own] = {}
        self.negatives = 0
        """Grows with every event that may stand against an item, and when one is taken out."""
        self.trends = EventCounts(limits)
        self._seen: dict[int, tuple[float, float]] | None = {}
        """Whole day -> the first and the last moment of an event in it; None: to be found again."""
        self._gaps: dict[float, tuple[int, Gaps]] = {}
        self._changed, self._newest, self._lock = 0, 0, Lock()
        self.forgotten = Forgotten() if forgotten is None else forgotten
        """Deleted users, whose history in the model must not be used."""
        self.stored = StoredHistories(NOTHING if stored is None else stored, self.trends.users)
        """What was there at the start; of users who have not moved (`EventCounts.move`), all there is."""
        self._moved: set[str] = set()
        if len(self.stored):
            self._count_stored(self.trends)
            self._seen = None
            self._days()
        left = iter(events)
        while portion := list(islice(left, limits.batch_events)):
            self.add(portion)
            if self.trends.full:
                self.trends.pairs()

    @property
    def last_stored(self) -> int:
        """The number of the last event of those that were there at the start."""
        return self.stored.last

    @property
    def meanings(self) -> Kinds:
        """What kinds mean to the model that serves."""
        return self._meanings

    def add(self, events: Sequence[Event]) -> None:
        """Adds events; late ones are inserted by timestamp.

        Events of one user are merged at once, so that the cost of a batch depends on its length alone.
        """
        own: dict[str, list[Event]] = {}
        self._move({event.user for event in events})
        for event in events:
            day = event.time / SECONDS_PER_DAY
            self._count(event.user, event.item, _deed(event), day)
            self._see(day)
            own.setdefault(event.user, []).append(event)
        for user, new in own.items():
            self._own[user] = _with(self.of(user), new, self._limits.user_events)

    def _move(self, users: Iterable[str]) -> None:
        """Has users counted with all that they do from now on, those of the start who were not before."""
        if not len(self.stored):
            return
        new = [user for user in users if user not in self._moved and self.stored.index(user) >= 0]
        if new:
            self._moved.update(new)
            self.trends.move(np.array([self.stored.index(user) for user in new]))

    def _see(self, day: float) -> None:
        with self._lock:
            if self._seen is None:
                self._changed += 1
                return
            whole = math.floor(day)
            first, last = self._seen.get(whole, (math.inf, -math.inf))
            if day < first or (day > last and whole != self._newest):
                self._changed += 1  # a gap may begin or end here
            if day < first or day > last:
                self._seen[whole] = min(first, day), max(last, day)
                self._newest = max(self._newest, whole)

    def _see_again(self, gone: Sequence[float] | None) -> None:
        """Finds the bounds of days again, of which events that are gone were the first or the last.

        `gone`: their days; None where these are not in memory.
        """
        with self._lock:
            if self._seen is None:
                self._changed += 1
                return
            seen = self._seen
            found = {math.floor(day) for day in gone or () if day in seen.get(math.floor(day), ())}
        if gone is None or len(found) > FEW_DAYS:
            with self._lock:
                self._seen = None
                self._changed += 1
            return
        own = dict(self._own)
        for whole in found:
            bounds = self._bounds(own, whole).get(whole)
            with self._lock:
                if self._seen is not None:
                    self._seen.pop(whole, None)
                    if bounds is not None:
                        self._seen[whole] = bounds
                self._changed += 1

    def _days(self) -> list[tuple[float, float]]:
        """The first and the last moment of each day with events, in order. Any thread may call it."""
        with self._lock:
            changed = self._changed
            if self._seen is not None:
                return [self._seen[whole] for whole in sorted(self._seen)]
        found = self._bounds(dict(self._own))
        with self._lock:
            if changed == self._changed:
                self._seen = found
                self._newest = max(found, default=0)
        return [found[whole] for whole in sorted(found)]

    def _bounds(self, own: dict[str, Own], only: int | None = None) -> dict[int, tuple[float, float]]:
        """Whole day -> first and last moment. `only`: one day."""
        found = self.stored.days(own, only)
        for one in own.values():
            for day in one.days:
                whole = math.floor(day)
                if only is None or whole == only:
                    first, last = found.get(whole, (math.inf, -math.inf))
                    found[whole] = min(first, day), max(last, day)
        return found

    def _count(self, user: str, item: str, deed: Deed, day: float) -> None:
        interest = self._meanings.is_interest(*deed)
        self.negatives += interest is False
        if interest is not None:
            self.trends.add(user, item, sys.intern(deed.kind) if interest else TAKEN_BACK, day)

    def use(self, meanings: Kinds) -> None:
        """Reads kinds as another model does, which serves from now on."""
        before, self._meanings = self._meanings, meanings
        if (before.given, before.low_rating) == (meanings.given, meanings.low_rating):
            return
        trends = EventCounts(self._limits, self.trends)  # others keep rows by their indices
        self.negatives += 1
        self._count_stored(trends)
        for user, own in list(self._own.items()):
            if user not in self._moved and self.stored.index(user) >= 0:
                continue
            for item, day, deed in zip(own.items, own.days, own.deeds, strict=True):
                interest = meanings.is_interest(*deed)
                if interest is not None:
                    trends.add(user, item, deed.kind if interest else TAKEN_BACK, day)
        self.trends = trends

    def _count_stored(self, trends: EventCounts) -> None:
        """Has those counted here who turned against something before the start, the others elsewhere."""
        turned, negatives, n = self.stored.turned(self._meanings)
        moved = np.array(sorted(self.stored.index(user) for user in self._moved), np.int64)
        trends.begin(StoredPairs(self.stored, self._meanings, trends.items, n), moved)
        self.negatives += negatives
        if len(turned):
            trends.move(turned)

    def of(self, user: str) -> Own:
        """A user's live events: the same object until something happens."""
        own = self._own.get(user)
        if own is None and (found := self.stored.of(user, self._limits.user_events)) is not None:
            own = self._own.setdefault(user, found)
        return own or _NOTHING

    def gaps_after(self, end: float) -> Gaps:
        """The gaps of more than `OLD_DAYS` after the last event of a model.

        `end` and the answer in days since 1970. Depends on times of events that are kept, not on the clock or
        the order of arrival: one event of a wrong or an old time ends a gap and begins another, so that it
        makes no other event older.
        """
        if math.isnan(end):
            return Gaps()
        changed, kept = self._changed, self._gaps.get(end)
        if kept is not None and kept[0] == changed:
            return kept[1]
        last, total = end, 0.0
        starts, days = [], []
        for first, newest in self._days():
            if newest > end:
                if (gap := max(first, end) - last) > OLD_DAYS:
                    total += gap
                    starts.append(first)
                    days.append(total)
                last = newest
        self._gaps[end] = changed, Gaps(tuple(starts), tuple(days))
        return self._gaps[end][1]

    def forget(self, user: str, deleted: float) -> None:
        """Drops a user's events up to a deletion; the history in the model is not used from now on.

        Later events stay, even if they arrived before the deletion. In seconds since 1970.
        """
        own, day = self.of(user), deleted / SECONDS_PER_DAY
        self._move([user])
        gone = bisect_right(own.days, day)
        total = len(own.items) - gone if gone else own.total
        self._own[user] = Own(own.items[gone:], own.days[gone:], own.deeds[gone:], own.version + 1, total)
        self.forgotten.add(self.forgotten.digest(user), deleted)
        self._see_again(own.days[:gone] if own.total == len(own.days) else None)
        self.negatives += self.negatives > 0
        self.trends.forget(user, day)
        self.stored.drop(user)
        self.holders.forget(user)

    def withdraw(self, user: str, gone: Callable[[str, float, Deed], bool]) -> None:
        """Drops one event that was deleted; nothing where it is not in memory.

        `gone`: whether this is it, from item, day and deed.
        """
        own = self.of(user)
        same = zip(own.items, own.days, own.deeds, strict=True)
        at = next((at for at, one in enumerate(same) if gone(*one)), None)
        if at is None:
            return
        self._move([user])
        item, deed = own.items[at], own.deeds[at]
        items, days, deeds = ((*all_[:at], *all_[at + 1 :]) for all_ in (own.items, own.days, own.deeds))
        self._own[user] = Own(items, days, deeds, own.version + 1, own.total - 1)
        self._see_again(own.days[at : at + 1])
        interest = self._meanings.is_interest(*deed)
        left = [
            day
            for name, day, one in zip(items, days, deeds, strict=True)
            if name == item
            and (one.kind == deed.kind or not interest)
            and self._meanings.is_interest(*one) is interest
        ]
        self.negatives += self.negatives > 0
        if interest is not None:
            kind = deed.kind if interest else TAKEN_BACK
            self.trends.withdraw(user, item, kind, max(left, default=None))
        self.holders.forget(user)

    def names(self) -> list[str]:
        """Ids of all users with live events; any thread may call it."""
        return [*list(self._own), *self.stored.names()]

    def forget_digest(self, digest: bytes, deleted: float) -> None:
        """Records the deletion of a user whose id is not known here."""
        self.forgotten.add(digest, deleted)
        self.trends.version += 1

    @property
    def any_forgotten(self) -> bool:
        """Whether any user has been deleted."""
        return bool(self.forgotten)

    def is_forgotten(self, user: str) -> bool:
        """Whether the model's history of this user must not be used."""
        return user in self.forgotten
