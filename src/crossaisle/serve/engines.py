"""What a store asks of a database: the protocols `Connection` and `Engine`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.errors import StoreError

TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE,
    "user" TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL,
    time REAL NOT NULL,
    value REAL,
    quantity REAL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_user ON events ("user");
CREATE TABLE IF NOT EXISTS items (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pictures (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    address TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    vector BLOB NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS api_keys (
    digest BLOB PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL, revoked INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS experiments (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exposures (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment TEXT NOT NULL,
    arm TEXT NOT NULL,
    "user" TEXT NOT NULL,
    time REAL NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS exposures_by_experiment ON exposures (experiment, seq);
CREATE INDEX IF NOT EXISTS exposures_by_user ON exposures ("user");
CREATE TABLE IF NOT EXISTS changes (
    what TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (what, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changes_by_seq ON changes (seq);
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY, time REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS service (id TEXT PRIMARY KEY, run TEXT NOT NULL, probe BLOB) STRICT;
"""
"""As SQLite says it; other engines translate. Queries use what all engines understand: `?` for
parameters, `INSERT ... ON CONFLICT`, and `"user"` in quotes, which is a reserved word elsewhere."""
VERSION = 1
"""Goes up when an older crossaisle would misread a store; a table more is none of its business."""
COLUMNS = 'key, "user", item, kind, time, value, quantity'
CLAIM = "INSERT INTO service (id, run) VALUES ('', ?) ON CONFLICT (id) DO UPDATE SET run = excluded.run"
PROBE = bytes(65_536)
"""What is written to find out whether writing works again: more than an event needs."""


class Displaced(StoreError):
    """The store is not the one any more that this process serves from."""


class Trouble(NamedTuple):
    """What an error says about the store itself, beyond the statement that met it."""

    reason: str
    """And what to do about it; for the log."""
    lasting: bool = False
    """Whether it stays until the service is started again."""
    reopen: bool = False
    """Whether a new connection may be better off."""


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


class Picture(NamedTuple):
    """The picture of an item that was put in, and what an encoder sees in it."""

    digest: bytes
    """Of the content."""
    address: str
    """Where it was fetched from; "" where it was sent."""
    fingerprint: str
    """The encoder's."""
    vector: npt.NDArray[np.float16]
    """float16 (d,), of unit length."""
    content: bytes = b""
    """The file; b"" where it is only in the store."""


class Cursor(Protocol):
    """Rows of an answer."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """SQL with `?` for parameters, as `sqlite3.Connection` has it."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any: ...
    def close(self) -> None: ...


class Holding(Protocol):
    """The right to serve from a store, which one service has at a time."""

    fd: int | None
    """A file that worker processes keep open: as long as one of them lives, nobody else serves."""

    def close(self) -> None:
        """Gives it up."""
        ...


class Engine(Protocol):
    """One database that can hold a store."""

    name: str
    """What error messages call it; holds no password."""
    path: Any
    """What it was opened with, to be opened again."""
    errors: tuple[type[Exception], ...]
    """Errors of the database and of the way there."""
    remote: bool
    """Whether the way there can break while this process lives."""
    begin: str
    """The statement that begins a transaction that writes."""
    begin_in_turn: str
    """The same where several processes write: the numbers of rows grow in the order of commits."""
    begin_reading: str
    """The statement that begins a transaction that sees one state."""
    pulse: float
    """Seconds between two looks at the store while nobody writes."""

    def hold(self) -> Holding:
        """Takes the store for one service; `StoreError` names who has it."""
        ...

    def connect(self) -> Connection:
        """The writer's connection, outside of any transaction, with tables in place.

        Every commit on it is on the disk of the database when it returns.
        """
        ...

    def claim(self, connection: Connection, run: str) -> None:
        """Marks the store, which is held, as served by this run; `StoreError` where it is damaged."""
        ...

    def expect(self, run: str) -> None:
        """Before it is opened: it must be marked as served by this run, else this or `settled` raises
        `Displaced`.
        """
        ...

    def settled(self, connection: Connection) -> int:
        """Within a transaction, at its end: `Displaced` where the store is not this run's any more.

        Gives the number of the last event where the engine can lose its connection, else 0.
        """
        ...

    def trouble(self, error: Exception, *, reading: bool = False) -> Trouble | None:
        """What an error says about the store; None where it is about the statement."""
        ...

    def readable(self) -> bool:
        """After `connect` failed: whether everything can be read nevertheless."""
        ...

    def examine(self) -> str:
        """What is wrong with a store that was too large to be examined as it was claimed. May take long."""
        ...

    def lost(self, connection: Connection) -> bool:
        """Whether a connection is of no more use."""
        ...

    def insert(self, connection: Connection, events: Sequence[Event]) -> list[bool]:
        """Puts events in, except those with a key that is known or comes a second time.

        Says for each whether it was new.
        """
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read with, for a moment."""
        ...

    def reader(self) -> Connection:
        """A connection to read with, for whoever asks; may be passed from thread to thread."""
        ...

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows of an answer that is larger than the memory should be."""
        ...

    def close(self) -> None:
        """Gives up what reading keeps."""
        ...


def fresh_ones(events: Sequence[Event], new_keys: set[str]) -> list[bool]:
    """Which events are new: those without a key, and the first of each new key."""
    left = set(new_keys)
    out = []
    for event in events:
        out.append(event.key is None or event.key in left)
        left.discard(event.key or "")
    return out
