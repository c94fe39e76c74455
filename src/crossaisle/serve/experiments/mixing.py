"""Randomized lists whose probabilities are known: exploration, and team-draft interleaving."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Matrix = npt.NDArray[np.float64]
_GRID = 200


def explore(n: int, length: int, greed: float, rng: random.Random) -> list[int]:
    """Places (0 = best) of `length` of `n` ranked things, drawn without repeats (Plackett-Luce over ranks).

    Rank r has weight r^-greed: 0 is uniform, above 5 is nearly the ranking itself.
    """
    weights = [(place + 1.0) ** -greed for place in range(n)]
    left = list(range(n))
    out: list[int] = []
    for _ in range(min(length, n)):
        point, sofar, chosen = rng.random() * sum(weights[place] for place in left), 0.0, left[-1]
        for place in left:
            sofar += weights[place]
            if point < sofar:
                chosen = place
                break
        left.remove(chosen)
        out.append(chosen)
    return out


@lru_cache(maxsize=64)
def place_probabilities(n: int, length: int, greed: float) -> Matrix:
    """float64 (n, length): the probability that `explore` puts rank i in place p, whatever stands above.

    The draw is a race of exponential clocks with the weights as rates. Rank i comes in at time t in place p
    if p others came in before: a Poisson binomial, integrated over t.
    """
    rates = np.arange(1.0, n + 1.0) ** -greed
    x = np.linspace(np.log(1e-9 / rates.sum()), np.log(60.0 / rates.min()), _GRID)
    t = np.exp(x)
    came = -np.expm1(-np.outer(rates, t))  # (n, grid): clock j has rung
    before = np.zeros((n, _GRID, length))  # clock i, time, how many others have rung
    before[:, :, 0] = 1.0
    for j in range(n):
        stays = before * (1.0 - came[j])[None, :, None]
        stays[:, :, 1:] += before[:, :, :-1] * came[j][None, :, None]
        stays[j] = before[j]  # a clock is not one of its own others
        before = stays
    density = rates[:, None] * np.exp(-np.outer(rates, t)) * t * (x[1] - x[0])
    probabilities: Matrix = np.einsum("ig,igp->ip", density, before)
    probabilities /= probabilities.sum(axis=0)
    return probabilities


def team_draft(
    first: Sequence[T],
    second: Sequence[T],
    length: int,
    rng: random.Random,
    admits: Callable[[T], bool] = lambda item: True,
) -> list[tuple[T, int]]:
    """Two rankings as one list; each item with the team (0, 1) that put it there.

    Radlinski, Kurup, Joachims: How does clickthrough data reflect retrieval quality? (CIKM 2008). In each
    round a coin says who picks first; each side picks its best item that is not in the list yet. `admits`:
    whether an item may join those in the list, which may keep later ones out.
    """
    out: list[tuple[T, int]] = []
    taken: set[T] = set()
    teams = (list(first), list(second))
    while len(out) < length:
        starter = rng.randrange(2)
        before = len(out)
        for team in (starter, 1 - starter):
            for item in teams[team] if len(out) < length else ():
                if item not in taken:
                    taken.add(item)  # what does not fit now does not later
                    if admits(item):
                        out.append((item, team))
                        break
        if len(out) == before:
            break
    return out
