"""`Packing`: packs the events of a store, at its start and while it is served."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from crossaisle.errors import StoreError
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.packed.writing import next_portion, put_portion

_LOG = logging.getLogger(__name__)
_SAID = 1_000_000
"""Events after which a long start says how far it is."""


class Packing:
    """One portion is one transaction: who is killed loses nothing, and the next one goes on from there."""

    def __init__(
        self,
        name: str,
        reading: Callable[[], AbstractContextManager[SqlConnection]],
        submit: Callable[[Callable[[SqlConnection], bool]], Future[bool]],
        events: int,
    ) -> None:
        """`name`: of the store. `reading`, `submit`: to read from it and to write to it. `events`: of a
        portion.
        """
        self._name, self._reading, self._submit, self._events = name, reading, submit, events
        self._waiting = 0
        self._ending = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def catch_up(self) -> None:
        """Packs what there is, but for less than a portion; where it cannot be written, that is for later."""
        done = 0
        try:
            while not self._ending and self._packed():
                done += self._events
                if done % _SAID < self._events:
                    _LOG.info("%s: packed %s events for a fast start", self._name, f"{done:,}")
        except StoreError as error:
            _LOG.warning("%s: events cannot be packed for a fast start: %s", self._name, error)

    def _packed(self) -> bool:
        with self._reading() as connection:
            portion = next_portion(connection, self._events)
        if portion is None:
            return False
        self._submit(partial(put_portion, portion=portion)).result()
        return True

    def added(self, added: Future[Any]) -> None:
        """Called when events were kept: packs in a thread of its own once they are a portion."""
        if added.cancelled() or added.exception() is not None:
            return
        with self._lock:
            self._waiting += len(added.result().fresh)
            if self._waiting < self._events or self._ending:
                return
            if self._thread is None or not self._thread.is_alive():
                self._waiting = 0
                self._thread = threading.Thread(target=self.catch_up, name="packing", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Waits for the portion that is under way."""
        with self._lock:
            self._ending = True
        if self._thread is not None:
            self._thread.join()
