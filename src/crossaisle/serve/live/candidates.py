"""`widened`: more candidates for a list of a large shop whose best items its filters mostly rule out."""

from __future__ import annotations

import numpy as np

from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.list_builder import ListBuilder
from crossaisle.recommend.ranker import Best
from crossaisle.recommend.request import CrossShare, ResolvedQuery
from crossaisle.recommend.rerank.arrange import POOL
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.recommend.rerank.quota import Cap, Room, fill
from crossaisle.serve.live.limits import LiveLimits

ROUNDS = 20
"""Each one fills a quota or the share, or finds all there is."""
FEW = 10
"""Lists' worth of candidates: with fewer of the best items left by filters, other items are better ones."""


def least(query: Query, *, large: bool) -> int:
    """How many candidates a list is made from, if there are more."""
    if query.diversity:
        return max(POOL, 3 * query.depth)
    return FEW * query.depth if large else 1


def widened(
    lists: ListBuilder, query: Query, request: ResolvedQuery, best: Best, allowed: Mask, limits: LiveLimits
) -> Best:
    """Item rows and their scores, from which the list is nearly as it would be from all of them.

    `best`: the best items as they were retrieved without filters. `allowed` bool (n_items,). As long as
    items without a score so far could be in the list, each part retrieves its best among these.
    """
    ranker = lists.ranker
    rows, scores = best
    fits = allowed[rows] & ~np.isnan(scores)
    rows, scores = rows[fits], scores[fits]
    unscored = allowed.copy()
    unscored[rows] = False
    wanted = unscored
    for _ in range(ROUNDS):
        left = np.flatnonzero(wanted).astype(np.int32)
        if not len(left):
            break
        if len(left) <= limits.narrow_items:
            more: Best = left, ranker.score_at(request.context, [left], request.weights)[0]
        else:
            more = ranker.best_batch(request.context, request.weights, wanted)[0]
        known = ~np.isnan(more[1])
        rows, scores = np.concatenate([rows, more[0][known]]), np.concatenate([scores, more[1][known]])
        # Where no part retrieves anything more, nothing more has a score.
        unscored[more[0] if known.any() else left] = False
        wanted = _missing(lists, query, request, (rows, scores), unscored)
    return rows, scores


def _missing(lists: ListBuilder, query: Query, request: ResolvedQuery, best: Best, unscored: Mask) -> Mask:
    """bool (n_items,): which of the items without a score so far could be in the list."""
    rows, scores = best
    share = lists.cross_share(query, request)
    ranked = lists.ranked(rows, scores, len(rows))
    if query.diversity and len(ranked) < least(query, large=True):
        return unscored
    hard, soft = lists.caps(query, share, ranked)
    chosen: list[int] = []
    for caps in ([*hard, *soft], hard):
        chosen = fill(chosen, len(ranked), query.depth, caps)
        if len(chosen) == query.depth:
            break
        fitting = _fitting(lists, query, share, ranked[chosen], unscored, shared=caps is not hard)
        if fitting.any():
            return fitting
    return np.zeros(len(unscored), bool)


def _fitting(
    lists: ListBuilder, query: Query, share: CrossShare, chosen: Rows, unscored: Mask, *, shared: bool
) -> Mask:
    """bool (n_items,): the unscored items for which quotas (and the share) have room beside those chosen."""
    rows = np.concatenate([chosen, np.flatnonzero(unscored).astype(np.int32)])
    hard, soft = lists.caps(query, share, rows)
    caps: list[Cap] = [*hard, *soft] if shared else hard
    out = np.zeros(len(unscored), bool)
    if not caps:
        out[rows[len(chosen) :]] = True
        return out
    room = Room(caps)
    for at in range(len(chosen)):
        room.take(at)
    out[rows[len(chosen) :]] = room.open()[len(chosen) :]
    return out
