"""`Writer`: one thread, group commits, and what to do when the database goes away.

Writers that wait for the same disk write share it: that is what makes single events fast.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from itertools import islice
from typing import Any, TypeVar

from crossaisle.errors import StoreError, cleaned
from crossaisle.serve.store.engine import Engine, SqlConnection, Trouble, WritingTurn
from crossaisle.serve.store.events import events_since, newest
from crossaisle.serve.store.health import Condition
from crossaisle.serve.store.records import Event
from crossaisle.serve.store.schema import PROBE
from crossaisle.serve.store.sqlite.cleaning import Cleaning
from crossaisle.serve.store.tasks import Kept, Put, Task, in_parts, kept

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Busy(StoreError):
    """Too many writes are waiting."""


class Unreachable(StoreError):
    """The database does not answer, or takes no writes; they are refused until it does."""


class Writer:
    """Runs work in transactions. A future is done once its work is on disk."""

    def __init__(
        self, engine: Engine, slot: WritingTurn | None = None, *, run: str = "", serving: bool = False
    ) -> None:
        """`slot`: where several workers write to the same store. `run`: of the service; `serving`: whether
        this process marks the store with it, or expects the mark to be there.
        """
        self._engine, self._slot = engine, slot
        self._limits = engine.limits
        self._run, self._claiming = run, serving
        self._begin = engine.begin if slot is None else engine.begin_in_turn
        self._failures: tuple[type[Exception], ...] = (StoreError, *engine.errors)
        self._queue: queue.Queue[Task | None] = queue.Queue(self._limits.waiting_writes)
        self._condition = Condition(engine.name, self._limits.calm_seconds)
        self._cleaning = Cleaning(engine)
        self._last = 0
        self._doubtful = self._told = False
        self._beginning: float | None = None
        """When the transaction that waits to begin started to wait (monotonic seconds)."""
        self._connection: SqlConnection | None = self._first()
        self.late: deque[list[Event]] = deque()
        """Events that were kept although their commit was never confirmed."""
        self._thread = threading.Thread(target=self._loop, name="store", daemon=True)
        self._thread.start()

    def _first(self) -> SqlConnection | None:
        """None for a store that can only be read at the moment; raises what keeps it from being opened."""
        if self._run and not self._claiming:
            self._engine.expect(self._run)
        try:
            connection = self._engine.connect()
        except self._engine.errors as error:
            trouble = self._engine.trouble(error)
            if trouble is None or trouble.lasting or not self._engine.readable():
                raise
            self._condition.failed(trouble)
            return None
        try:
            self._marked(connection)
            self._last = newest(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _marked(self, connection: SqlConnection) -> None:
        """Marks the store as this run's; tried again later if it could not be written."""
        if not self._run:
            return
        try:
            if self._claiming:
                self._engine.claim(connection, self._run)
            else:
                self._engine.settled(connection)
        except self._engine.errors as error:
            trouble = self._engine.trouble(error)
            if trouble is None or trouble.lasting:
                raise
            self._condition.failed(trouble)
            return
        self._run = ""

    @property
    def marked(self) -> bool:
        """Whether the store is this run's."""
        return not self._run

    @property
    def state(self) -> str:
        """`up`, `failing` where it does not take writes, `unreachable` where there is no connection."""
        if self._connection is None and self._engine.remote:
            return "unreachable"
        since = self._beginning
        slow = since is not None and time.monotonic() - since > self._limits.begin_seconds
        return "failing" if slow or self._condition.reason else "up"

    def failed(self, error: Exception | Trouble, *, reading: bool = False) -> None:
        """Notes what an error says about the store, if anything."""
        trouble = error if isinstance(error, Trouble) else self._engine.trouble(error, reading=reading)
        if trouble is not None:
            self._condition.failed(trouble)

    def submit(self, work: Callable[[SqlConnection], T]) -> Future[T]:
        """Runs `work` soon. Raises `Busy` and `Unreachable` at once."""
        return self._submit(work)

    def put(self, work: Put, events: Sequence[Event]) -> Future[Kept]:
        """Inserts events soon, together with those of others. Raises as `submit` does."""
        return self._submit(work, events)

    def clean(self) -> Future[bool]:
        """Removes what was deleted before from all files; false if that takes longer."""
        asked = self._cleaning.ask()
        with suppress(StoreError):  # where it is busy, it is awake
            self.submit(lambda _: None)
        return asked

    def _submit(self, work: Callable[..., Any], events: Sequence[Event] | None = None) -> Future[Any]:
        if self._connection is None or self._condition.lasting:
            raise self._unreachable()
        future: Future[Any] = Future()
        try:
            self._queue.put_nowait(Task(work, future, events))
        except queue.Full:
            raise Busy("the store is busy: try again in a moment") from None
        return future

    def close(self) -> None:
        """Waits for pending writes."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
            self._drop()

    def _loop(self) -> None:
        while True:
            try:
                group = [self._queue.get(timeout=self._patience())]
            except queue.Empty:
                self._pulse()
                self._clean()
                continue
            while len(group) < self._limits.tasks_per_commit:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            # From here on nobody can cancel them.
            tasks = [task for task in group if task and task.future.set_running_or_notify_cancel()]
            if tasks:
                self._commit_safely(tasks)
            self._clean()
            if None in group:
                self._cleaning.give_up()
                return

    def _patience(self) -> float:
        due = self._cleaning.due and self._connection is not None
        return self._limits.clean_pause_seconds if due else self._engine.pulse

    def _clean(self) -> None:
        if not self._cleaning.due:
            return
        if self._connection is None:
            self._cleaning.give_up(time.monotonic())
            return
        with nullcontext() if self._slot is None else self._slot.writing():
            self._cleaning.attempt(self._connection)

    def _commit_safely(self, tasks: list[Task]) -> None:
        try:
            self._commit(tasks)
        except Exception as error:
            _LOG.exception("%s: unexpected error while writing", self._engine.name)
            self.failed(error)
            self._drop()
            self._doubtful = True
            for task in tasks:
                if not task.future.done():
                    task.future.set_exception(StoreError(f"{self._engine.name}: {self._said(error)}"))

    # The connection

    def _pulse(self) -> None:
        """Checks the store while nobody writes."""
        connection = self._connection
        if connection is None:
            self._reconnect()
            return
        try:
            self._look(connection)
        except self._failures as error:
            lost = self._engine.lost(connection)
            trouble = None if lost else self._engine.trouble(error)
            if trouble is not None:
                self._condition.failed(trouble)
            if trouble is None or trouble.reopen:
                self._drop()
                self._reconnect()
            else:
                self._back(connection)

    def _look(self, connection: SqlConnection) -> None:
        """Begins a transaction, as a write does, and really writes if writing has failed."""
        failing = bool(self._condition.reason) and not self._condition.lasting
        with nullcontext() if self._slot is None else self._slot.writing():
            self._started(connection)
            self._engine.settled(connection)
            if failing:
                connection.execute("UPDATE service SET probe = ?", (PROBE,))
            connection.execute("COMMIT" if failing else "ROLLBACK")
        if failing:
            self._marked(connection)
            connection.execute("UPDATE service SET probe = NULL")
            self._condition.worked()

    def _started(self, connection: SqlConnection) -> None:
        self._beginning = began = time.monotonic()
        try:
            while True:
                try:
                    connection.execute(self._begin)
                    return
                except self._failures as error:
                    trouble = self._engine.trouble(error)
                    late = time.monotonic() - began >= self._limits.turn_seconds
                    if trouble is None or not trouble.waiting or late:
                        raise
                    self._condition.failed(trouble)  # so that the operator is told while it waits
        finally:
            self._beginning = None

    def _back(self, connection: SqlConnection) -> None:
        try:
            connection.execute("ROLLBACK")
        except self._engine.errors:
            _LOG.debug("nothing to undo", exc_info=True)

    def _reconnect(self) -> bool:
        """Opens the connection again and finds out what became of an unconfirmed commit."""
        try:
            connection = self._engine.connect()
            self._marked(connection)
            if self._doubtful:
                found = [event for _, event in events_since(connection, self._last)]
                self._last = newest(connection)
                if self._slot is not None:
                    self._slot.committed()  # read like what other workers write
                elif found:
                    self.late.append(found)
                self._doubtful = False
        except self._failures as error:
            if not self._engine.remote:
                self.failed(error)
            elif not self._told:
                _LOG.warning("%s: cannot be reached (%s)", self._engine.name, self._said(error))
            self._told = True
            return False
        if self._engine.remote:
            _LOG.warning("%s: connected again", self._engine.name)
        self._told = False
        self._connection = connection
        return True

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except self._engine.errors:
                _LOG.debug("closing a lost connection", exc_info=True)

    def _unreachable(self) -> Unreachable:
        what = "the database cannot be reached" if self._engine.remote else "the store takes no writes"
        return Unreachable(f"{self._engine.name}: {what}: try again in a moment")

    def _said(self, error: Exception) -> str:
        return cleaned(error, str(self._engine.path))[:200]

    # Transactions

    def _commit(self, tasks: list[Task]) -> None:
        for _ in range(2):
            connection = self._connection
            if connection is None and (not self._reconnect() or (connection := self._connection) is None):
                break
            try:
                self._transaction(connection, tasks)
                return
            except _LostError:
                self._drop()  # before the commit: nothing was kept, so it may be tried once more
        for task in tasks:
            task.future.set_exception(self._unreachable())

    def _transaction(self, connection: SqlConnection, tasks: list[Task]) -> None:
        """All tasks in one transaction; one that fails is rolled back alone."""
        with nullcontext() if self._slot is None else self._slot.writing():
            outcomes = self._committed(connection, tasks)
        if self._slot is not None:
            self._slot.committed()
        for task, value, problem in outcomes:
            if problem is None:
                task.future.set_result(value)
            else:
                task.future.set_exception(problem)

    def _committed(
        self, connection: SqlConnection, tasks: list[Task]
    ) -> list[tuple[Task, Any, Exception | None]]:
        """The outcome of each task once it is on disk; empty if all were told of a failure."""
        outcomes: list[tuple[Task, Any, Exception | None]] = []
        try:
            self._started(connection)
            for part in in_parts(tasks):
                outcomes += self._do(connection, part)
            last = self._engine.settled(connection)
        except self._failures as error:
            self._undo(connection, tasks, error)
            return []
        try:
            connection.execute("COMMIT")
        except self._engine.errors as error:
            if not self._engine.lost(connection):
                self._undo(connection, tasks, error)
                return []
            self._drop()
            self._doubtful = True
            unclear = "the connection broke while this was written: send it again with the same key"
            for task in tasks:
                task.future.set_exception(Unreachable(f"{self._engine.name}: {unclear}"))
            return []
        self._last = last
        self._condition.worked()
        return outcomes

    def _do(self, connection: SqlConnection, part: list[Task]) -> list[tuple[Task, Any, Exception | None]]:
        connection.execute("SAVEPOINT task")
        try:
            values = self._values(connection, part)
        except Exception as error:
            if self._engine.lost(connection):
                raise _LostError from error
            connection.execute("ROLLBACK TO task")
            if len(part) > 1:
                return [o for task in part for o in self._do(connection, [task])]
            if isinstance(error, self._engine.errors):
                self.failed(error)
                error = StoreError(f"{self._engine.name}: could not be written ({self._said(error)})")
            return [(part[0], None, error)]
        connection.execute("RELEASE task")
        return [(task, value, None) for task, value in zip(part, values, strict=True)]

    def _values(self, connection: SqlConnection, part: list[Task]) -> list[Any]:
        if part[0].events is None:
            return [task.work(connection) for task in part]
        together = [event for task in part for event in task.events or ()]
        new = iter(part[0].work(connection, together))
        return [kept(task.events or (), list(islice(new, len(task.events or ())))) for task in part]

    def _undo(self, connection: SqlConnection, tasks: list[Task], error: Exception) -> None:
        if self._engine.lost(connection):
            raise _LostError from error
        self._back(connection)
        self.failed(error)
        message = f"{self._engine.name}: could not be written ({self._said(error)}); nothing was kept"
        if isinstance(error, StoreError):
            message = str(error)
        for task in tasks:
            task.future.set_exception(StoreError(message))


class _LostError(Exception):
    """The connection broke before the commit."""
