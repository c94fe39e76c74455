"""Lists that are computed before anyone asks for them: by a new model, and after a start."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import CrossaisleError
from crossaisle.serve.live.catalogue.overlay import grow
from crossaisle.serve.live.recommender import LiveRecommender

_LOG = logging.getLogger(__name__)
_TOGETHER = 16
_AT_ONCE = 256
"""Histories that parts expect: all would be a copy of the model's events."""
_MEASURED = 32
"""Users whose lists tell whether rough scores do."""


def warm(shop: LiveRecommender, recent: Sequence[Query] = ()) -> None:
    """Prepares every part, then answers a few queries of every kind and the recent ones.

    Raises what the former raise.
    """
    with ThreadPoolExecutor(1, "warming") as beside:
        # Sums over all events that are stored: neither needs the other.
        trending = beside.submit(shop.score_many, [Query(placement="trending")])
        latest = [] if shop.large else _latest(shop).tolist()
        for part in shop.base.blend.parts.values():
            part.prepare()
            for start in range(0, len(latest), _AT_ONCE):
                part.expect(shop.base.histories.take(latest[start : start + _AT_ONCE]))
        trending.result()
    if not shop.large:
        users = np.random.default_rng(0).permutation(shop.base.dataset.n_users).astype(np.int32)
        some = _not_deleted(shop, users, _MEASURED)
        histories = shop.base.histories.take(np.sort(some))
        shop.base.blend.measure_rough(histories, shop.limits.nominated_items)
    dataset = shop.dataset
    first = _not_deleted(shop, np.arange(shop.base.dataset.n_users, dtype=np.int32), 4)
    names = shop.base.dataset.user_ids.ids(first)
    item = dataset.item_ids.id(0)
    queries = [Query(user=name) for name in names]
    queries += [
        Query(placement="trending"),
        Query(placement="goes_with", items=(item,)),
        Query(placement="similar", items=(item,), explain=True),
    ]
    for answer in shop.score_many(queries):
        if isinstance(answer, Exception):
            raise answer
    if shop.large:
        try:
            # Builds the tables for the texts of new items, which takes seconds.
            grow(shop.base, {"": {"title": item}}, limits=shop.limits)
        except CrossaisleError as error:  # say, encoder weights are missing: known items do without
            _LOG.warning("new items cannot be placed: %s", error)
    for start in range(0, min(len(recent), shop.limits.replayed_queries), _TOGETHER):
        shop.score_many(recent[start : start + _TOGETHER])  # the new model may lack an item: no error


def ahead(shop: LiveRecommender) -> Iterator[Query]:
    """Queries to expect: the list of each known user, those with the newest events first, and what goes with
    the items that have most events."""
    dataset = shop.base.dataset
    for user in dataset.user_ids.ids(_latest(shop)):
        yield Query(user=user)
    order = np.argsort(-dataset.item_counts, kind="stable")[: shop.limits.prepared_items]
    for item in dataset.item_ids.ids(order[dataset.item_counts[order] > 0]):
        yield Query(items=(item,), placement="goes_with")


def _latest(shop: LiveRecommender) -> Rows:
    """int32: users with the newest events in the model, those first."""
    dataset = shop.base.dataset
    if not dataset.n_users or dataset.users_are_baskets:
        return np.empty(0, np.int32)
    newest = np.nan_to_num(dataset.histories().now, nan=-np.inf)
    users = np.argsort(-newest, kind="stable").astype(np.int32)
    return _not_deleted(shop, users, shop.limits.prepared_users)


def _not_deleted(shop: LiveRecommender, users: Rows, n: int) -> Rows:
    """int32: the first `n` of some users who were not deleted since the model was fitted."""
    if not shop.live.any_forgotten:
        return users[:n]
    ids = shop.base.dataset.user_ids
    left = (row for row in users.tolist() if not shop.live.is_forgotten(ids.id(row)))
    return np.fromiter(islice(left, n), np.int32)
