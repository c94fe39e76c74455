"""`LiveRecommender`: a recommender that follows events, prices, stock and new items while it serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.membership import is_in
from crossaisle.data.merchandising.rules import RuleSet
from crossaisle.data.query import Placement, Query
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.models.blend import CART_OF_USER
from crossaisle.recommend.answer import Recommendation, RecommendationList
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.lists.list_builder import ListBuilder
from crossaisle.recommend.merchandising.compiled import Merchandising
from crossaisle.recommend.ranker import Best, ModelRanker, batched, best_of_requests, score_requests
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.request import NO_ROWS, ResolvedQuery, is_narrow, resolve
from crossaisle.recommend.rerank.beside import NeverWith, Opened
from crossaisle.recommend.rerank.filters import Mask, of_placement
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.catalogue.browsing import BrowsedCatalogue
from crossaisle.serve.live.catalogue.overlay import CatalogueOverlay, grow
from crossaisle.serve.live.catalogue.overlay_view import contributions_of, similarity_of, view_of
from crossaisle.serve.live.catalogue.shown import ShownFields
from crossaisle.serve.live.event_counts import Gaps
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.lists.asked import Asked, Scored
from crossaisle.serve.live.lists.candidates import widened
from crossaisle.serve.live.lists.from_rankings import FromRankings
from crossaisle.serve.live.lists.ranker import LiveRanker
from crossaisle.serve.live.lists.ranking_cache import RankingCache
from crossaisle.serve.live.own import Own
from crossaisle.serve.live.own_history import OnPurchases, own_history, plain
from crossaisle.serve.live.pictures import picture_model
from crossaisle.serve.live.shopwide.disapproval import LiveDisapproval
from crossaisle.serve.live.shopwide.trending import Trending
from crossaisle.serve.store.records import Picture
from crossaisle.serve.store.store import NO_PICTURES


class LiveRecommender:
    """A saved recommender and what changed since: nothing here changes its scores of known items."""

    def __init__(
        self,
        base: Recommender,
        histories: LiveHistories,
        changed: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        before: LiveRecommender | None = None,
        pictures: Mapping[str, Picture] = NO_PICTURES,
        rules: RuleSet | None = None,
        limits: LiveLimits = LiveLimits(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`changed`: items that differ from the model's catalogue, by id. `before`: the state before the
        last change; what still holds of it is taken over. `pictures`: of changed items. `rules`: a
        merchandiser's; None: those of the model. `clock`: seconds since 1970, by which items come and go.
        """
        self.base, self.live, self.pictures, self.limits = base, histories, pictures, limits
        self.large = base.dataset.n_items > limits.large_items
        """Whether the best items are retrieved instead of scoring all."""
        if before is not None and before.base is not base:
            before = None
        self._settled: dict[str, tuple[Own, Gaps, Histories]] = {}
        """Histories that took some settling, while nothing has happened to their users."""
        self._settled_events = 0
        self._on_purchases = OnPurchases(base.dataset)
        self.trending: Trending = Trending(base, histories, limits) if before is None else before.trending
        older = None if before is None else before.grown
        self.grown: CatalogueOverlay = grow(base, changed or {}, older, pictures, limits=limits)
        self.disapproval: LiveDisapproval = (
            LiveDisapproval(base, histories, self.trending, limits) if before is None else before.disapproval
        )
        self.rules = base.rules if rules is None else rules
        earlier = None if before is None else before.merchandising
        self.merchandising: Merchandising = Merchandising(self.rules, self.grown.dataset, before=earlier)
        self.cache = RankingCache(histories, limits.rankings, self.disapproval.version, self.merchandising)
        # Rankings hold what the rules of their time lifted.
        same = before is not None and before.rules == self.rules
        if before is not None and same and (moved := self.grown.changed_since(before.grown)) is not None:
            self.cache.take_over(before.cache, *moved)
        self.view: CatalogueView = view_of(
            base, self.grown, base.view if before is None else before.view, clock
        )
        self.catalogue: BrowsedCatalogue = BrowsedCatalogue(
            self.view, self.merchandising, None if before is None else before.catalogue
        )
        self.shown = ShownFields(self.view.dataset, pictures, base.folder)
        model = ModelRanker(
            base.blend,
            base.dataset,
            tuned=base.tuned,
            newcomers=base.newcomers,
            durables=base.ranker.durables,
            retrieved=limits.retrieved_items,
            reranker=base.ranker.reranker,
        )
        self.ranker = LiveRanker(model, self.grown, self.trending, self.disapproval)
        self.lists = ListBuilder(
            self.view,
            self.ranker,
            similarity_of(base, self.grown),
            contributions_of(model, self.grown, self.disapproval, self.merchandising),
            base.limits,
            NeverWith(base.blend.rules, self.grown.dataset),
            self.merchandising,
            Opened(base.blend.rules, self.grown.dataset),
        )
        self.rankings = FromRankings(self.lists, self.ranker, self.merchandising, limits, large=self.large)

    @property
    def dataset(self) -> Dataset:
        """The model's data set with the catalogue of now."""
        return self.view.dataset

    # Histories

    def history_of(self, user: str) -> Histories:
        """The model's events of a user and the live ones, as a batch of one."""
        row = -1 if self.live.is_forgotten(user) else self.dataset.user_ids.get(user)
        own, end = self.live.of(user), self.trending.end
        if row < 0 and not own.items:
            return Histories.of([[]])
        if not own.items:
            return self.base.histories.take([row])
        gap = self.live.gaps_after(end)
        kept = self._settled.get(user)
        if kept is not None and kept[0] is own and kept[1] == gap:
            return kept[2]
        rows = self.dataset.item_ids.rows(own.items)
        # Nobody did anything between the model's end and the first event since: no time passed there.
        days = gap.closed(np.array(own.days))
        if not plain(self.base.dataset, own.deeds):
            live = rows, days, own.deeds
            latest = float(self.base.histories.now[row]) if row >= 0 else end
            past = self.base.histories.take([row]) if row >= 0 else Histories.of([[]])
            settled = self._on_purchases.settled(past, live, latest)
            if settled is None:
                log, n_items = self.base.log_of(row), self.dataset.n_items
                settled = own_history(log, row, self.base.dataset, n_items, live, latest)
            settled = settled.relative
            self._settled_events += len(settled.item)
            if self._settled_events > self.limits.settled_events:
                self._settled, self._settled_events = {}, 0  # others may be reading the old one
            self._settled[user] = own, gap, settled
            return settled
        past = self.base.histories.take([row]) if row >= 0 else Histories.of([[]], now=[end])
        known = rows >= 0
        if len(past.item) and days.min() <= end + 1e-5:
            # A model that was fitted on events of the store: these do not count twice.
            known &= ~is_in(_moments(rows, days), _moments(past.item, past.day))
        item = np.concatenate([past.item, rows[known]])
        day = np.concatenate([past.day, days[known]])
        now = np.fmax(past.now, np.fmax.reduce(day, initial=np.nan))
        return Histories(np.array([0, len(item)]), item, day, past.user, now)

    def resolve(self, query: Query) -> ResolvedQuery:
        """Ids to rows; `UnknownIdError` for an item in view that the shop does not have."""
        return resolve(
            query,
            self.dataset,
            self.history_of,
            repeats=self.base.repeats,
            asks_users=CART_OF_USER in self.base.blend.weights,
            stands_on=self._stands_on,
        )

    def _stands_on(self, placement: Placement, weights: str) -> str:
        follows = not self.trending.silent
        if placement == "trending" and follows:
            return ""  # counts of live events decide
        return self.base.stands_on(placement, weights, followed=follows)

    def score_batch(self, histories: Histories, placement: str = "for_you") -> Floats:
        """float32 (n, n_items); a new item stands in with the scores of the items it resembles."""
        return self.ranker.score_batch(histories, placement)

    # Items

    def notices_of(self, row: int) -> list[str]:
        """Notices about an item that was put in or changed."""
        item = self.dataset.item_ids.id(row)
        new = row >= self.grown.n_old
        has_picture = item in self.pictures or (new and bool(self.dataset.items["image"][row]))
        notices = []
        if has_picture and picture_model(self.base) is None:
            notices.append("the served model does not use pictures")
        elif has_picture and not new:
            notices.append("the model already contains this item: its new picture counts after the next fit")
        if new and not self.grown.links[row - self.grown.n_old].nnz:
            notices.append(
                "nothing in the model resembles this item: until the next fit it is in no user's list and in "
                "no list for another item"
            )
        return notices

    @cached_property
    def scarce_items(self) -> tuple[str, ...]:
        """Ids of listed items with few events in the model, or put in since; the newest first."""
        events = np.zeros(self.dataset.n_items, np.int64)
        events[: self.grown.n_old] = self.base.dataset.item_counts
        rows = np.flatnonzero(self.view.listed & (events < self.limits.scarce_events))[::-1]
        return tuple(self.dataset.item_ids.ids(rows[: self.limits.scarce_items]))

    # Lists

    def from_cache(self, query: Query) -> RecommendationList | Asked:
        """The list, where the ranking cache decides it; else the query in rows, for `score_many`."""
        version = self.cache.version(query)  # before the history is read
        request = self.resolve(query)
        asked = Asked(query, request, version, self)
        ranking = None if self._narrows(asked) else self.cache.get(query, request)
        answer = None if ranking is None else self.rankings.answer(query, request, ranking)
        if answer is None:
            self.cache.misses += 1
            return asked
        self.cache.hits += 1
        return answer

    def is_cached(self, query: Query) -> bool:
        """Whether the best items for a query are kept and nothing has happened since."""
        asked = self._asked(query)
        return not self._narrows(asked) and self.cache.holds(query, asked.request)

    def recommend(self, query: Query) -> RecommendationList:
        """The list for one query, scored now. Raises what `Recommender.recommend` raises."""
        [answer] = self.score_many([query])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def score_many(self, queries: Sequence[Query | Asked]) -> list[RecommendationList | Exception]:
        """Lists for many queries, scored together; keeps what may be asked for again."""
        self.disapproval.now(self.dataset)
        asked: dict[int, Asked] = {}
        out: dict[int, RecommendationList | Exception] = {}
        for place, one in enumerate(queries):
            try:
                asked[place] = self._asked(one)
            except Exception as error:
                out[place] = error
        narrow = {place: one for place, one in asked.items() if self._narrows(one)}
        wide = {place: one for place, one in asked.items() if place not in narrow}
        some = self._made(wide, self._best(list(wide.values())), out) | narrow
        self._made(some, self._best_allowed(list(some.values())), out)
        left = {place: one for place, one in asked.items() if place not in out}
        self._made(left, self._scored(list(left.values())) if left else [], out)
        return [out[place] for place in range(len(queries))]

    def _asked(self, query: Query | Asked) -> Asked:
        if isinstance(query, Asked):
            if query.by is self:
                return query
            query = query.query
        version = self.cache.version(query)  # before the history is read
        return Asked(query, self.resolve(query), version, self)

    def _made(
        self,
        asked: Mapping[int, Asked],
        found: Sequence[Scored | None],
        out: dict[int, RecommendationList | Exception],
    ) -> dict[int, Asked]:
        """Puts what can be made from some scores into `out`, by place; returns those for which they are not
        enough."""
        left: dict[int, Asked] = {}
        for (place, one), scores in zip(asked.items(), found, strict=True):
            if scores is None:
                continue
            try:
                answer = self._list(one, scores)
            except Exception as error:
                out[place] = error
                continue
            if answer is None:
                left[place] = one
            else:
                out[place] = answer
        return left

    def explained(
        self, query: Query, items: Sequence[Recommendation], served: Placement
    ) -> list[Recommendation]:
        """Items of a list that was made without explanations, explained. `served`: as the list says."""
        return self.lists.explained(self.resolve(query), items, served)

    def _narrows(self, asked: Asked) -> bool:
        """Whether a learned ranker has to know what the filters of a query leave."""
        return not self.large and asked.request.weights in self.base.rankers and is_narrow(asked.query)

    def _best(self, asked: Sequence[Asked]) -> list[Scored | None]:
        """For each request the rows with the best scores, where these are found faster than all scores."""
        if self.large:
            requests = [one.request for one in asked]
            return [Scored(*best) for best in best_of_requests(self.ranker, requests)]
        masks = [self._eligible(one.request) for one in asked]
        return [None if best is None else Scored(*best) for best in self._nominated(asked, masks)]

    def _eligible(self, request: ResolvedQuery) -> Mask | None:
        """bool (n_items,): what lists by the weights of a request may show at all; None: everything."""
        codes, own = self.view.codes, request.history
        if request.placement == "discover":
            return of_placement("discover", codes, own, NO_ROWS)
        return of_placement("for_you", codes, NO_ROWS, own) if request.weights == "unseen" else None

    def _best_allowed(self, asked: Sequence[Asked]) -> list[Scored | None]:
        """The same of what the filters of each query leave, where that was or may be little.

        Rules come later, but for a ranker, which has to know what may be shown.
        """
        masks = [self.lists.unruled(one.query, one.request) for one in asked]
        reranked: list[Mask | None] = [None] * len(asked)
        for at, one in enumerate(asked):
            if self._narrows(one):
                ruling = self.lists.ruling(one.query, one.request)
                reranked[at] = masks[at] if ruling is None else masks[at] & ~ruling.banned
        found, few = self._nominated(asked, masks, reranked), self.limits.nominated_items
        return [
            None if best is None else Scored(*best, allowed=True, whole=len(best[0]) < few) for best in found
        ]

    def _nominated(
        self, asked: Sequence[Asked], masks: Sequence[Mask | None], reranked: Sequence[Mask | None] = ()
    ) -> list[Best | None]:
        """`masks` bool (n_items,): what may be named for each request; `reranked`: what a ranker orders."""
        n = self.limits.nominated_items
        if 2 * n > self.dataset.n_items or not asked:
            return [None] * len(asked)

        def best(histories: Histories, weights: str, members: Sequence[int]) -> Sequence[Best | None]:
            own = [masks[at] for at in members], [reranked[at] for at in members] if reranked else ()
            found = self.ranker.nominated(histories, weights, n, *own)
            return [None] * len(members) if found is None else found

        return batched([one.request for one in asked], best)

    def _scored(self, asked: Sequence[Asked]) -> list[Scored]:
        """All rows that have a score, for each request."""
        out = []
        among = [
            self.lists.candidates(one.query, one.request) if self._narrows(one) else None for one in asked
        ]
        for scores in score_requests(self.ranker, [one.request for one in asked], among):
            rows = np.flatnonzero(~np.isnan(scores)).astype(np.int32)
            out.append(Scored(rows, scores[rows], whole=True, every=True))
        return out

    def _list(self, asked: Asked, found: Scored) -> RecommendationList | None:
        """The list; None where the best rows are not enough for it, and all scores are to be had."""
        query, request, version, _ = asked
        enough, best = False, (found.rows, found.scores)
        if not found.every:
            best = self.rankings.with_lifted(query, request, best)
        if not found.every or (self.cache.takes(query, request) and not self._narrows(asked)):
            ranking = self.rankings.ranking(query, best, version, whole=found.whole)
            if not found.allowed:
                self.cache.put(ranking, request)
            answer = self.rankings.answer(query, request, ranking)
            if answer is not None or not (self.large or found.every):
                return answer
            if self.large and query.depth > query.page_length:
                first = replace(query, n=query.page_length, offset=0, explain=False)
                enough = self.rankings.answer(first, request, ranking) is not None
        allowed = self.lists.candidates(query, request)
        scores, tiers = np.full(self.dataset.n_items, np.nan, np.float32), None
        scores[best[0]] = best[1]
        if self.large:
            rows, values, of_rows = widened(
                self.lists, query, request, best, allowed, enough=enough, limits=self.limits
            )
            scores[rows] = values
            if of_rows.any():
                tiers = np.zeros(self.dataset.n_items, np.int8)
                tiers[rows] = of_rows
        return self.lists.finish(query, request, scores, allowed, tiers)


def _moments(rows: Rows, days: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """int64 (n,): item and second in one number."""
    seconds = np.floor(days * SECONDS_PER_DAY + 1e-5).astype(np.int64)
    return rows.astype(np.int64) << 36 | seconds & (1 << 36) - 1
