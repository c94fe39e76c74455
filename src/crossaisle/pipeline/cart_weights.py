"""How far lists beside a cart follow the cart: as far as validation allows at a known cost.

What is in most trips, and what a household buys anyway, is in the rest of a trip whatever lies in the cart,
so recall alone chooses lists that hardly look at it. Of the recall of those a small share is given up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.models.base import Scorer
from crossaisle.models.defaults import FIRST
from crossaisle.models.dense.batches import batches
from crossaisle.models.scorers.leaf_lift import LeafLift
from crossaisle.models.shortlists import TuningTask, allowed_candidates
from crossaisle.models.topk import Mask, top_k

GIVEN = 0.06
"""Share of the recall at 10, on validation, that is given up at most beside a cart alone."""
GIVEN_OF_USERS = 0.02
"""The same of users with a cart, whose habits are most of what is right."""
LEADS = (
    (2, 0.3),
    (3, 0.2),
    (3, 0.25),
    (3, 0.3),
    (4, 0.25),
    (4, 0.3),
    (5, 0.25),
    (5, 0.3),
    (5, 0.35),
    (5, 0.4),
    (7, 0.5),
)
"""How many places the cart leads, and how much good sellers are preferred for them."""
WEIGHTS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""What the cart's part is tried at, as shares of the largest weight."""
CASES = 3000
"""Carts that are looked at."""
THREADS = 2
Sums = npt.NDArray[np.float64]
_BATCH, _K, _SEEN = 250, 10, 5


def led(
    parts: Mapping[str, Scorer],
    weights: Mapping[str, float],
    first: LeafLift,
    task: TuningTask,
    taxonomy: Taxonomy,
) -> dict[str, float]:
    """The weights with one for `first` that puts its items before all others.

    Its `lead` and `popular` are set to those of `LEADS` with the largest lifts in the first `_SEEN` places,
    of those that give up no more than `GIVEN`; where all give up more, it has no weight.
    """
    lifts = replace(first, lead=0, popular=0.0).sharing(first)
    leading = [replace(first, lead=lead, popular=popular).sharing(first) for lead, popular in LEADS]

    def tried(batch: tuple[Histories, Mask, Mask]) -> tuple[Sums, Sums, float]:
        """(1 + LEADS,): sums of recall, without `first` and with it, and of lifts; the spread."""
        asked, allowed, wanted = batch
        total, follows = _total(parts, weights, asked), np.nan_to_num(lifts.score_rows(asked))
        spread = float((total.max(axis=1) - total.min(axis=1)).max(initial=0.0))
        recall, lift = np.zeros(len(LEADS) + 1), np.zeros(len(LEADS) + 1)
        recall[0] = _recall(total, allowed, wanted)
        # No list of ten has anything but what may lead, and what the others like best.
        best = top_k(np.where(allowed, total, -np.inf), min(_K, allowed.shape[1]))
        some = np.union1d(best[best >= 0], first.best_[first.best_ >= 0])
        right = wanted.sum(axis=1)
        total, follows, allowed, wanted = total[:, some], follows[:, some], allowed[:, some], wanted[:, some]
        for at, one in enumerate(leading, 1):
            scores = total + np.float32(spread + 1.0) * np.nan_to_num(one.score_rows(asked)[:, some])
            recall[at] = _recall(scores, allowed, wanted, right)
            seen = top_k(np.where(allowed, scores, -np.inf), min(_SEEN, allowed.shape[1]))
            lift[at] = float(np.take_along_axis(follows, np.maximum(seen, 0), axis=1).sum())
        return recall, lift, spread

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(tried, _batches(task, taxonomy)))
    recall, lift, spread = np.zeros(len(LEADS) + 1), np.zeros(len(LEADS) + 1), 0.0
    for of_batch in found:
        recall, lift, spread = recall + of_batch[0], lift + of_batch[1], max(spread, of_batch[2])
    lift[recall < (1.0 - GIVEN) * recall[0]] = 0.0
    best = int(lift.argmax())
    first.lead, first.popular = LEADS[max(best, 1) - 1]
    return dict(weights) | ({FIRST: float(np.ceil(spread + 1.0))} if best else {})


def followed(
    parts: Mapping[str, Scorer],
    weights: Mapping[str, float],
    name: str,
    task: TuningTask,
    taxonomy: Taxonomy,
) -> dict[str, float]:
    """The weights with the largest one for part `name` that gives up no more than `GIVEN_OF_USERS`."""
    if name not in parts:
        return dict(weights)
    others = {part: weight for part, weight in weights.items() if part != name}
    most, now = max(weights.values(), default=1.0), weights.get(name, 0.0)
    tried = [now, *(share * most for share in WEIGHTS if share * most > now)]

    def sums(batch: tuple[Histories, Mask, Mask]) -> Sums:
        asked, allowed, wanted = batch
        total, part = _total(parts, others, asked), np.nan_to_num(parts[name].score_rows(asked))
        return np.array([_recall(total + np.float32(weight) * part, allowed, wanted) for weight in tried])

    recall = np.zeros(len(tried))
    with ThreadPoolExecutor(THREADS) as pool:
        for of_batch in pool.map(sums, _batches(task, taxonomy)):
            recall += of_batch
    chosen = tried[int(np.flatnonzero(recall >= (1.0 - GIVEN_OF_USERS) * recall[0]).max())]
    return others | ({name: chosen} if chosen else {})


def _batches(task: TuningTask, taxonomy: Taxonomy) -> Iterator[tuple[Histories, Mask, Mask]]:
    """Histories, and bool (n, n_items) twice: candidates, and those of them that are right."""
    cases, codes = task.cases.take(np.arange(min(CASES, len(task.cases)))), taxonomy.codes()
    for rows in batches(len(cases), len(codes), _BATCH):
        batch = cases.take(rows)
        allowed = allowed_candidates(replace(task, cases=batch), batch.histories, codes)
        wanted = np.zeros_like(allowed)
        wanted[np.repeat(np.arange(len(batch)), np.diff(batch.target_indptr)), batch.target] = True
        yield batch.histories, allowed, wanted & allowed


def _total(parts: Mapping[str, Scorer], weights: Mapping[str, float], histories: Histories) -> Floats:
    """float32 (n, n_items)"""
    scores = [
        np.nan_to_num(parts[name].score_rows(histories)) * np.float32(w) for name, w in weights.items() if w
    ]
    total: Floats = np.sum(scores, axis=0, dtype=np.float32)
    return total


def _recall(scores: Floats, allowed: Mask, wanted: Mask, right: npt.NDArray[np.int64] | None = None) -> float:
    """The sum of the recall at 10 over all cases that have a right answer.

    `right` int64 (n,): how many each has; by default those that are among the columns.
    """
    found = top_k(np.where(allowed, scores, -np.inf), min(_K, allowed.shape[1]))
    right = wanted.sum(axis=1) if right is None else right
    hits: npt.NDArray[np.int64] = (
        np.take_along_axis(wanted, np.maximum(found, 0), axis=1) & (found >= 0)
    ).sum(axis=1)
    return float((hits / np.clip(right, 1, _K)).sum())
