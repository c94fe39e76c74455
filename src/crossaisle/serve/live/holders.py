"""`Holders`: whatever keeps something of users in memory, so that a deletion finds all of it."""

from __future__ import annotations

from threading import Lock
from typing import Protocol
from weakref import WeakSet


class Holder(Protocol):
    """Keeps what was made from what users did."""

    def forget(self, user: str) -> None:
        """Keeps nothing of a user that was made before, and nothing that is still being made of it."""


class Holders:
    """All that are alive: of the model that serves, of arms, of a model that is being made ready."""

    def __init__(self) -> None:
        self._all: WeakSet[Holder] = WeakSet()
        self._lock = Lock()

    def add(self, holder: Holder) -> None:
        """From now on it hears of deletions. Any thread may call it, before it keeps anything."""
        with self._lock:
            self._all.add(holder)

    def forget(self, user: str) -> None:
        """After the user's events are gone: nobody keeps anything that they came to."""
        with self._lock:
            every = list(self._all)
        for holder in every:
            holder.forget(user)
