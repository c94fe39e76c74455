"""`ExperimentLog`: experiments and exposures in the store."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any, NamedTuple

from crossaisle.serve.experiments.design import Experiment
from crossaisle.serve.store.engine import COLUMNS, Event, SqlConnection
from crossaisle.serve.store.store import Deed, Store, audit


class Exposure(NamedTuple):
    """A list that a person was shown within an experiment."""

    experiment: str
    arm: str
    """"" for interleaved lists: both."""
    user: str
    time: float
    items: tuple[str, ...]
    propensities: tuple[float, ...]
    """The probability of each item in its place given the arm; () where interleaved. An exploring arm draws
    the first 20 places, and only these have one."""
    share: float
    """The probability of the arm."""
    ranked: tuple[str, ...] = ()
    """The arm's ranking that was drawn from; () where the list is the ranking itself."""
    teams: tuple[int, ...] = ()
    """Which arm put each item there, where interleaved."""


class ExperimentLog:
    """Rows in the tables `experiments` and `exposures` of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, experiment: Experiment, deed: Deed | None = None) -> Future[None]:
        """Keeps an experiment, new or changed. `deed`: what the audit log says of it."""
        row = experiment.name, json.dumps(experiment.to_dict())

        def work(connection: SqlConnection) -> None:
            connection.execute(_PUT, row)
            self._store.log_changes(connection, "experiment", [experiment.name])
            audit(connection, deed)

        return self._store.submit(work)

    def experiments(self) -> dict[str, Experiment]:
        """All experiments by name."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT id, body FROM experiments").fetchall()
        return {name: Experiment.of(json.loads(body)) for name, body in rows}

    def experiment(self, name: str) -> Experiment:
        """One of them; it must be there."""
        with self._store.reading() as connection:
            body = connection.execute("SELECT body FROM experiments WHERE id = ?", (name,)).fetchone()[0]
        return Experiment.of(json.loads(body))

    def add(self, exposures: Sequence[Exposure]) -> Future[None]:
        """Keeps exposures, but for those of people who were deleted since."""
        rows = [(e.experiment, e.arm, e.user, e.time, json.dumps(e[4:])) for e in exposures]

        def work(connection: SqlConnection) -> None:
            gone = self._store.covered(connection, exposures)
            connection.executemany(
                _ADD, [row for row, covered in zip(rows, gone, strict=True) if not covered]
            )

        return self._store.submit(work)

    def exposures(
        self, experiment: str, after: int = 0, n: int | None = None
    ) -> Iterator[tuple[int, Exposure]]:
        """Exposures of an experiment in the order in which they came, with their numbers."""
        query = f"SELECT seq, {_COLUMNS} FROM exposures WHERE experiment = ? AND seq > ? ORDER BY seq"
        for seq, *row in islice(self._store.portions(query, (experiment,), after), n):
            yield seq, _exposure(row)

    def exposures_of(self, user: str, after: int = 0, n: int = 1000) -> list[tuple[int, Exposure]]:
        """What a person was shown within experiments, in the order in which it came, with its numbers."""
        query = f'SELECT seq, {_COLUMNS} FROM exposures WHERE "user" = ? AND seq > ? ORDER BY seq LIMIT ?'
        with self._store.reading() as connection:
            rows = connection.execute(query, (user, after, n)).fetchall()
        return [(seq, _exposure(row)) for seq, *row in rows]

    def goals(self, experiment: Experiment) -> Iterator[Event]:
        """Events of the kinds that count, since the experiment started, by time."""
        marks = ",".join("?" * len(experiment.goal))
        query = f"SELECT {COLUMNS} FROM events WHERE time >= ? AND kind IN ({marks}) ORDER BY time"
        for row in self._store.stream(query, (experiment.started, *experiment.goal)):
            yield Event(*row)


_COLUMNS = 'experiment, arm, "user", time, body'
_PUT = "INSERT INTO experiments (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_ADD = f"INSERT INTO exposures ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"


def _exposure(row: Sequence[Any]) -> Exposure:
    experiment, arm, user, time, body = row
    items, propensities, share, ranked, teams = json.loads(body)
    shown = tuple(map(sys.intern, items)), tuple(propensities), float(share), tuple(ranked), tuple(teams)
    return Exposure(experiment, arm, user, time, *shown)
