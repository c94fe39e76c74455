"""`Store`: events, changed items and users in one SQLite file, written by one thread in group commits.

Every commit is synchronised to the disk before it is acknowledged (WAL mode, synchronous=FULL). Writers
that wait for the same disk write share it: that is what makes single events fast.
"""

from __future__ import annotations

import hashlib
import json
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from crossaisle.errors import StoreError

T = TypeVar("T")
VERSION = 1
GROUP = 256
"""At most this many waiting writes share one commit."""
WAITING = 4096
"""Writes that may wait; more are refused, so that a slow disk does not fill the memory."""
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE,
    user TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL,
    time REAL NOT NULL,
    value REAL,
    quantity REAL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_user ON events (user);
CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS api_keys (
    digest BLOB PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL
) STRICT;
"""


class Event(NamedTuple):
    """Something a person did with an item."""

    key: str | None
    """Idempotency key: an event whose key is known already is not counted again."""
    user: str
    item: str
    kind: str
    time: float
    """Seconds since 1970 (UTC)."""
    value: float | None = None
    quantity: float | None = None


class Busy(StoreError):
    """Too many writes are waiting."""


class Store:
    """One file, one writer. Readers may be many; a second process must not write the same file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: the store cannot be opened ({error})") from error
        self._queue: queue.Queue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None] = (
            queue.Queue(WAITING)
        )
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run("PRAGMA secure_delete=ON")
        run("PRAGMA busy_timeout=5000")
        version = run("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise StoreError(f"{self.path}: written by a newer crossaisle (store version {version}): update")
        self._connection.executescript(_TABLES)
        run(f"PRAGMA user_version={VERSION}")

    # Writing

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Runs `work` in a transaction of the writer thread; done when it is on the disk.

        Raises `Busy` at once when too many writes are waiting.
        """
        future: Future[T] = Future()
        try:
            self._queue.put_nowait((work, future))
        except queue.Full:
            raise Busy("the store is busy: try again in a moment") from None
        return future

    def _write(self) -> None:
        while True:
            first = self._queue.get()
            group = [first]
            while len(group) < GROUP:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            tasks = [task for task in group if task is not None]
            self._commit(tasks)
            if len(tasks) < len(group):
                return

    def _commit(self, tasks: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]]) -> None:
        """All tasks in one transaction; one that fails is undone alone."""
        run = self._connection.execute
        results: list[tuple[Future[Any], Any, Exception | None]] = []
        try:
            run("BEGIN IMMEDIATE")
            for work, future in tasks:
                run("SAVEPOINT task")
                try:
                    results.append((future, work(self._connection), None))
                except Exception as error:
                    run("ROLLBACK TO task")
                    results.append((future, None, error))
                run("RELEASE task")
            run("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                run("ROLLBACK")
            failure = StoreError(f"{self.path}: could not be written ({error}); nothing was kept")
            for _, future in tasks:
                future.set_exception(failure)
            return
        for future, value, problem in results:
            if problem is None:
                future.set_result(value)
            else:
                future.set_exception(problem)

    def add(self, events: Sequence[Event]) -> Future[list[Event]]:
        """Keeps events; gives those that were new (by key), in order, once they are on the disk."""

        def work(connection: sqlite3.Connection) -> list[Event]:
            known = _known_keys(connection, [e.key for e in events if e.key is not None])
            fresh = []
            for event in events:
                if event.key is not None:
                    if event.key in known:
                        continue
                    known.add(event.key)
                fresh.append(event)
            connection.executemany(
                "INSERT INTO events (key, user, item, kind, time, value, quantity) VALUES (?,?,?,?,?,?,?)",
                fresh,
            )
            return fresh

        return self.submit(work)

    def put_items(self, bodies: dict[str, dict[str, Any]]) -> Future[None]:
        """Keeps what differs from the model's catalogue, by item id."""
        rows = [(name, json.dumps(body, ensure_ascii=False)) for name, body in bodies.items()]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO items VALUES (?, ?)", rows)

        return self.submit(work)

    def put_user(self, user: str, attributes: dict[str, Any]) -> Future[None]:
        """Keeps the attributes of a person."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO users VALUES (?, ?)",
                (user, json.dumps(attributes, ensure_ascii=False)),
            )

        return self.submit(work)

    def forget(self, user: str) -> Future[int]:
        """Deletes everything about a person and remembers, as a digest, not to use the model's history.

        Gives the number of events deleted.
        """

        def work(connection: sqlite3.Connection) -> int:
            gone = connection.execute("DELETE FROM events WHERE user = ?", (user,)).rowcount
            connection.execute("DELETE FROM users WHERE id = ?", (user,))
            connection.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (digest_of(user),))
            return int(gone)

        return self.submit(work)

    def note(self, time: float, who: str, what: str) -> Future[None]:
        """One line of the audit log."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO audit (time, who, what) VALUES (?, ?, ?)", (time, who, what))

        return self.submit(work)

    # Reading

    def reader(self) -> sqlite3.Connection:
        """A connection of its own, read-only; to be closed by the caller."""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, check_same_thread=False)
        connection.execute("PRAGMA query_only=ON")
        return connection

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """All events in the order in which they came, with their numbers."""
        query = (
            "SELECT seq, key, user, item, kind, time, value, quantity FROM events WHERE seq > ? ORDER BY seq"
        )
        with closing(self.reader()) as connection:
            for seq, *columns in connection.execute(query, (after,)):
                yield seq, Event(*columns)

    def events_of(self, user: str) -> list[Event]:
        """A person's events, oldest first."""
        columns = "key, user, item, kind, time, value, quantity"
        query = f"SELECT {columns} FROM events WHERE user = ? ORDER BY time, seq"
        with closing(self.reader()) as connection:
            return [Event(*row) for row in connection.execute(query, (user,))]

    def items(self) -> dict[str, dict[str, Any]]:
        """Changed and new items by id."""
        with closing(self.reader()) as connection:
            return {name: json.loads(body) for name, body in connection.execute("SELECT id, body FROM items")}

    def user(self, user: str) -> dict[str, Any] | None:
        """The attributes of a person; None where none were given."""
        with closing(self.reader()) as connection:
            found = connection.execute("SELECT body FROM users WHERE id = ?", (user,)).fetchone()
        return None if found is None else dict(json.loads(found[0]))

    def forgotten(self) -> set[bytes]:
        """Digests of people whose history in the model must not be used."""
        with closing(self.reader()) as connection:
            return {row[0] for row in connection.execute("SELECT digest FROM forgotten")}

    def audit(self, n: int = 200) -> list[dict[str, Any]]:
        """The latest lines of the audit log, newest first."""
        with closing(self.reader()) as connection:
            rows = connection.execute("SELECT time, who, what FROM audit ORDER BY seq DESC LIMIT ?", (n,))
            return [{"time": time, "who": who, "what": what} for time, who, what in rows]

    def close(self) -> None:
        """Waits for the writes that are under way."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
            self._connection.close()


def digest_of(user: str) -> bytes:
    """What is kept of a person who asked to be forgotten."""
    return hashlib.sha256(user.encode()).digest()


def _known_keys(connection: sqlite3.Connection, keys: Iterable[str]) -> set[str]:
    wanted = list(keys)
    known: set[str] = set()
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        marks = ",".join("?" * len(part))
        known.update(
            row[0] for row in connection.execute(f"SELECT key FROM events WHERE key IN ({marks})", part)
        )
    return known
