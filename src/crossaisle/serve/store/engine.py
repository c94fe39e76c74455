"""What a store asks of a database: the protocols `SqlConnection` and `Engine`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from crossaisle.errors import ConflictError, StoreError, shorten

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
CREATE TABLE IF NOT EXISTS forgotten (
    digest BLOB PRIMARY KEY, time REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS forgotten_by_time ON forgotten (time);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
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
VERSION = 2
"""Goes up when an older crossaisle would misread a store; a table more is none of its business. What leads
from one version to the next is in `versions`."""
COLUMNS = 'key, "user", item, kind, time, value, quantity'
CLAIM = "INSERT INTO service (id, run) VALUES ('', ?) ON CONFLICT (id) DO UPDATE SET run = excluded.run"
PROBE = bytes(65_536)
"""What is written to find out whether writing works again: more than an event needs."""
MANY = 500
"""Keys looked up with one statement."""


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
    waiting: bool = False
    """Whether it is another process's turn, so that trying again may be all it takes."""


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


class SqlConnection(Protocol):
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
    overwrites: bool
    """Whether `rewrite` and `empty_log` leave nothing in any file of what was deleted."""
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

    def connect(self) -> SqlConnection:
        """The writer's connection, outside of any transaction, with tables in place.

        Every commit on it is on the disk of the database when it returns.
        """
        ...

    def claim(self, connection: SqlConnection, run: str) -> None:
        """Marks the store, which is held, as served by this run; `StoreError` where it is damaged."""
        ...

    def expect(self, run: str) -> None:
        """Before it is opened: it must be marked as served by this run, else this or `settled` raises
        `Displaced`.
        """
        ...

    def settled(self, connection: SqlConnection) -> int:
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

    def examine(self) -> tuple[str, float | None]:
        """What is wrong with the files of a store that is served, and the seconds after which to look again;
        None for never. May take long.
        """
        ...

    def lost(self, connection: SqlConnection) -> bool:
        """Whether a connection is of no more use."""
        ...

    def insert(self, connection: SqlConnection, events: Sequence[Event]) -> list[bool]:
        """Puts events in, except those with a key that is known or comes a second time.

        Says for each whether it was new. Raises `ConflictError` where a key is known with another content.
        """
        ...

    def rewrite(self, connection: SqlConnection) -> None:
        """Outside of a transaction: has tables hold nothing but what is in them."""
        ...

    def empty_log(self, connection: SqlConnection) -> bool:
        """Outside of a transaction: has the log hold nothing; False while somebody reads in it."""
        ...

    def reading(self) -> AbstractContextManager[SqlConnection]:
        """A connection to read with, for a moment."""
        ...

    def reader(self) -> SqlConnection:
        """A connection to read with, for whoever asks; may be passed from thread to thread."""
        ...

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows of an answer that is larger than the memory should be."""
        ...

    def close(self) -> None:
        """Gives up what reading keeps."""
        ...


def statements(tables: str) -> list[str]:
    """One by one, as a transaction needs them."""
    return [one for one in map(str.strip, tables.split(";")) if one]


def fresh_ones(events: Sequence[Event], known: Mapping[str, Event]) -> list[bool]:
    """Which events are new: those without a key, and the first of each key that is not `known`.

    The same key with another content is a mistake of whoever sent it, and must not pass for a repetition:
    `ConflictError`.
    """
    seen = dict(known)
    out: list[bool] = []
    wrong: list[int] = []
    for row, event in enumerate(events):
        key = event.key
        before = None if key is None else seen.get(key)
        if key is not None and before is None:
            seen[key] = event
        elif before is not None and content(event) != content(before):
            wrong.append(row)
        out.append(before is None)
    if wrong:
        raise conflict(events, wrong)
    return out


def conflict(events: Sequence[Event], rows: Sequence[int]) -> ConflictError:
    """Some of these events have keys that are known with another content."""
    place = f"row {rows[0]}: " if len(events) > 1 else ""
    return ConflictError(
        f"{place}{known_otherwise(events[rows[0]])}: nothing of this request was kept; give a new event a "
        "new key",
        rows=rows,
    )


def known_otherwise(event: Event) -> str:
    """What is wrong with an event whose key is known with another content."""
    return f"key {shorten(event.key)} is known with another user, item, kind, value or quantity"


def content(event: Event) -> tuple[Any, ...]:
    """What is compared where a key comes again. Not the time: an event sent again without one has a later."""
    return event.user, event.item, event.kind, event.value, event.quantity


def kept_under(connection: SqlConnection, keys: Sequence[str]) -> dict[str, Event]:
    """What is kept under keys."""
    known: dict[str, Event] = {}
    for start in range(0, len(keys), MANY):
        part = keys[start : start + MANY]
        query = f"SELECT {COLUMNS} FROM events WHERE key IN ({','.join('?' * len(part))})"
        known |= {row[0]: Event(*row) for row in connection.execute(query, part)}
    return known
