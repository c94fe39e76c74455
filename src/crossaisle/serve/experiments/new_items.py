"""Places for items with few events: which of them join the draw of an exploring arm, by Thompson sampling.

Each candidate has a Beta posterior of how often it earns something when it is shown, from the arm's own log.
One number is drawn from each, and the candidates with the largest ones join the pool, the largest first
(Thompson 1933; Chapelle and Li, NeurIPS 2011). Where they join is fixed; from there on they are drawn like
all others, so that the probability of an item in a place is a sum over the ranks at which it may join.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import betainc, expit

from crossaisle.recommend.answer import Recommendation
from crossaisle.serve.experiments.design import Arm, Experiment
from crossaisle.serve.experiments.log import ExperimentLog
from crossaisle.serve.experiments.mixing import Matrix, place_probabilities
from crossaisle.serve.experiments.results import outcomes
from crossaisle.serve.live.queues.tallies import Tallies

CANDIDATES = 20
"""Items with few events, the best by the model, that are drawn among."""
PRIOR = (1.0, 9.0)
"""Before anything is known, an item is taken to earn something once in ten times."""
LEARNT_EVERY = 60.0
"""Seconds after which the log is read again."""
_GRID = 400

Shape = tuple[float, float]
"""Parameters of a Beta distribution."""


class Learnt(NamedTuple):
    """What one arm's log says."""

    moment: float
    shapes: dict[str, Shape]
    """Posterior of each item that was shown."""


class NewItems:
    """Posteriors of the items that exploring arms have shown."""

    def __init__(self, log: ExperimentLog, tallies: Tallies) -> None:
        self._log, self._tallies = log, tallies
        self._learnt: dict[tuple[str, str], Learnt] = {}

    def shapes(self, experiment: Experiment, arm: Arm, items: Sequence[str]) -> tuple[Shape, ...]:
        """The posterior of each item; the prior for one that was never shown."""
        learnt = self._learnt.get((experiment.name, arm.name))
        known = learnt.shapes if learnt else {}
        return tuple(known.get(item, PRIOR) for item in items)

    def is_due(self, experiment: Experiment, arm: Arm) -> bool:
        """Whether the log is to be read again."""
        learnt = self._learnt.get((experiment.name, arm.name))
        return learnt is None or time.monotonic() - learnt.moment > LEARNT_EVERY

    async def learn(self, experiment: Experiment, arm: Arm) -> None:
        """Reads the log, beside everything else."""
        key = experiment.name, arm.name
        before = self._learnt.get(key)
        # What is known until then is known from this moment on: nobody else need read it meanwhile.
        self._learnt[key] = Learnt(time.monotonic(), before.shapes if before else {})
        shapes = await self._tallies.of(("new items", *key), lambda: self._counted(experiment, arm))
        self._learnt[key] = Learnt(time.monotonic(), shapes)

    def _counted(self, experiment: Experiment, arm: Arm) -> dict[str, Shape]:
        shown = (exposure for _, exposure in self._log.exposures(experiment.name))
        found: dict[str, list[float]] = {}
        for user in outcomes(experiment, shown, self._log.goals(experiment)).values():
            if user.arm != arm.name:
                continue
            for exposure, rewards in zip(user.exposures, user.rewards, strict=True):
                for place, item in enumerate(exposure.items):
                    counts = found.setdefault(item, [0.0, 0.0])
                    counts[0 if rewards.get(place, 0.0) > 0 else 1] += 1.0
        return {item: (PRIOR[0] + good, PRIOR[1] + bad) for item, (good, bad) in found.items()}


def thompson(shapes: Sequence[Shape], n: int, rng: random.Random) -> list[int]:
    """The places of the `n` largest of one draw from each posterior, the largest first."""
    drawn = [rng.betavariate(*shape) for shape in shapes]
    return sorted(range(len(drawn)), key=lambda at: -drawn[at])[:n]


@lru_cache(maxsize=256)
def order_probabilities(shapes: tuple[Shape, ...], n: int) -> Matrix:
    """float64 (len(shapes), n): the probability that `thompson` puts each candidate in each of `n` places.

    A candidate is in place p if p others drew more than it did: a Poisson binomial, summed over what it drew.
    """
    x = expit(np.linspace(-16.0, 16.0, _GRID))
    below = np.stack([betainc(a, b, x) for a, b in shapes])  # (candidates, grid)
    middle = (below[:, 1:] + below[:, :-1]) / 2
    out = np.zeros((len(shapes), n))
    for at in range(len(shapes)):
        above = np.zeros((n, _GRID - 1))  # how many others drew more
        above[0] = 1.0
        for other in range(len(shapes)):
            if other != at:
                more = 1.0 - middle[other]
                shifted = np.vstack([np.zeros(_GRID - 1), above[:-1]])
                above = above * (1.0 - more) + shifted * more
        out[at] = above @ np.diff(below[at])
    probabilities: Matrix = out / out.sum(axis=0)
    return probabilities


def joining_at(length: int, n: int) -> list[int]:
    """The ranks (0 = best) at which `n` items join a pool from which `length` places are drawn: evenly."""
    return [length * (at + 1) // (n + 1) for at in range(n)]


@dataclass(frozen=True)
class Draw:
    """What an exploring arm draws a page from, the likeliest first."""

    items: tuple[Recommendation, ...]
    joins: tuple[int, ...] = ()
    """Ranks of the items that joined."""
    candidates: tuple[int, ...] = ()
    """For each of these, which candidate it is."""
    shapes: tuple[Shape, ...] = ()
    """Posteriors of all candidates."""

    def probabilities(self, length: int, greed: float) -> Matrix:
        """float64 (len(items), length): the probability that each item is drawn into each place.

        An item that joined might have joined at another rank, or not at all.
        """
        table = place_probabilities(len(self.items), length, greed)
        if not self.joins:
            return table
        out = table.copy()
        orders = order_probabilities(self.shapes, len(self.joins))
        for rank, candidate in zip(self.joins, self.candidates, strict=True):
            out[rank] = orders[candidate] @ table[list(self.joins)]
        return out


def joined(
    ranked: Sequence[Recommendation],
    new: Sequence[Recommendation],
    shapes: tuple[Shape, ...],
    n: int,
    length: int,
    rng: random.Random,
) -> Draw:
    """Ranked items with up to `n` of some new ones, chosen by Thompson sampling, among them."""
    chosen = thompson(shapes, min(n, len(new)), rng)
    joins = joining_at(length, len(chosen))
    items = list(ranked)
    for rank, candidate in zip(joins, chosen, strict=True):
        items.insert(rank, new[candidate])
    return Draw(tuple(items), tuple(items.index(new[at]) for at in chosen), tuple(chosen), shapes)
