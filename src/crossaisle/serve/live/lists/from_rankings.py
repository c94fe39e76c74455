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
from crossaisle.recommend.request import ResolvedQuery
from crossaisle.recommend.rerank.filters import rows_mask
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.lists.asked import Scored
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

    def ranking(self, query: Query, found: Scored, version: Version) -> Ranking:
        """Of what was found; what rules would rank below what was not has no place in it."""
        known = ~np.isnan(found.scores)
        rows, scores = found.rows[known], found.scores[known]
        tiers = None if found.tiers is None else found.tiers[known]
        lifted = self._lifted(query, rows, scores, found.least)
        if found.least > -np.inf:
            sure = scores >= found.least
            rows, scores, tiers = rows[sure], scores[sure], None if tiers is None else tiers[sure]
        most, first = self._limits.ranking_items, np.empty(0, np.int64)
        left = np.arange(len(rows))
        if tiers is not None:  # the last tier is nearly the whole shop
            last = tiers == tiers.max(initial=0)
            first, left = np.flatnonzero(~last), np.flatnonzero(last)
            first = first[self._lists.ranked_places(rows[first], scores[first], tiers[first])]
        at = np.concatenate([first, left[self._lists.ranked_at(rows[left], scores[left], most)]])
        ranked = rows[at].astype(np.int32)
        whole = found.whole and len(ranked) == len(rows)
        return Ranking(ranked, scores[at], whole, version, query, lifted)

    def with_lifted(self, query: Query, request: ResolvedQuery, found: Scored) -> Scored:
        """With what rules may lift above the rows that were found."""
        if found.every or not self._merchandising.lifting(query):
            return found
        best = found.rows, found.scores
        missing = np.setdiff1d(self._merchandising.lifted(query), best[0])
        if len(missing) > self._limits.narrow_items:
            among = rows_mask(missing, self._lists.view.dataset.n_items)
            more = self._ranker.best_batch(request.context, request.weights, among)[0]
        else:
            more = missing, self._ranker.score_at(request.context, [missing], request.weights)[0]
        rows, first = np.unique(np.concatenate([best[0], more[0]]), return_index=True)
        return found._replace(
            rows=rows.astype(np.int32),
            scores=np.concatenate([best[1], more[1]])[first],
            least=-np.inf if found.whole else self._least_of(best[1]),
        )

    def _least_of(self, scores: Floats) -> float:
        """The score from which on nothing is missing: a learned ranker's candidates may have lower ones."""
        most = self._limits.retrieved_items if self._large else self._limits.nominated_items
        known = scores[~np.isnan(scores)]
        if len(known) <= most:
            return float(known.min(initial=np.inf))
        return float(np.partition(known, -most)[-most])

    def sure(self, query: Query, found: Scored) -> Scored:
        """Without what rules rank below what was not found."""
        if found.least == -np.inf:
            return found
        keys = self._merchandising.weighed(query, found.scores, found.rows)
        at = np.flatnonzero(keys >= found.least)
        tiers = None if found.tiers is None else found.tiers[at]
        return found._replace(rows=found.rows[at], scores=found.scores[at], tiers=tiers)

    def _lifted(self, query: Query, rows: Rows, scores: Floats, least: float) -> Lifted | None:
        """What rules lift, of ascending rows with a score; None where none lifts anything. `least`: as in
        `Scored`.
        """
        merchandising = self._merchandising
        if not merchandising.lifting(query):
            return None
        keys = merchandising.weighed(query, scores, rows)
        sure = np.flatnonzero(keys >= least)
        at = sure[self._lists.ranked_at(rows[sure], keys[sure], self._limits.ranking_items)]
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
        held = ranking.rows
        if ranking.lifted is not None:
            held = np.intersect1d(held, ranking.lifted.ranked.rows)
        missing = np.setdiff1d(request.include, held)
        return not self._lists.candidates(query, request, missing).any()
