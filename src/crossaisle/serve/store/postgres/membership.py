"""`Membership`: one process among all that serve from a PostgreSQL store, on whatever host.

Each has a row with how far it has read and applied, which it renews every second, and hears of the commits
of the others by LISTEN/NOTIFY. A notification says only that there is news: what it is, is read from the
store's own log, so nothing is lost with a connection, and a process that was away catches up from there.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from crossaisle.errors import StoreError, cleaned
from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.postgres.ending import ended

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
CHANNEL = "'crossaisle_' || md5(current_schema())"
"""Name of the channel of a store: what a schema is called may be too long for one."""
_NOW = "extract(epoch FROM clock_timestamp())::float8"
_ROW = "place, token, name, seen, changes_read, changes_applied, serving, model"
_JOIN = f"INSERT INTO service_hosts ({_ROW}) VALUES (?, ?, ?, {_NOW}, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_RENEW = f"""
UPDATE service_hosts SET seen = {_NOW}, changes_read = ?, changes_applied = ?, serving = ?, model = ?
WHERE place = ? AND token = ?
"""
_LIVE = f"""
SELECT place, token, name, changes_read, changes_applied, serving, model
FROM service_hosts WHERE seen > {_NOW} - ? ORDER BY place
"""


class Database(Protocol):
    """What opens connections."""

    name: str
    path: Any
    errors: tuple[type[Exception], ...]

    def open(self) -> Any:
        """A connection outside of any transaction, with the one of psycopg as `raw`."""


class Member(NamedTuple):
    """One process that serves from the store, as the others see it."""

    place: int
    host: str
    """The same for all workers of one service."""
    name: str
    read: int
    """Number of the last change that it has read."""
    applied: int
    serving: bool
    model: str
    """What it says of models, as JSON; "" where it says nothing."""


class Membership:
    """Has one connection and one thread. What it publishes, and what it asks, happens there."""

    def __init__(
        self,
        engine: Database,
        host: str,
        name: str,
        *,
        worker: int = 0,
        beat_seconds: float,
        lease_seconds: float,
        free_seconds: float,
    ) -> None:
        """Takes a place. `host`: tells one service from the others; its own commits ring no bell here.
        `name`: for people. `beat_seconds`: between two renewals; who is not seen for `lease_seconds` is not
        waited for, and after `free_seconds` its place may be taken. An error of the database where there is
        none.
        """
        self._engine, self._host, self._token, self._name = engine, host, f"{host}/{worker}", name
        self._beat, self._lease = beat_seconds, lease_seconds
        self._numbers: dict[str, Any] = {"read": 0, "applied": 0, "serving": 0, "model": ""}
        self.rings = 0
        """Grows with every commit of another host that this one hears of, and when it may have missed one."""
        self.lost_place = False
        """Whether this process was away for so long that another one has its place."""
        self.heard_at = 0.0
        """When the database answered last (monotonic seconds)."""
        self._jobs: deque[tuple[Callable[[SqlConnection], Any], Future[Any]]] = deque()
        self._told = self._ending = False
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)
        self._outer.setblocking(False)
        self._connection: Any = engine.open()
        try:
            self.place = self._joined(self._connection, free_seconds)
            self._listen(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._thread = threading.Thread(target=self._run, name="membership", daemon=True)
        self._thread.start()

    # For any thread

    def publish(self, **numbers: Any) -> None:
        """Has the others see `read`, `applied`, `serving` or `model` soon."""
        self._numbers |= numbers
        self._wake()

    def published(self) -> Future[None]:
        """Done once the others see what was published before."""
        return self._ask(self._renew)

    def live(self) -> Future[list[Member]]:
        """All that were seen within the lease, this one included."""

        def read(connection: SqlConnection) -> list[Member]:
            rows = connection.execute(_LIVE, (self._lease,)).fetchall()
            return [Member(p, t.rpartition("/")[0], n, r, a, bool(s), m) for p, t, n, r, a, s, m in rows]

        return self._ask(read)

    @property
    def silent_seconds(self) -> float:
        """Seconds since the database answered: beyond a second or two, others may have written unheard."""
        return time.monotonic() - self.heard_at

    def close(self) -> None:
        """Leaves: nobody waits for this process any more, and its place is free, at once or, where the
        database does not answer, in a while.
        """
        self._ending = True
        self._wake()
        ended(self._thread, lambda: self._connection, self._engine.errors, self._engine.name)
        self._inner.close()
        self._outer.close()

    def _wake(self) -> None:
        with suppress(OSError):  # a full pipe wakes as well; a closed one has nobody to wake
            self._outer.send(b"x")

    def _ask(self, job: Callable[[SqlConnection], T]) -> Future[T]:
        future: Future[T] = Future()
        self._jobs.append((job, future))
        self._wake()
        return future

    # In its own thread

    def _joined(self, connection: SqlConnection, free_seconds: float) -> int:
        """The place of this process: the one that it had, or the lowest that is free."""
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE service_hosts IN SHARE ROW EXCLUSIVE MODE")  # two may come at once
        connection.execute(f"DELETE FROM service_hosts WHERE seen < {_NOW} - ?", (free_seconds,))
        rows = connection.execute("SELECT place, token FROM service_hosts").fetchall()
        taken: Mapping[int, str] = dict(rows)
        had = [place for place, token in rows if token == self._token]
        place = had[0] if had else next(n for n in range(len(taken) + 1) if n not in taken)
        connection.execute("DELETE FROM service_hosts WHERE token = ?", (self._token,))
        self._insert(connection, place)
        connection.execute("COMMIT")
        return place

    def _insert(self, connection: SqlConnection, place: int) -> bool:
        n = self._numbers
        row = place, self._token, self._name, n["read"], n["applied"], n["serving"], n["model"]
        return connection.execute(_JOIN, row).rowcount == 1

    def _listen(self, connection: Any) -> None:
        connection.execute("SET synchronous_commit = off")  # what is lost is published again
        channel = connection.execute(f"SELECT {CHANNEL}").fetchone()[0]
        connection.raw.add_notify_handler(self._heard)
        connection.execute(f'LISTEN "{channel}"')
        self.heard_at = time.monotonic()
        self.rings += 1

    def _heard(self, notification: Any) -> None:
        if notification.payload != self._host:
            self.rings += 1

    def _renew(self, connection: SqlConnection) -> None:
        n = self._numbers
        values = n["read"], n["applied"], n["serving"], n["model"], self.place, self._token
        # Whose row is gone was away for long; nobody else may have come meanwhile.
        if not connection.execute(_RENEW, values).rowcount and not self._insert(connection, self.place):
            self.lost_place = True

    def _run(self) -> None:
        pause, due = 0.0, 0.0
        while not self._ending:
            try:
                if self._connection is None:
                    self._reopen()
                self._wait(self._connection, due)
                due, pause = time.monotonic() + self._beat, 0.0
            except self._engine.errors as error:
                self._drop(error)
                pause = min(2 * pause + 0.05, 1.0)
                time.sleep(pause)
        self._leave()

    def _wait(self, connection: Any, due: float) -> None:
        """Until something is to be done, and does it."""
        while not self._ending:
            with selectors.DefaultSelector() as ready:
                ready.register(connection.raw.fileno(), selectors.EVENT_READ)
                ready.register(self._inner, selectors.EVENT_READ)
                woken = {key.fileobj for key, _ in ready.select(max(due - time.monotonic(), 0.0))}
            if self._inner in woken:
                with suppress(BlockingIOError):
                    self._inner.recv(4096)
                break
            if not woken:
                break
            raw = connection.raw.pgconn
            raw.consume_input()
            while (found := raw.notifies()) is not None:
                if found.extra.decode() != self._host:
                    self.rings += 1
        self._renew(connection)
        while self._jobs and not self._ending:
            job, future = self._jobs[0]
            value = job(connection)  # where this fails, whoever waits is told by `_drop`
            self._jobs.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(value)
        self.heard_at = time.monotonic()

    def _reopen(self) -> None:
        connection = self._engine.open()
        try:
            self._listen(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        if self._told:
            _LOG.warning("%s: hears from other hosts again", self._engine.name)
        self._told = False

    def _drop(self, error: Exception) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._engine.errors):
                connection.close()
        said = cleaned(error, str(self._engine.path))[:200]
        if not self._told:
            _LOG.warning("%s: does not hear from other hosts (%s)", self._engine.name, said)
        self._told = True
        self._refuse(f"other hosts cannot be asked ({said})")

    def _refuse(self, why: str) -> None:
        while self._jobs:
            _, future = self._jobs.popleft()
            if future.set_running_or_notify_cancel():
                future.set_exception(StoreError(f"{self._engine.name}: {why}"))

    def _leave(self) -> None:
        self._refuse("is being closed")
        if self._connection is not None:
            with suppress(*self._engine.errors):
                query = "DELETE FROM service_hosts WHERE place = ? AND token = ?"
                self._connection.execute(query, (self.place, self._token))
            with suppress(*self._engine.errors):
                self._connection.close()
