"""`StoreReader`: what is read from a store, whoever writes to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from crossaisle.errors import StoreError, cleaned
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.store.deleted_users import Forgotten
from crossaisle.serve.store.engine import Engine, SqlConnection
from crossaisle.serve.store.following.feed import Feed
from crossaisle.serve.store.meta import people_key
from crossaisle.serve.store.packed.merging import PackedEvents
from crossaisle.serve.store.packed.reading import read, read_rows
from crossaisle.serve.store.records import Event, EventRow, Picture
from crossaisle.serve.store.schema import COLUMNS

_LOG = logging.getLogger(__name__)


class StoreReader:
    """Reads from one store. Most methods read a single table; readers never wait for the writer."""

    def __init__(self, engine: Engine, limits: StoreLimits) -> None:
        self.engine, self.limits = engine, limits
        self.name, self.path = engine.name, engine.path

    def _failed(self, error: Exception) -> None:
        """Called with every error of the database."""

    @contextmanager
    def reading(self) -> Iterator[SqlConnection]:
        """A connection for reading only; `StoreError` if the database does not answer."""
        try:
            with self.engine.reading() as connection:
                yield connection
        except self.engine.errors as error:
            raise self._unread(error) from error

    def _unread(self, error: Exception) -> StoreError:
        self._failed(error)
        return StoreError(f"{self.name}: could not be read ({cleaned(error, str(self.path))[:200]})")

    def stream(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows of a result that may not fit into memory; raises `StoreError` as `reading` does."""
        try:
            yield from self.engine.stream(sql, parameters)
        except self.engine.errors as error:
            raise self._unread(error) from error

    def events(self, after: int = 0) -> Iterator[tuple[int, Event]]:
        """All events in the order in which they came, with their numbers."""
        query = f"SELECT seq, {COLUMNS} FROM events WHERE seq > ? ORDER BY seq"
        for seq, *columns in self.portions(query, (), after):
            yield seq, Event(*columns)

    def event_rows(self, after: int = 0) -> Iterator[list[EventRow]]:
        """All events in the order in which they came, in portions, without their keys."""
        query = 'SELECT seq, "user", item, kind, value, quantity, time FROM events WHERE seq > ? ORDER BY seq'
        yield from self._portions(query, (), after)

    def packed_events(self) -> PackedEvents:
        """All events by user and time, as arrays."""
        try:
            with self.reading() as connection:
                connection.execute(self.engine.begin_reading)
                try:
                    return read(connection, self.event_rows)
                finally:
                    with suppress(*self.engine.errors):
                        connection.execute("ROLLBACK")
        except ValueError as error:
            _LOG.warning("%s: packed events cannot be read (%s): all are read one by one", self.name, error)
        self._unreadable_packs()
        return read_rows(self.event_rows)

    def _unreadable_packs(self) -> None:
        """Called where packs are damaged."""

    def portions(self, sql: str, parameters: Sequence[Any], after: int) -> Iterator[Any]:
        """Rows of a query that starts with the column `seq`, is ordered by it, and ends with the condition
        `seq > ?`. They are read in portions: while somebody reads, SQLite's log cannot be emptied.
        """
        for rows in self._portions(sql, parameters, after):
            yield from rows

    def _portions(self, sql: str, parameters: Sequence[Any], after: int) -> Iterator[list[Any]]:
        rows: list[Any] = []
        portion = self.limits.rows_at_once
        while not rows or len(rows) == portion:
            with self.reading() as connection:
                rows = connection.execute(f"{sql} LIMIT {portion}", (*parameters, after)).fetchall()
            if not rows:
                return
            yield rows
            after = rows[-1][0]

    def items(self, names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
        """Changed and new items by id: all, or those named."""
        return {name: json.loads(body) for name, body in self._by_id("SELECT id, body FROM items", names)}

    def pictures(self, names: Sequence[str] | None = None) -> dict[str, Picture]:
        """Pictures of items by id, without their contents: all, or those named."""
        query = "SELECT id, digest, address, fingerprint, vector FROM pictures"
        return {
            name: Picture(digest, address, fingerprint, np.frombuffer(vector, np.float16))
            for name, digest, address, fingerprint, vector in self._by_id(query, names)
        }

    def _by_id(self, query: str, names: Sequence[str] | None) -> list[Any]:
        """Rows of a table whose first column is `id`: all, or those of some ids."""
        with self.reading() as connection:
            if names is None or len(names) > 100:
                rows = connection.execute(query).fetchall()
            else:
                return [row for name in names for row in connection.execute(f"{query} WHERE id = ?", (name,))]
        wanted = None if names is None else set(names)
        return [row for row in rows if wanted is None or row[0] in wanted]

    def picture(self, item: str) -> bytes | None:
        """The file of an item's picture; None where it has none."""
        with self.reading() as connection:
            found = connection.execute("SELECT content FROM pictures WHERE id = ?", (item,)).fetchone()
        return None if found is None else bytes(found[0])

    def user(self, user: str) -> dict[str, Any] | None:
        """The attributes of a user; None where none were given."""
        with self.reading() as connection:
            found = connection.execute("SELECT body FROM users WHERE id = ?", (user,)).fetchone()
        return None if found is None else dict(json.loads(found[0]))

    def rules(self) -> str | None:
        """A merchandiser's rules as JSON; None where the shop has none of its own."""
        with self.reading() as connection:
            found = connection.execute("SELECT body FROM rules WHERE id = ''").fetchone()
        return None if found is None else str(found[0])

    def forgotten(self) -> Forgotten:
        """Users whose history in the model must not be used."""
        with self.reading() as connection:
            rows = connection.execute("SELECT digest, time FROM forgotten")
            return Forgotten(people_key(connection), ((bytes(digest), time) for digest, time in rows))

    def audit(self, n: int = 200) -> list[dict[str, Any]]:
        """The latest lines of the audit log, newest first."""
        with self.reading() as connection:
            rows = connection.execute("SELECT time, who, what FROM audit ORDER BY seq DESC LIMIT ?", (n,))
            return [{"time": time, "who": who, "what": what} for time, who, what in rows]

    # Of one user

    def events_page(self, user: str, after: int, n: int) -> list[tuple[int, Event]]:
        """The first `n` events of a user after a number, in the order in which they came."""
        query = f'SELECT seq, {COLUMNS} FROM events WHERE "user" = ? AND seq > ? ORDER BY seq LIMIT ?'
        with self.reading() as connection:
            return [(seq, Event(*row)) for seq, *row in connection.execute(query, (user, after, n))]

    def counts_of(self, user: str) -> tuple[int, int]:
        """Numbers of events of a user, and of lists that they were shown within experiments."""
        query = """
            SELECT (SELECT count(*) FROM events WHERE "user" = ?),
            (SELECT count(*) FROM exposures WHERE "user" = ?)
        """
        with self.reading() as connection:
            events, shown = connection.execute(query, (user, user)).fetchone()
        return int(events), int(shown)

    # What other workers wrote

    def feed(self) -> Feed:
        """What was written, for one thread that reads it repeatedly."""
        return Feed(self.engine)

    def newest_change(self) -> int:
        """The number of the last change that was logged for other workers; 0 if there is none."""
        with self.reading() as connection:
            return int(connection.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()[0])

    def model_switch(self) -> str | None:
        """The body of the last model switch, as it was logged; None if there was none."""
        with self.reading() as connection:
            found = connection.execute("SELECT body FROM changes WHERE what = 'model'").fetchone()
        return None if found is None else str(found[0])
