"""SQLite: one file in WAL mode, every commit synchronised to the disk (synchronous=FULL)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from crossaisle.errors import StoreError
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.store.engine import Displaced, SqlConnection, Trouble
from crossaisle.serve.store.events import fresh_ones, kept_under
from crossaisle.serve.store.migrations.apply import migrate, up_to_date
from crossaisle.serve.store.records import Event
from crossaisle.serve.store.schema import CLAIM, COLUMNS
from crossaisle.serve.store.sqlite.file_lock import FileHolding
from crossaisle.serve.store.sqlite.store_file import NAMES, READ, StoreFile, names_of
from crossaisle.serve.store.sqlite.versions import SqliteVersions

_DAMAGED = (
    "with the service stopped, restore a backup, or save what can be read with  "
    "sqlite3 OLD .recover | sqlite3 NEW  and serve from NEW"
)
_TROUBLES = {
    sqlite3.SQLITE_FULL: "the disk is full: make space on it",
    sqlite3.SQLITE_READONLY: "cannot be written: make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: are file and folder there, and free descriptors?",
    sqlite3.SQLITE_IOERR: "the disk is failing or full: check it",
    sqlite3.SQLITE_BUSY: "another process holds the file: end what keeps it locked",
    sqlite3.SQLITE_LOCKED: "another process holds the file: end what keeps it locked",
    sqlite3.SQLITE_PROTOCOL: "another process holds the file: end what keeps it locked",
}
_UNREAD = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)


class SqliteEngine:
    """A file. Other processes may read it and make keys; those that serve from it must take turns."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    remote = False
    several_hosts = False
    run = ""
    overwrites = True
    begin = begin_in_turn = "BEGIN IMMEDIATE"
    begin_reading = "BEGIN"

    def __init__(self, path: str | Path, limits: StoreLimits = StoreLimits()) -> None:
        self.limits = limits
        self.pulse = 1.0 if limits.pulse_seconds is None else limits.pulse_seconds
        self.path = Path(path)
        self.name = str(path)
        self._file = StoreFile(self.path)
        self._mark = ""
        self._serving = self._frozen = self._large = self._closed = False
        self._examining: sqlite3.Connection | None = None
        self._examined: tuple[int, int] | None = None

    def hold(self, host: str) -> FileHolding:
        """By a lock on a file beside it."""
        return FileHolding(self.path, self.limits.hold_seconds)

    def connect(self) -> SqlConnection:
        """The writer's connection; makes folder, file and tables."""
        self._file.check_place()
        self._file.recognise()
        self._file.make()
        connection = self._connected()
        self._frozen = False
        if self._serving:
            self._file.opened()  # log and index may be new ones
        return connection

    def _connected(self) -> sqlite3.Connection:
        """SQLite does not wait for the change to WAL where two change it at once: that is tried again."""
        end = time.monotonic() + self.limits.busy_ms / 1000
        while True:
            connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            try:
                self._set(connection)
                self._prepare(connection)
                connection.execute(f"PRAGMA busy_timeout={self.limits.turn_ms}")
                return connection
            except BaseException as error:
                connection.close()
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > end:
                    raise
            time.sleep(0.02)

    def _set(self, connection: sqlite3.Connection) -> None:
        """Settings of the connection, and the journal mode of the file."""
        run = connection.execute
        run(f"PRAGMA busy_timeout={self.limits.busy_ms}")
        (mode,) = run("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise StoreError(
                f"{self.path}: this place cannot hold a store (journal mode {mode!r} instead of 'wal'): "
                "name a file on a local disk"
            )
        run("PRAGMA synchronous=FULL")
        run("PRAGMA secure_delete=ON")
        run("PRAGMA temp_store=MEMORY")  # journals of statements hold what they delete

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Tables and version. Nothing is written where all are there: the disk may be full."""
        versions = SqliteVersions()
        if up_to_date(connection, versions, self.name):
            return
        applied = migrate(connection, versions, self.name)
        if missing := ", ".join(sorted(NAMES - names_of(connection))):
            raise StoreError(f"{self.path}: the store is damaged (it has no {missing}): restore a backup")
        if applied:
            # From now on tables begin at the pages where every later rewriting puts them: whoever looks for
            # the mark while the log is copied over finds it.
            with suppress(sqlite3.Error):
                self.rewrite(connection)

    # Serving from it

    def only(self, what: str) -> AbstractContextManager[None]:
        """Hosts do not share a file."""
        return nullcontext()

    def claim(self, connection: SqlConnection, run: str) -> None:
        """Checks that the file is whole, and writes the mark into it."""
        self._serve()
        self._file.warn()
        self._large = self.path.stat().st_size > self.limits.examined_bytes
        if not self._large:
            self._examined = self._written()
            # Not with the writer's connection, which would keep the pages and see no damage that comes later.
            try:
                with closing(self._file.reader(frozen=False)) as other:
                    wrong = _wrong(other)
            except sqlite3.DatabaseError as error:  # in the very page that the mark is in
                if isinstance(error, sqlite3.OperationalError):
                    raise
                wrong = str(error)
            if wrong:
                raise StoreError(f"{self.path}: the store is damaged ({wrong}): {_DAMAGED}")
        self._mark = ""
        mark = self._file.marked(run)
        connection.execute(CLAIM, (mark,))
        # So that the mark stands in the file itself, not in the log beside it only.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._mark = mark
        self._file.anchor(mark)

    def expect(self, run: str) -> None:
        """Looks for the mark. With a right to write, SQLite might copy the log of another file into it."""
        self._mark = self._file.marked(run)
        self._file.look_for(self._mark)
        self._large = (
            self.path.stat().st_size > self.limits.examined_bytes
        )  # the first process has not waited for the end
        self._serve()
        self._file.anchor(self._mark)

    def _serve(self) -> None:
        if not self._serving:
            self._serving = True
            self._file.opened()

    def settled(self, connection: SqlConnection) -> int:
        """Whether file and mark are still there."""
        if self._serving:
            self._file.check()
        if self._mark:
            row = connection.execute("SELECT run FROM service").fetchone()
            if row is None or row[0] != self._mark:
                raise self._file.taken()
        return 0

    def trouble(self, error: Exception, *, reading: bool = False) -> Trouble | None:
        """By SQLite's own number."""
        if isinstance(error, Displaced):
            return Trouble(str(error).removeprefix(f"{self.path}: "))
        if isinstance(error, OSError):
            return Trouble(f"{error.strerror or error}")
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            try:
                self._file.check()
            except Displaced as displaced:  # no wonder
                return self.trouble(displaced)
            return Trouble(f"the store is damaged ({error}): {_DAMAGED}", lasting=True)
        if code not in (_UNREAD if reading else _TROUBLES):
            return None
        # What was opened for reading stays so.
        return Trouble(
            f"{_TROUBLES[code]} ({error})",
            reopen=code == sqlite3.SQLITE_READONLY,
            waiting=code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL),
        )

    def readable(self) -> bool:
        """Where there is no log, or nothing in it, the file can be read without a lock and without -shm."""
        try:
            with closing(self._file.reader(frozen=False)) as connection:
                self._frozen = not names_of(connection) >= READ
        except sqlite3.Error:
            self._frozen = True
        if self._frozen and not self._file.whole():
            return False
        self._serve()
        return True

    def examine(self) -> tuple[str, float | None]:
        """Looks at every page: of a large file once, of another one where it was written to, by whomever."""
        start, written = time.monotonic(), self._written()
        if not self._large and (written == self._examined or written[1] > self.limits.examined_bytes):
            return "", self.limits.examine_seconds
        with closing(self._file.reader(frozen=False)) as connection:
            self._examining = connection
            try:
                wrong = "" if self._closed else _wrong(connection)
            except sqlite3.OperationalError:  # interrupted by `close`, or read while it is locked
                return "", self.limits.examine_seconds
            finally:
                self._examining = None
        if wrong:
            self._file.check()  # another file at its place is another story
            return f"the store is damaged ({wrong}): {_DAMAGED}", None
        self._examined = written
        took = time.monotonic() - start
        limits = self.limits
        return "", None if self._large else max(limits.examine_seconds, limits.examine_share * took)

    def _written(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_mtime_ns, found.st_size

    def lost(self, connection: SqlConnection) -> bool:
        """Never: a file that goes away stays open."""
        return False

    def insert(self, connection: SqlConnection, events: Sequence[Event]) -> list[bool]:
        """Inserts new events."""
        keys = {event.key for event in events if event.key is not None}
        fresh = fresh_ones(events, kept_under(connection, list(keys)))
        rows = [event for event, new in zip(events, fresh, strict=True) if new]
        connection.executemany(f"INSERT INTO events ({COLUMNS}) VALUES (?,?,?,?,?,?,?)", rows)
        return fresh

    def rewrite(self, connection: SqlConnection) -> None:
        """Rewrites the file: pages that were split or joined hold copies of rows that were deleted since."""
        connection.execute("PRAGMA temp_store=FILE")  # what is copied may be larger than the memory should be
        try:
            connection.execute("VACUUM")
        finally:
            connection.execute("PRAGMA temp_store=MEMORY")

    def empty_log(self, connection: SqlConnection) -> bool:
        """Copies the log into the file, at once or not at all."""
        connection.execute("PRAGMA busy_timeout=0")
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.execute(f"PRAGMA busy_timeout={self.limits.turn_ms}")
        return not busy

    @contextmanager
    def reading(self) -> Iterator[SqlConnection]:
        """A read-only connection of its own."""
        with closing(self.reader()) as connection:
            yield connection

    def reader(self) -> SqlConnection:
        """A read-only connection; `Displaced` where the file at the path is another one."""
        return self._file.reader(frozen=self._frozen)

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows one by one."""
        with self.reading() as connection:
            yield from connection.execute(sql, parameters)

    def close(self) -> None:
        """Interrupts a running examination."""
        self._closed = True
        if (connection := self._examining) is not None:
            with suppress(sqlite3.Error):
                connection.interrupt()


def _wrong(connection: SqlConnection) -> str:
    """What SQLite finds wrong with the pages of a file; "" for nothing."""
    try:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        return str(error)
    return "" if said == "ok" else " ".join(str(said).split())[:200]
