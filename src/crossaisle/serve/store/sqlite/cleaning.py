"""`Cleaning`: removes what was deleted from the files of a store, between writes.

SQLite overwrites what is deleted (secure_delete), but where pages were split or joined it leaves copies
behind, and its log keeps older states of pages. So the file is rewritten, and the log emptied.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

from crossaisle.errors import cleaned
from crossaisle.serve.store.engine import Engine, SqlConnection
from crossaisle.serve.store.meta import mark_clean, unclean

_LOG = logging.getLogger(__name__)


class _Asked(NamedTuple):
    future: Future[bool]
    until: float


class Cleaning:
    """Of one writer; `ask` may be called by any thread, everything else by the writer's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asked: deque[_Asked] = deque()
        self._due = True  # at the start: a process may have died before it was done
        self._rewritten: bytes | None = None
        self._next = 0.0
        self._told = False

    def ask(self) -> Future[bool]:
        """Done when what was deleted up to now is in no file: true, or false where it takes longer."""
        asked = _Asked(Future(), time.monotonic() + self._engine.limits.clean_seconds)
        asked.future.set_running_or_notify_cancel()  # from here on nobody can cancel it
        self._asked.append(asked)
        return asked.future

    @property
    def due(self) -> bool:
        """Whether there may be something to do."""
        return self._due or bool(self._asked)

    def attempt(self, connection: SqlConnection) -> None:
        """Outside of a transaction, while nobody else writes; takes at most half of the time."""
        start = time.monotonic()
        if start >= self._next:
            asked = len(self._asked)  # who asks from here on may have deleted more
            self._due = not self._cleaned(connection)
            pause = max(self._engine.limits.clean_pause_seconds, time.monotonic() - start)
            self._next = time.monotonic() + pause
            if not self._due:
                self._next = 0.0 if self._rewritten is None else self._next
                for _ in range(asked):
                    self._asked.popleft().future.set_result(self._engine.overwrites)
        self.give_up(time.monotonic())

    def give_up(self, now: float = float("inf")) -> None:
        """Tells those who have waited for too long that it is not done yet; at the end, all."""
        while self._asked and self._asked[0].until <= now:
            self._due = True
            self._asked.popleft().future.set_result(False)

    def _cleaned(self, connection: SqlConnection) -> bool:
        try:
            mark = unclean(connection)
            if mark is None:
                return True
            if self._rewritten != mark:
                self._engine.rewrite(connection)
                self._rewritten = mark
            if not self._engine.empty_log(connection):
                return False
            mark_clean(connection, mark)
        except self._engine.errors as error:
            if not self._told:
                said = cleaned(error, str(self._engine.path))[:200]
                _LOG.warning("%s: what was deleted cannot be overwritten yet (%s)", self._engine.name, said)
            self._told = True
            return False
        self._told = False
        return True
