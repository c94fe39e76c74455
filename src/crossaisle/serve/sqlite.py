"""SQLite: one file in WAL mode, every commit synchronised to the disk (synchronous=FULL)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from crossaisle.serve.engines import (
    COLUMNS,
    TABLES,
    VERSION,
    Connection,
    Event,
    fresh_ones,
    kept_under,
    statements,
)
from crossaisle.serve.versions import bring_up

BUSY_MS = 5000
"""Another process may write for so long."""


class SqliteEngine:
    """A file. Other processes may read it and make keys; those that serve from it must follow each other."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    remote = False
    overwrites = True
    begin = begin_in_turn = "BEGIN IMMEDIATE"
    begin_reading = "BEGIN"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = str(path)

    def connect(self) -> Connection:
        """The writer's connection; makes folder, file and tables."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        run = connection.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run("PRAGMA secure_delete=ON")
        run("PRAGMA temp_store=MEMORY")  # journals of statements hold what they delete
        run(f"PRAGMA busy_timeout={BUSY_MS}")
        try:
            current = run("PRAGMA user_version").fetchone()[0] == VERSION
            run("BEGIN" if current else "BEGIN IMMEDIATE")  # to find all in place must not wait for writers
            version = run("PRAGMA user_version").fetchone()[0]
            bring_up(connection, self.name, version, statements(TABLES))
            if version != VERSION:
                run(f"PRAGMA user_version={VERSION}")
            run("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def lost(self, connection: Connection) -> bool:
        """Never: a file does not go away."""
        return False

    def insert(self, connection: Connection, events: Sequence[Event]) -> list[bool]:
        """Puts new events in."""
        keys = {event.key for event in events if event.key is not None}
        fresh = fresh_ones(events, kept_under(connection, list(keys)))
        rows = [event for event, new in zip(events, fresh, strict=True) if new]
        connection.executemany(f"INSERT INTO events ({COLUMNS}) VALUES (?,?,?,?,?,?,?)", rows)
        return fresh

    def rewrite(self, connection: Connection) -> None:
        """Rewrites the file: pages that were split or joined hold copies of rows that were deleted since."""
        connection.execute("PRAGMA temp_store=FILE")  # what is copied may be larger than the memory should be
        try:
            connection.execute("VACUUM")
        finally:
            connection.execute("PRAGMA temp_store=MEMORY")

    def empty_log(self, connection: Connection) -> bool:
        """Takes the log over into the file, at once or not at all."""
        connection.execute("PRAGMA busy_timeout=0")
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        return not busy

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only connection of its own."""
        with closing(self.reader()) as connection:
            yield connection

    def reader(self) -> Connection:
        """A read-only connection."""
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA temp_store=MEMORY")  # what is sorted is about people
        return connection

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows one by one."""
        with self.reading() as connection:
            yield from connection.execute(sql, parameters)

    def close(self) -> None:
        """Nothing is kept."""
