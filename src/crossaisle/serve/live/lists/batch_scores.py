"""`BatchScores`: what lists of many queries are made from, scored together."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np

from crossaisle.data.history import Histories
from crossaisle.recommend.lists.list_builder import ListBuilder
from crossaisle.recommend.ranker import Best, batched, best_of_requests, score_requests
from crossaisle.recommend.request import NO_ROWS, ResolvedQuery, is_narrow
from crossaisle.recommend.rerank.filters import Mask, of_placement
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.lists.asked import Asked, Scored
from crossaisle.serve.live.lists.ranker import LiveRanker

Allowed = tuple[Mask, Mask | None]
"""bool (n_items,): what the filters of a query leave, and where a learned ranker takes its candidates; None:
anywhere."""


class BatchScores:
    """From the cheapest to the dearest: the best, the best of what filters leave, all that have a score.

    What may fail for one query alone, such as a category that the shop does not have, is asked of each.
    """

    def __init__(
        self,
        lists: ListBuilder,
        ranker: LiveRanker,
        reranked: Container[str],
        limits: LiveLimits,
        *,
        large: bool,
    ) -> None:
        """`reranked`: weights for which a ranker was learned. `large`: whether the best items
        are retrieved.
        """
        self._lists, self._ranker, self._reranked = lists, ranker, reranked
        self._limits, self._large = limits, large

    def narrows(self, asked: Asked) -> bool:
        """Whether a learned ranker has to know what the filters of a query leave."""
        return not self._large and asked.request.weights in self._reranked and is_narrow(asked.query)

    def best(self, asked: Sequence[Asked]) -> list[Scored | None]:
        """For each request the rows with the best scores, where these are found faster than all scores."""
        if self._large:
            requests = [one.request for one in asked]
            return [Scored(*best) for best in best_of_requests(self._ranker, requests)]
        masks = [self._eligible(one.request) for one in asked]
        return [None if best is None else Scored(*best) for best in self._nominated(asked, masks)]

    def allowed(self, asked: Asked) -> Allowed:
        """For `best_allowed`. Rules come later, but for a ranker, which has to know what may be shown."""
        mask = self._lists.unruled(asked.query, asked.request)
        if not self.narrows(asked):
            return mask, None
        ruling = self._lists.ruling(asked.query, asked.request)
        return mask, mask if ruling is None else mask & ~ruling.banned

    def best_allowed(self, asked: Sequence[Asked], allowed: Sequence[Allowed]) -> list[Scored | None]:
        """`best` of what the filters of each query leave, where that was or may be little."""
        masks, reranked = [mask for mask, _ in allowed], [mask for _, mask in allowed]
        found, few = self._nominated(asked, masks, reranked), self._limits.nominated_items
        return [
            None if best is None else Scored(*best, allowed=True, whole=len(best[0]) < few) for best in found
        ]

    def among(self, asked: Asked) -> Mask | None:
        """For `every`: bool (n_items,), where a learned ranker takes its candidates; None: anywhere."""
        return self._lists.candidates(asked.query, asked.request) if self.narrows(asked) else None

    def every(self, asked: Sequence[Asked], among: Sequence[Mask | None]) -> list[Scored]:
        """All rows that have a score, for each request."""
        out = []
        for scores in score_requests(self._ranker, [one.request for one in asked], among):
            rows = np.flatnonzero(~np.isnan(scores)).astype(np.int32)
            out.append(Scored(rows, scores[rows], whole=True, every=True))
        return out

    def _eligible(self, request: ResolvedQuery) -> Mask | None:
        """bool (n_items,): what lists by the weights of a request may show at all; None: everything."""
        codes, own = self._lists.view.codes, request.history
        if request.placement == "discover":
            return of_placement("discover", codes, own, NO_ROWS)
        return of_placement("for_you", codes, NO_ROWS, own) if request.weights == "unseen" else None

    def _nominated(
        self, asked: Sequence[Asked], masks: Sequence[Mask | None], reranked: Sequence[Mask | None] = ()
    ) -> list[Best | None]:
        """`masks` bool (n_items,): what may be named for each request; `reranked`: what a ranker orders."""
        n = self._limits.nominated_items
        if 2 * n > self._lists.view.dataset.n_items or not asked:
            return [None] * len(asked)

        def best(histories: Histories, weights: str, members: Sequence[int]) -> Sequence[Best | None]:
            own = [masks[at] for at in members], [reranked[at] for at in members] if reranked else ()
            found = self._ranker.nominated(histories, weights, n, *own)
            return [None] * len(members) if found is None else found

        return batched([one.request for one in asked], best)
