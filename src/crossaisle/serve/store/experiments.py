"""`ExperimentTables`: rows of experiments and of exposures, the lists that users were shown within them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import islice

from crossaisle.serve.store.engine import SqlConnection
from crossaisle.serve.store.records import Event, ExposureRow
from crossaisle.serve.store.schema import COLUMNS
from crossaisle.serve.store.store import Deed, Store, audit

_EXPOSURE = 'experiment, arm, "user", time, body'
_PUT = "INSERT INTO experiments (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_ADD = f"INSERT INTO exposures ({_EXPOSURE}) VALUES (?, ?, ?, ?, ?)"


class ExperimentTables:
    """The tables of one store. Bodies are JSON and are not parsed here."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, name: str, body: str, deed: Deed | None = None) -> Future[None]:
        """Keeps an experiment, new or changed. `deed`: what the audit log says of it."""

        def work(connection: SqlConnection) -> None:
            connection.execute(_PUT, (name, body))
            self._store.log_changes(connection, "experiment", [name])
            audit(connection, deed)

        return self._store.submit(work)

    def bodies(self) -> dict[str, str]:
        """All experiments by name."""
        with self._store.reading() as connection:
            return dict(connection.execute("SELECT id, body FROM experiments").fetchall())

    def body(self, name: str) -> str:
        """One of them; it must be there."""
        with self._store.reading() as connection:
            row = connection.execute("SELECT body FROM experiments WHERE id = ?", (name,)).fetchone()
        return str(row[0])

    def add(self, exposures: Sequence[ExposureRow]) -> Future[None]:
        """Keeps exposures, except those of users who were deleted since."""

        def work(connection: SqlConnection) -> None:
            gone = self._store.covered(connection, exposures)
            kept = [row for row, covered in zip(exposures, gone, strict=True) if not covered]
            connection.executemany(_ADD, kept)

        return self._store.submit(work)

    def exposures(
        self, experiment: str, after: int = 0, n: int | None = None
    ) -> Iterator[tuple[int, ExposureRow]]:
        """Exposures of an experiment in the order in which they came, with their numbers."""
        query = f"SELECT seq, {_EXPOSURE} FROM exposures WHERE experiment = ? AND seq > ? ORDER BY seq"
        for seq, *row in islice(self._store.portions(query, (experiment,), after), n):
            yield seq, ExposureRow(*row)

    def exposures_of(self, user: str, after: int, n: int) -> list[tuple[int, ExposureRow]]:
        """What a user was shown within experiments, in the order in which it came, with its numbers."""
        query = f'SELECT seq, {_EXPOSURE} FROM exposures WHERE "user" = ? AND seq > ? ORDER BY seq LIMIT ?'
        with self._store.reading() as connection:
            return [(seq, ExposureRow(*row)) for seq, *row in connection.execute(query, (user, after, n))]

    def events_of_kinds(self, kinds: Sequence[str], since: float) -> Iterator[Event]:
        """Events of some kinds since a moment (seconds since 1970), by time."""
        marks = ",".join("?" * len(kinds))
        query = f"SELECT {COLUMNS} FROM events WHERE time >= ? AND kind IN ({marks}) ORDER BY time"
        for row in self._store.stream(query, (since, *kinds)):
            yield Event(*row)
