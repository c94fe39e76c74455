"""`LiveHistories`: what people did since the model was fitted, by external id: it outlives a model."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

from crossaisle.data.history import SECONDS_PER_DAY
from crossaisle.serve.store import Event, digest_of


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

    def __init__(self, events: Iterable[Event] = (), forgotten: Iterable[bytes] = ()) -> None:
        self._own: dict[str, Own] = {}
        self._forgotten = set(forgotten)
        items: dict[str, list[Event]] = {}
        for event in events:
            items.setdefault(event.user, []).append(event)
        for user, own in items.items():
            own.sort(key=lambda event: event.time)  # stable: equal times keep the order of arrival
            names, days = zip(*((sys.intern(e.item), e.time / SECONDS_PER_DAY) for e in own), strict=True)
            self._own[user] = Own(names, days, 1)

    def add(self, events: Iterable[Event]) -> None:
        """Takes events in; one that comes late finds its place by its time."""
        for event in events:
            own = self._own.get(event.user, _NOTHING)
            day = event.time / SECONDS_PER_DAY
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

    def forget(self, user: str) -> None:
        """Drops a person; the history in the model is not used from now on."""
        version = self.of(user).version
        self._own[user] = Own((), (), version + 1)
        self._forgotten.add(digest_of(user))

    def is_forgotten(self, user: str) -> bool:
        """Whether the model's history of this person must not be used."""
        return bool(self._forgotten) and digest_of(user) in self._forgotten
