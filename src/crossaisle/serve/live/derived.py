"""`Derived`: what a user's live events come to, kept until something happens to the user."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from crossaisle.serve.live.event_counts import Gaps
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.own import Own

T = TypeVar("T")


class _Kept(NamedTuple, Generic[T]):
    own: Own
    gaps: Gaps
    value: T
    size: int


class Derived(Generic[T]):
    """One value of each user, of the events that the user had when it was made. Any thread may ask.

    What is kept of a user goes with the first event that is deleted, whoever is using it.
    """

    def __init__(
        self, live: LiveHistories, *, most: int | None = None, size: Callable[[T], int] = lambda _: 1
    ) -> None:
        """`most`: of all sizes together; with more, all are made anew."""
        self._live, self._most, self._size = live, most, size
        self._kept: dict[str, _Kept[T]] = {}
        self._total, self._lock = 0, Lock()
        live.holders.add(self)

    def of(self, user: str, own: Own, gaps: Gaps) -> T | None:
        """The value, if it was made of these events."""
        kept = self._kept.get(user)
        return kept.value if kept is not None and kept.own is own and kept.gaps == gaps else None

    def keep(self, user: str, own: Own, gaps: Gaps, value: T) -> None:
        """Keeps a value that was made of some events."""
        kept = _Kept(own, gaps, value, self._size(value))
        with self._lock:
            before = self._kept.get(user)
            self._total += kept.size - (0 if before is None else before.size)
            if self._most is not None and self._total > self._most:
                self._kept, self._total = {}, kept.size  # others may be reading the old one
            self._kept[user] = kept
        if self._live.of(user) is not own:
            self.forget(user)  # deleted while it was made; after an event it is of no use either

    def forget(self, user: str) -> None:
        """Keeps nothing of a user."""
        with self._lock:
            kept = self._kept.pop(user, None)
            self._total -= 0 if kept is None else kept.size
