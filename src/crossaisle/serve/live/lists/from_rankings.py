"""`FromRankings`: makes rankings from scores, and lists from rankings where these are enough."""

from __future__ import annotations

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.data.query import Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.lists.list_builder import ListBuilder, Served
from crossaisle.recommend.merchandising.compiled import Merchandising, Ruling
from crossaisle.recommend.merchandising.ruled import NOTHING, Ranked
from crossaisle.recommend.ranker import Best
from crossaisle.recommend.request import ResolvedQuery
from crossaisle.recommend.rerank.filters import rows_mask
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.lists.asked import Tiers
from crossaisle.serve.live.lists.candidates import least
from crossaisle.serve.live.lists.ranker import LiveRanker
from crossaisle.serve.live.lists.ranking_cache import Lifted, Ranking, Version


class FromRankings:
    """Rankings are made before any filter, but for what was nominated for one query; see `Ranking`."""

    def __init__(
        self,
        lists: ListBuilder,
        ranker: LiveRanker,
        merchandising: Merchandising,
        limits: LiveLimits,
        *,
        large: bool,
    ) -> None:
        """`large`: whether the best items are retrieved instead of scoring all."""
        self._lists, self._ranker, self._merchandising = lists, ranker, merchandising
        self._limits, self._large = limits, large

    def ranking(
        self, query: Query, best: Best, version: Version, *, whole: bool, tiers: Tiers | None = None
    ) -> Ranking:
        """`tiers` int8 (n,): all rows of a lower tier come before those of a higher one."""
        rows, scores = best
        known = ~np.isnan(scores)
        rows, scores = rows[known], scores[known]
        most, first = self._limits.ranking_items, np.empty(0, np.int64)
        left = np.arange(len(rows))
        if tiers is not None:  # the last tier is nearly the whole shop
            last = tiers[known] == tiers.max(initial=0)
            first, left = np.flatnonzero(~last), np.flatnonzero(last)
            first = first[self._lists.ranked_places(rows[first], scores[first], tiers[known][first])]
        at = np.concatenate([first, left[self._lists.ranked_at(rows[left], scores[left], most)]])
        ranked = rows[at].astype(np.int32)
        whole = whole and len(ranked) == len(rows)
        return Ranking(ranked, scores[at], whole, version, query, self._lifted(query, rows, scores))

    def with_lifted(self, query: Query, request: ResolvedQuery, best: Best) -> Best:
        """The best items of a large shop, and those that rules may lift above them."""
        if not self._merchandising.lifting(query):
            return best
        missing = np.setdiff1d(self._merchandising.lifted(query), best[0])
        if len(missing) > self._limits.narrow_items:
            among = rows_mask(missing, self._lists.view.dataset.n_items)
            more = self._ranker.best_batch(request.context, request.weights, among)[0]
        else:
            more = missing, self._ranker.score_at(request.context, [missing], request.weights)[0]
        rows, first = np.unique(np.concatenate([best[0], more[0]]), return_index=True)
        return rows.astype(np.int32), np.concatenate([best[1], more[1]])[first]

    def _lifted(self, query: Query, rows: Rows, scores: Floats) -> Lifted | None:
        """What rules lift, of ascending rows with a score; None where none lifts anything."""
        merchandising = self._merchandising
        if not merchandising.lifting(query):
            return None
        keys = merchandising.weighed(query, scores, rows)
        at = self._lists.ranked_at(rows, keys, self._limits.ranking_items)
        ranked = rows[at].astype(np.int32)
        pins = merchandising.pinned(query)
        of_pins = np.full(len(pins), np.nan, np.float32)
        of_pins[np.isin(pins, rows)] = scores[np.isin(rows, pins)]
        pinned = Ranked(pins, of_pins, merchandising.weighed(query, of_pins, pins))
        most = self._limits.ranking_items
        if len(pins) > most:
            order, best = np.argsort(-pinned.keys, kind="stable"), np.zeros(len(pins), bool)  # NaN last
            for number in merchandising.pinning(query):  # of each rule, or another's items push its own out
                best[order[merchandising.names(number, pins[order])][:most]] = True
            pinned = pinned.take(np.flatnonzero(best))
        return Lifted(Ranked(ranked, scores[at], keys[at]), pinned)

    def answer(self, query: Query, request: ResolvedQuery, ranking: Ranking) -> RecommendationList | None:
        """The list out of the best items kept; None where other items could be in it, too."""
        ruling = self._lists.ruling(query, request)
        if ruling is not None:
            return self._ruled_from_ranking(query, request, ranking, ruling)
        fits = self._lists.candidates(query, request, ranking.rows)
        fits &= self._lists.speaks(request, ranking.scores, ranking.rows)
        rows, scores = ranking.rows[fits], ranking.scores[fits]
        whole = ranking.whole or self._holds_all_included(query, request, ranking)
        if not len(rows) or (not whole and len(rows) < least(query, large=self._large)):
            return None
        share = self._lists.cross_share(query, request)
        chosen, exact = self._lists.arrange(query, share, rows, scores)
        if not exact and not whole:
            return None
        served = Served(request.placement, request.weights)
        notices = list(request.notices)
        return self._lists.answer(query, request, served, share, (rows, scores, chosen), notices)

    def _ruled_from_ranking(
        self, query: Query, request: ResolvedQuery, ranking: Ranking, ruling: Ruling
    ) -> RecommendationList | None:
        """The same under rules."""
        kept = [Ranked(ranking.rows, ranking.scores, ranking.scores)]
        if ranking.lifted is not None:
            kept += [ranking.lifted.ranked, ranking.lifted.pinned]
        fits = self._lists.unruled(query, request, np.concatenate([one.rows for one in kept]))
        fitting: list[Ranked] = []
        for one in kept:
            fit, fits = fits[: len(one.rows)], fits[len(one.rows) :]
            if len(fitting) < 2:  # what is pinned needs no score
                fit &= self._lists.speaks(request, one.scores, one.rows)
            fitting.append(one.take(fit))
        plain, *lifted = fitting
        free, pinned = [one.take(~ruling.banned[one.rows]) for one in lifted or [plain, NOTHING]]
        whole = ranking.whole or self._holds_all_included(query, request, ranking)
        if not len(free.rows) or (not whole and len(free.rows) < least(query, large=self._large)):
            return None
        share = self._lists.cross_share(query, request)
        found = self._lists.ruled(query, share, ruling, plain, free, pinned)
        if not found.exact and not whole:
            return None
        served = Served(request.placement, request.weights)
        notices = list(request.notices)
        return self._lists.answer(query, request, served, share, found.ranking, notices, found)

    def _holds_all_included(self, query: Query, request: ResolvedQuery, ranking: Ranking) -> bool:
        """Whether a query names the only items to show, and those that may be shown are all in a ranking."""
        if request.include is None:
            return False
        missing = np.setdiff1d(request.include, ranking.rows)
        return not self._lists.candidates(query, request, missing).any()
