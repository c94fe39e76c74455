"""`cart_cases`: some items of a basket as the query, what else went into that basket as the answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.vocabulary import Rows

MOST = 700
"""Carts drawn at the most: 2,500 give much the same weights and take three times as long."""
VIEWED = 3
"""A query is one to this many items of a basket."""


def has_baskets(dataset: Dataset) -> bool:
    """Whether users come with baskets of their own, so that what was bought in one trip is known."""
    return not dataset.users_are_baskets and bool((dataset.events.basket >= 0).any())


def cart_cases(dataset: Dataset, held: npt.NDArray[np.bool_], *, seed: int = 0) -> EvalCases:
    """Cases from baskets among the events at `held`, a bool (n_events,).

    Of each basket one to `VIEWED` items, drawn at random, are the cart; the targets are the basket's
    items of categories that the cart does not have. Baskets without any are left out.
    """
    events, codes = dataset.events, dataset.taxonomy.codes()
    rows = np.flatnonzero(held & (events.basket >= 0) & (codes[events.item] >= 0))
    pairs = np.unique(events.basket[rows].astype(np.int64) * dataset.n_items + events.item[rows])
    basket, item = pairs // dataset.n_items, (pairs % dataset.n_items).astype(np.int32)
    starts = np.flatnonzero(np.diff(basket, prepend=-1, append=-1) != 0)
    rng = np.random.default_rng(seed)
    carts: list[Rows] = []
    targets: list[Rows] = []
    for place in rng.permutation(len(starts) - 1).tolist():
        if len(carts) == MOST:
            break
        bought = rng.permutation(item[starts[place] : starts[place + 1]])
        view = bought[: rng.integers(1, VIEWED + 1)]
        rest = bought[~np.isin(codes[bought], codes[view])]
        if len(rest):
            carts.append(view)
            targets.append(np.sort(rest))
    indptr = np.concatenate([[0], np.cumsum([len(t) for t in targets])]).astype(np.int64)
    flat = np.concatenate([np.empty(0, np.int32), *targets]).astype(np.int32)
    return EvalCases(Histories.of(carts), indptr, flat, other_categories_only=True)
