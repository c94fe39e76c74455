"""What a store asks of a database: the protocols `SqlConnection` and `Engine`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from crossaisle.errors import StoreError
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.store.records import Event


class Displaced(StoreError):
    """The store is no longer the one that this process serves from."""


class Trouble(NamedTuple):
    """What an error says about the store itself, beyond the statement that met it."""

    reason: str
    """What is wrong and what to do about it, for the log."""
    lasting: bool = False
    """Whether it lasts until the service is restarted."""
    reopen: bool = False
    """Whether a new connection may help."""
    waiting: bool = False
    """Whether another process holds the store, so that trying again may be enough."""


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
    """The right to serve from a store: one service has it at a time, or one on each of several hosts."""

    fd: int | None
    """A file that worker processes keep open: while one of them lives, nobody else serves."""
    alone: bool
    """Whether nobody else serves from the store."""

    def share(self) -> None:
        """Lets services of other hosts in, once the store is marked, where the engine takes several."""
        ...

    def close(self) -> None:
        """Releases it."""
        ...


class WritingTurn(Protocol):
    """Lets several processes write to the same store, one at a time."""

    def writing(self) -> AbstractContextManager[None]:
        """Waits for its turn; nobody else writes until the block ends."""
        ...

    def committed(self) -> None:
        """Tells the other processes that there is something new to read."""
        ...


class Engine(Protocol):
    """One database that can hold a store."""

    several_hosts: bool
    """Whether services of several hosts may serve from it."""
    run: str
    """Where they do: the run that all of them share, with which the store is marked; "" until it is known."""

    name: str
    """What error messages call it; holds no password."""
    path: Any
    """What it was opened with, to be opened again."""
    errors: tuple[type[Exception], ...]
    """Errors of the database and of the connection to it."""
    remote: bool
    """Whether the connection can break while this process lives."""
    overwrites: bool
    """Whether `rewrite` and `empty_log` leave no trace of deleted rows in any file."""
    begin: str
    """The statement that begins a transaction that writes."""
    begin_in_turn: str
    """The same where several processes write: row numbers grow in the order of commits."""
    begin_reading: str
    """The statement that begins a transaction that reads one snapshot."""
    limits: StoreLimits
    """Times and sizes."""
    pulse: float
    """Seconds between two checks of the store while nobody writes."""

    def hold(self, host: str) -> Holding:
        """Takes the store for the service on one host; `StoreError` names who has it."""
        ...

    def only(self, what: str) -> AbstractContextManager[None]:
        """Inside, no other host does the same; `StoreError` names who does."""
        ...

    def connect(self) -> SqlConnection:
        """The writer's connection, outside of any transaction, with tables in place.

        Every commit on it is on the disk of the database when it returns.
        """
        ...

    def claim(self, connection: SqlConnection, run: str) -> None:
        """Marks the store, which must be held, as served by this run; `StoreError` if it is damaged."""
        ...

    def expect(self, run: str) -> None:
        """Called before the store is opened: it must be marked as served by this run, or this or `settled`
        raises `Displaced`.
        """
        ...

    def settled(self, connection: SqlConnection) -> int:
        """At the end of a transaction: `Displaced` if the store no longer belongs to this run.

        Returns the number of the last event where the connection can be lost, else 0.
        """
        ...

    def trouble(self, error: Exception, *, reading: bool = False) -> Trouble | None:
        """What an error says about the store; None where it is about the statement."""
        ...

    def readable(self) -> bool:
        """After `connect` failed: whether everything can still be read."""
        ...

    def examine(self) -> tuple[str, float | None]:
        """Checks the files of a store that is served: what is wrong with them, and the seconds until the next
        check, or None for never. May take long.
        """
        ...

    def lost(self, connection: SqlConnection) -> bool:
        """Whether a connection can no longer be used."""
        ...

    def insert(self, connection: SqlConnection, events: Sequence[Event]) -> list[bool]:
        """Inserts events, except those whose key is known or repeated.

        Returns for each whether it was new. Raises `ConflictError` if a key is known with other content.
        """
        ...

    def rewrite(self, connection: SqlConnection) -> None:
        """Outside of a transaction: rewrites tables so that no deleted row is left in them."""
        ...

    def empty_log(self, connection: SqlConnection) -> bool:
        """Outside of a transaction: empties the log; False while somebody still reads from it."""
        ...

    def reading(self) -> AbstractContextManager[SqlConnection]:
        """A connection for a short read."""
        ...

    def reader(self) -> SqlConnection:
        """A read-only connection that belongs to the caller; may be passed between threads."""
        ...

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows of a result that may not fit into memory."""
        ...

    def close(self) -> None:
        """Closes the connections that are kept for reading."""
        ...
