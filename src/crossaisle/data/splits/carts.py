"""`cart_cases`: a few items of a basket as the query, its other items as the targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows

MOST = 2_500
"""Maximum number of carts for tuning weights. With 700, the weights for users with carts overfit the
sample."""
MEASURED = 3_000
"""Maximum number of carts for evaluation."""
VIEWED = 3
"""A query consists of one to this many items of a basket."""


def has_baskets(dataset: Dataset) -> bool:
    """Whether users have baskets of their own, so that it is known what was bought in one trip."""
    return not dataset.users_are_baskets and bool((dataset.events.basket >= 0).any())


def cart_cases(
    dataset: Dataset, held: npt.NDArray[np.bool_], *, most: int = MOST, seed: int = 0
) -> EvalCases:
    """Cases from baskets among the events selected by `held`, bool (n_events,).

    From each basket, one to `VIEWED` items drawn at random are the cart; the targets are the basket's items
    in categories that the cart lacks. Baskets without targets are left out.
    """
    return _drawn(dataset, held, most, seed)[0]


def carts_of_users(
    dataset: Dataset,
    held: npt.NDArray[np.bool_],
    *,
    mask_seen: bool,
    most: int = MOST,
    seed: int = 0,
) -> EvalCases:
    """The same carts, preceded by their users' earlier events; users without any are left out.

    `mask_seen`: whether users' earlier items are excluded from their lists.
    """
    cases, first = _drawn(dataset, held, most, seed)
    own = _before(dataset, first)
    both = replace(cases, histories=own.with_view(cases.histories), mask_seen=mask_seen)
    return both.take(np.flatnonzero(own.lengths > 0))


def _before(dataset: Dataset, first: npt.NDArray[np.int64]) -> Histories:
    """The histories of users before given events, `first` int64 (n,)."""
    events, starts = dataset.events, dataset.user_indptr
    days = np.full(len(events), np.nan) if events.time is None else events.time / SECONDS_PER_DAY
    rows = []
    for event in first.tolist():
        before = np.arange(starts[events.user[event]], event)
        # events at the same time belong to the same basket
        rows.append(before[~(days[before] >= days[event])])
    lengths = [len(before) for before in rows]
    flat = np.concatenate([np.empty(0, np.int64), *rows])
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    weight, role = events.weight, dataset.roles
    return Histories(
        indptr,
        events.item[flat],
        days[flat],
        events.user[first],
        days[first],
        weight=None if weight is None else weight[flat],
        role=None if role is None else role[flat],
    ).relative


def _drawn(
    dataset: Dataset, held: npt.NDArray[np.bool_], most: int, seed: int
) -> tuple[EvalCases, npt.NDArray[np.int64]]:
    """Cases of anonymous carts, and int64 (n,): the first event of each basket."""
    events, codes = dataset.events, dataset.taxonomy.codes()
    rows = np.flatnonzero(held & dataset.wanted & (events.basket >= 0) & (codes[events.item] >= 0))
    opening = np.full(int(events.basket.max(initial=-1)) + 1, len(events), np.int64)
    np.minimum.at(opening, events.basket[rows], rows)
    pairs = np.unique(events.basket[rows].astype(np.int64) * dataset.n_items + events.item[rows])
    basket, item = pairs // dataset.n_items, (pairs % dataset.n_items).astype(np.int32)
    starts = np.flatnonzero(np.diff(basket, prepend=-1, append=-1) != 0)
    rng = np.random.default_rng(seed)
    carts: list[Rows] = []
    targets: list[Rows] = []
    first: list[int] = []
    for place in rng.permutation(len(starts) - 1).tolist():
        if len(carts) == most:
            break
        bought = rng.permutation(item[starts[place] : starts[place + 1]])
        view = bought[: rng.integers(1, VIEWED + 1)]
        rest = bought[~np.isin(codes[bought], codes[view])]
        if len(rest):
            carts.append(view)
            targets.append(np.sort(rest))
            first.append(int(opening[basket[starts[place]]]))
    indptr = np.concatenate([[0], np.cumsum([len(t) for t in targets])]).astype(np.int64)
    flat = np.concatenate([np.empty(0, np.int32), *targets]).astype(np.int32)
    opened = np.array(first, np.int64)
    of = events.user[opened]
    return EvalCases(Histories.of(carts), indptr, flat, other_categories_only=True, of=of), opened
