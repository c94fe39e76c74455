"""Answers made before somebody waits for them: by a new model, and after a start."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from crossaisle.data.query import Query
from crossaisle.errors import CrossaisleError
from crossaisle.serve.live.catalogue.overlay import grow
from crossaisle.serve.live.recommender import LiveRecommender

_LOG = logging.getLogger(__name__)
_TOGETHER = 16


def warm(shop: LiveRecommender, asked: Sequence[Query] = ()) -> None:
    """Answers a few questions of every kind, then what was `asked` of late; raises what an answer raises."""
    dataset = shop.dataset
    users = [dataset.user_ids.id(row) for row in range(min(dataset.n_users, 4))]
    item = dataset.item_ids.id(0)
    queries = [Query(user=user) for user in users]
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
            grow(
                shop.base, {"": {"title": item}}, limits=shop.limits
            )  # tables for the texts of new items take seconds to make
        except (
            CrossaisleError
        ) as error:  # such as weights that are not on the machine: known items do without
            _LOG.warning("new items cannot be placed: %s", error)
    for start in range(0, min(len(asked), shop.limits.replayed_queries), _TOGETHER):
        shop.score_many(asked[start : start + _TOGETHER])  # an item that the new model lacks is no fault


def ahead(shop: LiveRecommender) -> Iterator[Query]:
    """What known people will ask for."""
    dataset = shop.base.dataset
    if dataset.users_are_baskets or not dataset.n_users:
        return
    newest = np.nan_to_num(dataset.histories().now, nan=-np.inf)
    order = np.argsort(-newest, kind="stable")[: shop.limits.prepared_users]
    for user in dataset.user_ids.ids(order):
        yield Query(user=user)
