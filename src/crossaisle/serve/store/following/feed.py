"""`Feed`: what was written to a store since it was read last, for workers that share it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from crossaisle.errors import StoreError, cleaned
from crossaisle.serve.store.engine import Engine, SqlConnection
from crossaisle.serve.store.events import events_since
from crossaisle.serve.store.records import Change, Event


class Snapshot:
    """One state of a store, valid until its block ends."""

    def __init__(self, connection: SqlConnection) -> None:
        self._connection = connection

    def events_since(self, seq: int, n: int) -> list[tuple[int, Event]]:
        """The first `n` events with numbers greater than `seq`, in the order in which they came."""
        return events_since(self._connection, seq, n)

    def changes_since(self, seq: int) -> list[Change]:
        """Changes with numbers greater than `seq`, in their order."""
        query = "SELECT seq, what, name, body FROM changes WHERE seq > ? ORDER BY seq"
        return [Change(*row) for row in self._connection.execute(query, (seq,))]


class Feed:
    """Keeps a connection of its own; one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: SqlConnection | None = None

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One state of the store; `StoreError` where the database does not answer."""
        engine = self._engine
        try:
            connection = self._begun()
            yield Snapshot(connection)
            connection.execute("COMMIT")
        except engine.errors as error:
            self.close()
            raise StoreError(f"{engine.name}: {cleaned(error, str(engine.path))[:200]}") from error
        except BaseException:
            self.close()
            raise

    def _begun(self) -> SqlConnection:
        """Within a transaction; a connection that was lost since the last one is opened again."""
        if self._connection is not None:
            try:
                self._connection.execute(self._engine.begin_reading)
                return self._connection
            except self._engine.errors:
                self.close()
        self._connection = self._engine.reader()
        self._connection.execute(self._engine.begin_reading)
        return self._connection

    def close(self) -> None:
        """Closes the connection; the next snapshot opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._engine.errors):
                connection.close()
