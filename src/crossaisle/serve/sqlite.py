"""SQLite: one file in WAL mode, every commit synchronised to the disk (synchronous=FULL)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from crossaisle.errors import StoreError
from crossaisle.serve.engines import COLUMNS, TABLES, VERSION, Connection, Event, fresh_ones


class SqliteEngine:
    """A file. Other processes may read it and make keys; those that serve from it must follow each other."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    remote = False
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
        run("PRAGMA busy_timeout=5000")
        version = run("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            connection.close()
            raise StoreError(f"{self.path}: written by a newer crossaisle (store version {version}): update")
        connection.executescript(TABLES)
        run(f"PRAGMA user_version={VERSION}")
        return connection

    def lost(self, connection: Connection) -> bool:
        """Never: a file does not go away."""
        return False

    def insert(self, connection: Connection, events: Sequence[Event]) -> list[bool]:
        """Puts new events in."""
        keys = {event.key for event in events if event.key is not None}
        fresh = fresh_ones(events, keys - _known(connection, list(keys)))
        rows = [event for event, new in zip(events, fresh, strict=True) if new]
        connection.executemany(f"INSERT INTO events ({COLUMNS}) VALUES (?,?,?,?,?,?,?)", rows)
        return fresh

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
        return connection

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows one by one."""
        with self.reading() as connection:
            yield from connection.execute(sql, parameters)

    def close(self) -> None:
        """Nothing is kept."""


def _known(connection: Connection, keys: list[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(keys), 500):
        part = keys[start : start + 500]
        marks = ",".join("?" * len(part))
        known.update(
            row[0] for row in connection.execute(f"SELECT key FROM events WHERE key IN ({marks})", part)
        )
    return known
