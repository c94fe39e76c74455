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
from crossaisle.recommend.ranker import ModelRanker
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.request import ResolvedQuery, resolve
from crossaisle.recommend.rerank.beside import NeverWith, Opened
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.catalogue.browsing import BrowsedCatalogue
from crossaisle.serve.live.catalogue.overlay import CatalogueOverlay, grow
from crossaisle.serve.live.catalogue.overlay_view import contributions_of, similarity_of, view_of
from crossaisle.serve.live.catalogue.shown import ShownFields
from crossaisle.serve.live.derived import Derived
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.lists.asked import Answers, Asked, Scored, each
from crossaisle.serve.live.lists.batch_scores import BatchScores
from crossaisle.serve.live.lists.candidates import widened
from crossaisle.serve.live.lists.from_rankings import FromRankings
from crossaisle.serve.live.lists.ranker import LiveRanker
from crossaisle.serve.live.lists.ranking_cache import RankingCache
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
        histories.holders.add(self)
        self._settled = Derived[Histories](
            histories, most=limits.settled_events, size=lambda one: len(one.item)
        )
        """Histories that took some settling."""
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
        self.scores = BatchScores(self.lists, self.ranker, base.rankers, limits, large=self.large)

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
        if (kept := self._settled.of(user, own, gap)) is not None:
            return kept
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
            self._settled.keep(user, own, gap, settled)
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

    def forget(self, user: str) -> None:
        """Has the model keep nothing that it made of a user's events."""
        row = self.base.dataset.user_ids.get(user)
        if row >= 0 and self.live.is_forgotten(user):
            for part in self.base.blend.parts.values():
                part.forget([row])

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
                "nothing in the model resembles this item: until the next fit it appears in no list "
                "for a user or for another item"
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
        ranking = None if self.scores.narrows(asked) else self.cache.get(query, request)
        answer = None if ranking is None else self.rankings.answer(query, request, ranking)
        if answer is None:
            self.cache.misses += 1
            return asked
        self.cache.hits += 1
        return answer

    def is_cached(self, query: Query) -> bool:
        """Whether the best items for a query are kept and nothing has happened since."""
        asked = self._asked(query)
        return not self.scores.narrows(asked) and self.cache.holds(query, asked.request)

    def recommend(self, query: Query) -> RecommendationList:
        """The list for one query, scored now. Raises what `Recommender.recommend` raises."""
        [answer] = self.score_many([query])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def score_many(self, queries: Sequence[Query | Asked]) -> list[RecommendationList | Exception]:
        """Lists for many queries, scored together; keeps what may be asked for again.

        A query that cannot be answered gets its own error, and the others get their lists.
        """
        self.disapproval.now(self.dataset)
        out: Answers = {}
        asked = each(dict(enumerate(queries)), self._asked, out)
        try:
            self._score_together(asked, out)
        except Exception as error:
            left = [place for place in asked if place not in out]
            alone = len(queries) == 1
            out |= {place: error if alone else self.score_many([asked[place]])[0] for place in left}
        self._answered()
        return [out[place] for place in range(len(queries))]

    def _score_together(self, asked: Mapping[int, Asked], out: Answers) -> None:
        """Puts lists and errors into `out`, by place."""
        scores, found = self.scores, dict[int, Scored]()
        wide = {place: one for place, one in asked.items() if not scores.narrows(one)}
        self._make(wide, scores.best(list(wide.values())), found, out)
        left = {
            place: one
            for place, one in asked.items()
            if place in found or (place not in wide and place not in out)
        }
        allowed = each(left, scores.allowed, out)
        some = {place: left[place] for place in allowed}
        self._make(some, scores.best_allowed(list(some.values()), list(allowed.values())), found, out)
        left = {place: one for place, one in asked.items() if place not in out}
        among = each(left, scores.among, out)
        left = {place: left[place] for place in among}
        self._make(left, scores.every(list(left.values()), list(among.values())) if left else [], found, out)

    def _asked(self, query: Query | Asked) -> Asked:
        if isinstance(query, Asked):
            if query.by is self:
                return query
            query = query.query
        version = self.cache.version(query)  # before the history is read
        return Asked(query, self.resolve(query), version, self)

    def _make(
        self,
        asked: Mapping[int, Asked],
        scored: Sequence[Scored | None],
        found: dict[int, Scored],
        out: Answers,
    ) -> None:
        """Puts what can be made from some scores into `out`, and where they are not enough, the scores into
        `found`, by place."""
        some = dict(zip(asked, scored, strict=True))
        for place, one in asked.items():
            if (scores := some[place]) is None:
                continue
            before = found.get(place)
            try:
                scores = self.rankings.with_lifted(one.query, one.request, scores)
                scores = scores.after(None if one.is_whole else before)
                answer = self._list(one, scores, keep=before is None)
            except Exception as error:
                out[place] = error
                continue
            if answer is None:
                found[place] = self.rankings.sure(one.query, scores)
            else:
                out[place] = answer

    def explained(
        self, query: Query, items: Sequence[Recommendation], served: Placement
    ) -> list[Recommendation]:
        """Items of a list that was made without explanations, explained. `served`: as the list says."""
        found = self.lists.explained(self.resolve(query), items, served)
        self._answered()
        return found

    def _answered(self) -> None:
        """Nothing of whoever was asked about stays with the model longer than their lists take."""
        for part in self.base.blend.parts.values():
            part.answered()

    def _list(self, asked: Asked, found: Scored, *, keep: bool) -> RecommendationList | None:
        """The list; None where the best rows are not enough for it, and all scores are to be had.

        `keep`: whether these are the first rows that were found, the same whatever filters follow.
        """
        query, request, version, _ = asked
        enough, best, tiers = False, (found.rows, found.scores), found.tiers
        lifted = tiers is not None and bool(self.merchandising.lifting(query))
        if lifted and not found.every:
            return None  # rules move items among all that have a score
        kept = keep and self.cache.takes(query, request) and not self.scores.narrows(asked)
        if not found.every or kept or (tiers is not None and not lifted):
            ranking = self.rankings.ranking(query, found, version)
            if keep and not found.allowed:
                self.cache.put(ranking, request)
            answer = self.rankings.answer(query, request, ranking)
            if answer is not None or not (self.large or found.every):
                return answer
            if self.large and query.depth > query.page_length:
                first = replace(query, n=query.page_length, offset=0, explain=False)
                enough = self.rankings.answer(first, request, ranking) is not None
        allowed = self.lists.candidates(query, request)
        scores, of_items = np.full(self.dataset.n_items, np.nan, np.float32), None
        scores[found.rows] = found.scores
        rows = found.rows
        if self.large:
            rows, values, tiers = widened(
                self.lists, query, request, best, allowed, enough=enough, limits=self.limits
            )
            scores[rows] = values
        if tiers is not None and tiers.any():
            of_items = np.zeros(self.dataset.n_items, np.int8)
            of_items[rows] = tiers
        return self.lists.finish(query, request, scores, allowed, of_items)


def _moments(rows: Rows, days: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """int64 (n,): item and second in one number."""
    seconds = np.floor(days * SECONDS_PER_DAY + 1e-5).astype(np.int64)
    return rows.astype(np.int64) << 36 | seconds & (1 << 36) - 1
