"""`widened`: more candidates for a list of a large shop whose best items its filters mostly rule out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.lists.caps import list_caps
from crossaisle.recommend.lists.list_builder import ListBuilder
from crossaisle.recommend.ranker import Best
from crossaisle.recommend.request import CrossShare, ResolvedQuery
from crossaisle.recommend.rerank.arrange import POOL
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.recommend.rerank.quota import Room, fill
from crossaisle.serve.limits.live import LiveLimits

Tiers = npt.NDArray[np.int8]
ROUNDS = 20
"""Each one fills a quota or the share, or finds all there is."""
FEW = 10
"""Lists' worth of candidates: with fewer of the best items left by filters, other items are better ones."""


def least(query: Query, *, large: bool) -> int:
    """How many candidates a list is made from, if there are more."""
    if query.reorders:
        last_page = (query.depth - 1) // query.page_length * query.page_length
        return last_page + max(POOL, 3 * query.page_length)
    return FEW * query.depth if large else 1


def widened(
    lists: ListBuilder,
    query: Query,
    request: ResolvedQuery,
    best: Best,
    allowed: Mask,
    *,
    enough: bool,
    limits: LiveLimits,
) -> tuple[Rows, Floats, Tiers]:
    """Item rows and their scores, from which the list is nearly as it would be from all of them.

    `best`: the best items as they were retrieved without filters. `allowed` bool (n_items,). As long as
    items without a score so far could be in the list, each part retrieves its best among these.
    `enough`: whether the first page is made of `best` alone.

    Also int8 (n,): in which tier an item is. What is retrieved for later pages only comes after all that the
    first page is made from, whatever its score: a page must not depend on how many follow it.
    """
    ranker, first = lists.ranker, replace(query, n=query.page_length, offset=0)
    rows, scores = best
    fits = allowed[rows] & ~np.isnan(scores)
    rows, scores = rows[fits], scores[fits]
    tiers = np.zeros(len(rows), np.int8)
    unscored = allowed.copy()
    unscored[rows] = False
    wanted, tier = unscored, int(enough)
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
        tiers = np.concatenate([tiers, np.full(int(known.sum()), tier, np.int8)])
        # Where no part retrieves anything more, nothing more has a score.
        unscored[more[0] if known.any() else left] = False
        wanted = _missing(lists, query if tier else first, request, (rows, scores, tiers), unscored)
        if tier:
            tier += 1
        elif query.depth > first.n and not wanted.any():
            wanted, tier = _missing(lists, query, request, (rows, scores, tiers), unscored), 1
    return rows, scores, tiers


def _missing(
    lists: ListBuilder,
    query: Query,
    request: ResolvedQuery,
    scored: tuple[Rows, Floats, Tiers],
    unscored: Mask,
) -> Mask:
    """bool (n_items,): which of the items without a score so far could be in the list."""
    rows, scores, tiers = scored
    share = lists.cross_share(query, request)
    ranked = lists.ranked(rows, scores, len(rows), tiers)
    if query.reorders and len(ranked) < least(query, large=True):
        return unscored
    hard, soft = list_caps(lists.view, query, share, ranked)
    page_length = query.page_length if soft else query.depth
    left, chosen = np.arange(len(ranked)), np.empty(0, np.int64)
    while len(chosen) < query.depth:
        quotas, shares = [cap.at(left) for cap in hard], [cap.at(left) for cap in soft]
        page: list[int] = []
        for caps in ([*quotas, *shares], quotas) if soft else (quotas,):
            page = fill(page, len(left), page_length, caps)
            if len(page) == page_length:
                break
            beside = ranked[chosen], ranked[left[page]]
            fitting = _fitting(lists, query, share, beside, unscored, shared=caps is not quotas)
            if fitting.any():
                return fitting
        if len(page) < page_length:
            break
        hard = [cap.after(left[page]) for cap in hard]
        chosen, left = np.concatenate([chosen, left[page]]), np.delete(left, page)
    return np.zeros(len(unscored), bool)


def _fitting(
    lists: ListBuilder,
    query: Query,
    share: CrossShare,
    beside: tuple[Rows, Rows],
    unscored: Mask,
    *,
    shared: bool,
) -> Mask:
    """bool (n_items,): the unscored items for which quotas (and the share of the page) have room.

    `beside`: rows of earlier pages, and of the page.
    """
    rows = np.flatnonzero(unscored).astype(np.int32)
    taken = np.concatenate([*beside, rows])
    hard, soft = list_caps(lists.view, query, share, taken)
    n_earlier, n_taken = len(beside[0]), len(beside[0]) + len(beside[1])
    fits = np.ones(len(taken), bool)
    for caps, start in ((hard, 0), (soft if shared else [], n_earlier)):
        if caps:
            room = Room(caps)
            for at in range(start, n_taken):
                room.take(at)
            fits &= room.open()
    out = np.zeros(len(unscored), bool)
    out[rows] = fits[n_taken:]
    return out
