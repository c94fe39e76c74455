"""`StoreFile`: who a SQLite file belongs to, and whether it is still the one that was opened.

Everything is read through SQLite: closing a second handle to the file would drop SQLite's locks on it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from crossaisle.errors import StoreError
from crossaisle.serve.store.engine import Displaced, SqlConnection
from crossaisle.serve.store.schema import CORE, INDEXES, TABLES
from crossaisle.serve.store.sqlite.file_lock import PRIVATE

_LOG = logging.getLogger(__name__)
APPLICATION = 0x63726F73
"""`PRAGMA application_id` of a store; 0 in stores that are older than it."""
VERIFY_SECONDS = 0.5
"""The first time that the mark is missing it is looked for again: `VACUUM` moves it while others look."""
LEFT_SECONDS = 10.0
"""A file so much younger than its log was not written by SQLite, which copies the one into the other."""
SMALLEST = 512
"""Bytes of the smallest database."""
EVENT_COLUMNS = frozenset({"key", "user", "item", "kind", "time", "value", "quantity"})
"""Of the first version's table of events: they tell an unmarked store from another program's file."""
NAMES = TABLES | INDEXES
"""Of all tables and indexes of a store."""
READ = NAMES - {"store_version"}
"""What readers need. A store from before versions were recorded has no more, and its disk may be full."""


class StoreFile:
    """The file at a path, with its log (-wal) and the index of that (-shm)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: list[tuple[Path, tuple[int, int]]] = []
        self._mark = ""
        self._anchored = self._doubted = False
        self._verified: tuple[int, int] | None = None
        self._numbers = 0

    def recognise(self) -> None:
        """`StoreError` if the file is something other than a store, which is left as it is."""
        there = _found(self.path)
        if there is None or not there.st_size:
            return
        try:
            # Without its log the file is not all there is; where it has none, nothing beside it is made.
            with closing(_opened(self.path, "mode=ro") if self._logged() else self.frozen()) as connection:
                (found,) = connection.execute("PRAGMA application_id").fetchone()
                tables = _tables(connection)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_NOTADB:
                raise
            there = None
        if there is None or there.st_size < SMALLEST:  # which SQLite would take for an empty one
            raise StoreError(
                f"{self.path}: the store cannot be opened (file is not a database): "
                "name another file, or restore a backup"
            )
        if found == APPLICATION:
            return
        ours = tables.get("events", set()) >= EVENT_COLUMNS and (
            tables.keys() <= NAMES or tables.keys() >= CORE
        )
        if found or (tables and not ours):
            shown = ", ".join(sorted(tables)[:5]) or "none"
            raise StoreError(
                f"{self.path}: a database of another program (tables: {shown[:200]}): "
                "name another file for the store"
            )

    def check_place(self) -> None:
        """Before it is opened again: `Displaced` if the file is gone or is another one."""
        for file, known in self._known[:1]:
            self._same(file, known)

    def make(self) -> None:
        """Makes a file that only its owner may read; SQLite gives -wal and -shm the same mode."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            return
        with suppress(FileExistsError):
            # O_EXCL passes over a link that leads nowhere yet; SQLite would make the file for everybody.
            os.close(os.open(os.path.realpath(self.path), os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE))

    def warn(self) -> None:
        """Logs what an operator should know before the store is served."""
        found = _found(self.path)
        if found is None or os.name == "nt":
            return
        if found.st_mode & 0o007:
            _LOG.warning("%s: every user of this machine may open it: chmod 600", self.path)
        log = _found(self._beside("-wal"))
        if log is not None and log.st_size and found.st_mtime - log.st_mtime > LEFT_SECONDS:
            _LOG.warning(
                "%s: was put there after its log was written, and the log is mixed into it: if this "
                "is a restored backup, stop the service, put the backup there again, and delete -wal "
                "and -shm",
                self.path,
            )
        if found.st_nlink > 1:
            _LOG.warning(
                "%s: has %d names (hard links): a service under another name would damage it",
                self.path,
                found.st_nlink,
            )

    def opened(self) -> None:
        """Remembers which files are open."""
        files = (self.path, *(self._beside(end) for end in ("-wal", "-shm")))
        self._known = [(file, (found.st_dev, found.st_ino)) for file in files if (found := _found(file))]

    def check(self) -> None:
        """`Displaced` if the files are not the ones that are open."""
        for file, known in self._known:
            found = self._same(file, known)
            if self._mark and file is self.path:
                now = found.st_mtime_ns, found.st_size
                if now != self._verified:  # SQLite writes here when it copies its log into the file
                    if not self._anchored:
                        self.anchor(self._mark)
                    elif self._verify():
                        self._verified = now

    def _same(self, file: Path, known: tuple[int, int]) -> os.stat_result:
        found = _found(file)
        if found is None or (found.st_dev, found.st_ino) != known:
            raise Displaced(self._displaced(file, gone=found is None))
        return found

    def _displaced(self, file: Path, *, gone: bool) -> str:
        what = "is gone" if gone else "is another file now"
        if file is not self.path:
            return (
                f"{file} {what}, while the store is served: nothing is acknowledged any more; stop the "
                "service with SIGTERM, which saves what it has acknowledged, and start it again"
            )
        return (
            f"{file} {what}, while it is served: nothing is acknowledged until the file that was opened is "
            "back; move it back, or stop the service, restore a backup and start again"
        )

    # The mark: a word in the file that says which run of the service it belongs to

    def marked(self, run: str) -> str:
        """The mark of a run: it names the file, too, for a log may be left beside another one."""
        found = _found(self.path)
        return run if found is None else f"{run} {found.st_dev}:{found.st_ino}"

    def look_for(self, mark: str) -> None:
        """`Displaced` if it is missing."""
        if _found(self.path) is None:
            raise Displaced(self._displaced(self.path, gone=True))
        try:
            with closing(_opened(self.path, "mode=ro")) as connection:
                row = connection.execute("SELECT run FROM service").fetchone()
        except sqlite3.DatabaseError as error:
            raise self.taken() from error
        if row is None or row[0] != mark:
            raise self.taken()

    def anchor(self, mark: str) -> None:
        """From now on the mark is checked whenever the file was written to."""
        self._mark, self._anchored = mark, False
        found = _found(self.path)
        with suppress(sqlite3.Error):
            mark_there, self._numbers = self._read()
            # Not yet where a reader has kept SQLite from copying its log into the file.
            self._anchored = mark_there == mark
        if found is not None:
            self._verified = found.st_mtime_ns, found.st_size

    def _verify(self) -> bool:
        """Whether the mark is there; False where that cannot be said, `Displaced` where it is not."""
        end = time.monotonic() + (0.0 if self._doubted else VERIFY_SECONDS)
        while True:
            try:
                found = self._verified_now()
            except Displaced:  # or SQLite is just moving the mark to another page
                if time.monotonic() >= end:
                    self._doubted = True
                    raise
                time.sleep(VERIFY_SECONDS / 20)
            else:
                self._doubted = False
                return found

    def _verified_now(self) -> bool:
        try:
            mark, numbers = self._read()
        except sqlite3.DatabaseError as error:
            # Half of the log was copied, by another process or on a full disk: it looks damaged without it.
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
                return False
            raise self.taken() from error
        if mark != self._mark or numbers < self._numbers:
            raise self.taken()
        self._numbers = numbers
        return True

    def _read(self) -> tuple[str, int]:
        """The mark, and a number that only grows, of the file without its log."""
        with closing(self.frozen()) as connection:
            mark = connection.execute("SELECT run FROM service").fetchone()
            numbers = connection.execute("SELECT coalesce(sum(seq), 0) FROM sqlite_sequence").fetchone()[0]
        return ("" if mark is None else str(mark[0])), int(numbers)

    def taken(self) -> Displaced:
        """The error for a mark of somebody else."""
        return Displaced(
            f"{self.path}: another service has taken the store, or another file was copied over it: nothing "
            "is acknowledged any more; stop all services, put the right file there if it was copied over "
            "(and delete -wal and -shm), and start one"
        )

    # Ways to open it

    def frozen(self) -> sqlite3.Connection:
        """The file as it is on the disk, without its log and without a lock."""
        return _opened(self.path, "mode=ro&immutable=1")

    def reader(self, *, frozen: bool) -> sqlite3.Connection:
        """A read-only connection; `Displaced` where it would be one to another file."""
        self.check()
        connection = self.frozen() if frozen else _opened(self.path, "mode=ro")
        try:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA temp_store=MEMORY")  # what is sorted is about people
            if self._known:
                row = connection.execute("SELECT run FROM service").fetchone()
                self.check()  # nor was it put there meanwhile
                if self._mark and (row is None or row[0] != self._mark):
                    raise self.taken()
        except BaseException:
            connection.close()
            raise
        return connection

    def whole(self) -> bool:
        """Whether there is a store with all its tables and without a log that would be passed over."""
        if self._logged():
            return False
        try:
            with closing(self.frozen()) as connection:
                return names_of(connection) >= READ
        except sqlite3.Error:
            return False

    def _logged(self) -> bool:
        found = _found(self._beside("-wal"))
        return found is not None and found.st_size > 0

    def _beside(self, end: str) -> Path:
        """Where SQLite keeps log and index: beside the file itself, whatever links lead to it."""
        return Path(f"{os.path.realpath(self.path)}{end}")


def names_of(connection: SqlConnection) -> set[str]:
    """Names of all tables and indexes."""
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}


def _tables(connection: sqlite3.Connection) -> dict[str, set[str]]:
    query = (
        "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c "
        "WHERE t.type IN ('table', 'view') AND t.name NOT LIKE 'sqlite_%'"
    )
    found: dict[str, set[str]] = {}
    for table, column in connection.execute(query):
        found.setdefault(table, set()).add(column)
    return found


def _opened(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)


def _found(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None
