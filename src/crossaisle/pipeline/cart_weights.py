"""How far lists beside a cart follow the cart: as far as validation lets them at a known price.

What is in most trips, and what a household buys anyway, is in the rest of a trip whatever lies in the cart,
so recall alone chooses lists that hardly look at it. Of the recall of those a small share is given up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.models.base import Scorer
from crossaisle.models.defaults import FIRST
from crossaisle.models.scorers.leaf_lift import LeafLift
from crossaisle.models.shortlists import TuningTask, allowed_candidates
from crossaisle.models.topk import Mask, top_k

GIVEN = 0.08
"""Share of the recall at 10, on validation, that is given up at most beside a cart alone."""
GIVEN_OF_USERS = 0.05
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
    (5, 0.4),
    (7, 0.5),
)
"""How many places the cart leads, and how much good sellers are preferred for them."""
WEIGHTS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""What the cart's part is tried at, as shares of the largest weight."""
CASES = 1000
"""Carts that are looked at."""
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
    lifts = replace(first, lead=0).sharing(first)
    recall, lift, spread = np.zeros(len(LEADS) + 1), np.zeros(len(LEADS) + 1), 0.0
    for asked, allowed, wanted in _batches(task, taxonomy):
        total, follows = _total(parts, weights, asked), np.nan_to_num(lifts.score_rows(asked))
        spread = max(spread, float((total.max(axis=1) - total.min(axis=1)).max(initial=0.0)))
        recall[0] += _recall(total, allowed, wanted)
        for at, (lead, popular) in enumerate(LEADS, 1):
            first.lead, first.popular = lead, popular
            scores = total + np.float32(spread + 1.0) * np.nan_to_num(first.score_rows(asked))
            recall[at] += _recall(scores, allowed, wanted)
            seen = top_k(np.where(allowed, scores, -np.inf), min(_SEEN, allowed.shape[1]))
            lift[at] += float(np.take_along_axis(follows, np.maximum(seen, 0), axis=1).sum())
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
    recall = np.zeros(len(tried))
    for asked, allowed, wanted in _batches(task, taxonomy):
        total, part = _total(parts, others, asked), np.nan_to_num(parts[name].score_rows(asked))
        recall += [_recall(total + np.float32(weight) * part, allowed, wanted) for weight in tried]
    chosen = tried[int(np.flatnonzero(recall >= (1.0 - GIVEN_OF_USERS) * recall[0]).max())]
    return others | ({name: chosen} if chosen else {})


def _batches(task: TuningTask, taxonomy: Taxonomy) -> Iterator[tuple[Histories, Mask, Mask]]:
    """Histories, and bool (n, n_items) twice: candidates, and those of them that are right."""
    cases, codes = task.cases.take(np.arange(min(CASES, len(task.cases)))), taxonomy.codes()
    for start in range(0, len(cases), _BATCH):
        batch = cases.take(np.arange(start, min(start + _BATCH, len(cases))))
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


def _recall(scores: Floats, allowed: Mask, wanted: Mask) -> float:
    """The sum of the recall at 10 over all cases that have a right answer."""
    found = top_k(np.where(allowed, scores, -np.inf), min(_K, allowed.shape[1]))
    right = wanted.sum(axis=1)
    hits: npt.NDArray[np.int64] = (
        np.take_along_axis(wanted, np.maximum(found, 0), axis=1) & (found >= 0)
    ).sum(axis=1)
    return float((hits / np.clip(right, 1, _K)).sum())
