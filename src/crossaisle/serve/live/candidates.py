"""`widened`: more candidates for a list of a large shop whose best items its filters mostly rule out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.recommender import Best, CrossShare, ResolvedQuery
from crossaisle.recommend.rerank.arrange import POOL
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.recommend.rerank.quota import Cap, Room, fill

if TYPE_CHECKING:
    from crossaisle.serve.live.recommender import LiveRecommender

NARROW = 20_000
"""Where at most this many items are left to look at, these are scored, all of them."""
ROUNDS = 20
"""Each one fills a quota or the share, or finds all there is."""
FEW = 10
"""Lists' worth of candidates: with fewer of the best items left by filters, other items are better ones."""


def least(query: Query, *, large: bool) -> int:
    """How many candidates a list is made from, if there are more."""
    if query.diversity:
        return max(POOL, 3 * query.depth)
    return FEW * query.depth if large else 1


def widened(shop: LiveRecommender, query: Query, request: ResolvedQuery, found: Best, allowed: Mask) -> Best:
    """Rows of the catalogue and their scores, from which the list is nearly as it would be from all of them.

    `found`: the best items as they were nominated without filters; `allowed` bool (n_items,). As long as
    items that nobody looked at could be in the list, each part nominates its best among these.
    """
    rows, scores = found
    fits = allowed[rows] & ~np.isnan(scores)
    rows, scores = rows[fits], scores[fits]
    unseen = allowed.copy()
    unseen[rows] = False
    wanted = unseen
    for _ in range(ROUNDS):
        left = np.flatnonzero(wanted).astype(np.int32)
        if not len(left):
            break
        if len(left) <= NARROW:
            more: Best = left, shop.score_at(request.asked, [left], request.weights)[0]
        else:
            more = shop.best_batch(request.asked, request.weights, wanted)[0]
        known = ~np.isnan(more[1])
        rows, scores = np.concatenate([rows, more[0][known]]), np.concatenate([scores, more[1][known]])
        # Where no part names anything more, nothing more has a score.
        unseen[more[0] if known.any() else left] = False
        wanted = _missing(shop, query, request, (rows, scores), unseen)
    return rows, scores


def _missing(shop: LiveRecommender, query: Query, request: ResolvedQuery, found: Best, missing: Mask) -> Mask:
    """bool (n_items,): which of the items that were not looked at could be in the list."""
    rows, scores = found
    policy = shop._policy(query, request)
    ranked = shop._ranked(rows, scores, len(rows))
    if query.diversity and len(ranked) < least(query, large=True):
        return missing
    hard, soft = shop._caps(query, policy, ranked)
    chosen: list[int] = []
    for caps in ([*hard, *soft], hard):
        chosen = fill(chosen, len(ranked), query.depth, caps)
        if len(chosen) == query.depth:
            break
        still = _open(shop, query, policy, ranked[chosen], missing, share=caps is not hard)
        if still.any():
            return still
    return np.zeros(len(missing), bool)


def _open(
    shop: LiveRecommender, query: Query, policy: CrossShare, chosen: Rows, missing: Mask, *, share: bool
) -> Mask:
    """bool (n_items,): the missing items for which quotas (and the share) have room beside those chosen."""
    rows = np.concatenate([chosen, np.flatnonzero(missing).astype(np.int32)])
    hard, soft = shop._caps(query, policy, rows)
    caps: list[Cap] = [*hard, *soft] if share else hard
    out = np.zeros(len(missing), bool)
    if not caps:
        out[rows[len(chosen) :]] = True
        return out
    room = Room(caps)
    for place in range(len(chosen)):
        room.take(place)
    out[rows[len(chosen) :]] = room.open()[len(chosen) :]
    return out
