"""Lists from what each part of a blend retrieves: for many users of a shop too large to score every item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossaisle.data.query import Query
from crossaisle.models.base import LARGE
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.lists.list_builder import ListBuilder, Served
from crossaisle.recommend.ranker import Best, best_of_requests
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.request import ResolvedQuery


def recommend_each(
    recommender: Recommender, queries: Sequence[Query], *, large_items: int = LARGE
) -> list[RecommendationList]:
    """A list for each query: from the scores of all items, or, beyond `large_items`, of the best.

    There each part retrieves its best items, and these alone are scored, as a service does it. Where filters
    leave less than half of them, rules hold, or a list is chosen for more than its scores, all items are
    scored after all.
    """
    if recommender.dataset.n_items <= large_items:
        return recommender.recommend_many(queries)
    requests = [recommender.resolve(query) for query in queries]
    found = [
        _list(recommender.lists, query, request, best)
        for query, request, best in zip(
            queries, requests, best_of_requests(recommender.ranker, requests), strict=True
        )
    ]
    left = [at for at, one in enumerate(found) if one is None]
    rest = dict(zip(left, recommender.recommend_many([queries[at] for at in left]), strict=True))
    return [rest[at] if one is None else one for at, one in enumerate(found)]


def _list(lists: ListBuilder, query: Query, request: ResolvedQuery, best: Best) -> RecommendationList | None:
    """The list out of the best items alone; None where others could be in it, too."""
    if query.reorders or lists.ruling(query, request) is not None:
        return None
    known = ~np.isnan(best[1])
    rows, scores = best[0][known], best[1][known]
    fits = lists.candidates(query, request, rows)
    if fits.sum() < max(query.depth, len(rows) / 2):
        return None
    rows, scores = rows[fits], scores[fits]
    order = lists.ranked_places(rows, scores)
    rows, scores = rows[order].astype(np.int32), scores[order]
    share = lists.cross_share(query, request)
    chosen, exact = lists.arrange(query, share, rows, scores)
    if not exact:
        return None
    served = Served(request.placement, request.weights)
    return lists.answer(query, request, served, share, (rows, scores, chosen), list(request.notices))
