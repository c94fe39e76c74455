"""What a store asks of a database: the protocols `SqlConnection` and `Engine`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from crossaisle.errors import StoreError
from crossaisle.serve.store.limits import StoreLimits
from crossaisle.serve.store.records import Event


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


class WritingTurn(Protocol):
    """Of one of several processes that write to the same store."""

    def writing(self) -> AbstractContextManager[None]:
        """Waits until nobody else writes; nobody does until the end."""
        ...

    def committed(self) -> None:
        """This process wrote something: the others must read it."""
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
    limits: StoreLimits
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
