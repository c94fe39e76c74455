"""`ExperimentLog`: experiments, and the lists shown within them, in the store."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from crossaisle.serve.experiments.design import Experiment
from crossaisle.serve.store.experiments import ExperimentTables
from crossaisle.serve.store.records import Event, ExposureRow
from crossaisle.serve.store.store import Deed, Store


class Exposure(NamedTuple):
    """A list that a user was shown within an experiment."""

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
    """Experiments and exposures as the service knows them; the store has their rows."""

    def __init__(self, store: Store) -> None:
        self._tables = ExperimentTables(store)

    def put(self, experiment: Experiment, deed: Deed | None = None) -> Future[None]:
        """Keeps an experiment, new or changed. `deed`: what the audit log says of it."""
        return self._tables.put(experiment.name, json.dumps(experiment.to_dict()), deed)

    def experiments(self) -> dict[str, Experiment]:
        """All experiments by name."""
        return {name: Experiment.of(json.loads(body)) for name, body in self._tables.bodies().items()}

    def experiment(self, name: str) -> Experiment:
        """One of them; it must be there."""
        return Experiment.of(json.loads(self._tables.body(name)))

    def add(self, exposures: Sequence[Exposure]) -> Future[None]:
        """Keeps exposures, but for those of users who were deleted since."""
        return self._tables.add([ExposureRow(*one[:4], json.dumps(one[4:])) for one in exposures])

    def exposures(
        self, experiment: str, after: int = 0, n: int | None = None
    ) -> Iterator[tuple[int, Exposure]]:
        """Exposures of an experiment in the order in which they came, with their numbers."""
        for seq, row in self._tables.exposures(experiment, after, n):
            yield seq, _exposure(row)

    def exposures_of(self, user: str, after: int = 0, n: int = 1000) -> list[tuple[int, Exposure]]:
        """What a user was shown within experiments, in the order in which it came, with its numbers."""
        return [(seq, _exposure(row)) for seq, row in self._tables.exposures_of(user, after, n)]

    def goals(self, experiment: Experiment) -> Iterator[Event]:
        """Events of the kinds that count, since the experiment started, by time."""
        return self._tables.events_of_kinds(experiment.goal, experiment.started)


def _exposure(row: ExposureRow) -> Exposure:
    items, propensities, share, ranked, teams = json.loads(row.body)
    shown = tuple(map(sys.intern, items)), tuple(propensities), float(share), tuple(ranked), tuple(teams)
    return Exposure(row.experiment, row.arm, row.user, row.time, *shown)
