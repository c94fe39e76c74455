"""How often the next product is in the list made before it: a hit rate for any window, long or short."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.drift.summary import PLACES
from crossaisle.models.dense.batches import batches
from crossaisle.recommend.recommender import Recommender

MOST = 1000
"""Users that are asked about, drawn at random."""
BATCH = 64


def hits_of_cases(
    recommender: Recommender, dataset: Dataset, cases: EvalCases, *, seed: int = 0
) -> npt.NDArray[np.int64] | None:
    """`Summary.hits` of held-out cases; None where it is not known what came first in them.

    `dataset`: the whole shop, whose events tell the order. Of several products of one moment one is drawn.
    """
    rng = np.random.default_rng(seed)
    some = np.flatnonzero(cases.histories.lengths > 0)
    some = np.sort(rng.permutation(some)[:MOST])
    cases = cases.take(some)
    if not len(cases):
        return None
    if (np.diff(cases.target_indptr) == 1).all():
        return hits_of(recommender, cases.histories, cases.target)
    time, user = dataset.events.time, cases.histories.user
    if time is None or (user < 0).any() or np.isnan(cases.histories.now).any():
        return None
    first = np.full(len(cases), -1, np.int32)
    for row in range(len(cases)):
        own = slice(dataset.user_indptr[user[row]], dataset.user_indptr[user[row] + 1])
        later = time[own] >= cases.histories.now[row] * SECONDS_PER_DAY
        first[row] = first_of(time[own], dataset.events.item[own], later & dataset.wanted[own], rng)
    return hits_of(recommender, cases.histories.take(np.flatnonzero(first >= 0)), first[first >= 0])


def first_of(
    time: npt.NDArray[np.int64], item: Rows, asked: npt.NDArray[np.bool_], rng: np.random.Generator
) -> int:
    """Of a user's asked events, an item of the earliest moment, drawn at random; -1 where there is none."""
    if not asked.any():
        return -1
    return int(rng.choice(item[asked & (time == time[asked].min())]))


def hits_of(recommender: Recommender, histories: Histories, target: Rows) -> npt.NDArray[np.int64]:
    """int64 (`PLACES` + 1,): users by the place of `target` int32 (n,) in their open list, none last.

    A target of -1 is an item that the model does not have: no list holds it. Lists are those before filters.
    """
    counts = np.zeros(PLACES + 1, np.int64)
    for some in batches(len(histories), recommender.dataset.n_items, BATCH):
        batch = histories.take(some)
        scores = np.nan_to_num(recommender.score_batch(batch, "for_you"), nan=-np.inf)
        if not recommender.repeats:
            scores[batch.owner, batch.item] = -np.inf
        mine = target[some]
        rows = np.flatnonzero(mine >= 0)
        own = scores[rows, mine[rows]]
        place = (scores[rows] > own[:, None]).sum(axis=1)
        place[~np.isfinite(own)] = PLACES
        counts += np.bincount(np.minimum(place, PLACES), minlength=PLACES + 1)
        counts[PLACES] += len(mine) - len(rows)
    return counts
