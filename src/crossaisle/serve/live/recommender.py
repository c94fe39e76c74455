"""`LiveRecommender`: a recommender that follows events, prices, stock and new items while it serves."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle.data.history import Floats, Histories
from crossaisle.data.query import Placement, Query
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Rows
from crossaisle.models.base import LARGE
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.explain import Explanation, item_name
from crossaisle.recommend.recommender import Best, Recommender, ResolvedQuery
from crossaisle.recommend.rerank.diversify import Similarity
from crossaisle.recommend.rerank.filters import Mask, rows_mask
from crossaisle.serve.live.candidates import least, widened
from crossaisle.serve.live.catalogue import CatalogueOverlay, grow
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.pictures import eyes
from crossaisle.serve.live.trending import Trending
from crossaisle.serve.store.engine import Picture
from crossaisle.serve.store.store import NO_PICTURES

KEPT = 1000
"""Best items kept per person. A list that needs more than these is made from all scores anew."""


@dataclass(frozen=True)
class Ranking:
    """The best items for a person (or beside an item), before any filter."""

    rows: Rows
    """int32 (n,), best first."""
    scores: Floats
    """float32 (n,)"""
    whole: bool
    """Whether these are all items that have a score."""
    version: tuple[int, int]
    query: Query
    """One that it answers, to ask it again of another model."""


def _moments(rows: Rows, days: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """int64 (n,): item and second in one number."""
    seconds = np.floor(days * SECONDS_PER_DAY + 1e-5).astype(np.int64)
    return rows.astype(np.int64) << 36 | seconds & (1 << 36) - 1


class LiveRecommender(Recommender):
    """A saved recommender and what changed since: nothing here changes its scores of known items."""

    def __init__(
        self,
        base: Recommender,
        histories: LiveHistories,
        changed: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        before: LiveRecommender | None = None,
        pictures: Mapping[str, Picture] = NO_PICTURES,
        kept_users: int = 5120,
    ) -> None:
        """`changed`: items that differ from the model's catalogue, by id. `before`: the state before the
        last change, for what need not be made again. `pictures`: of changed items.
        """
        # Checked and made for the base once; a change of one item must not go through a million again.
        self.base, self.blend, self.repeats = base, base.blend, base.repeats
        self._trending, self._popularity = base._trending, base._popularity
        self.large = base.dataset.n_items > LARGE
        """Whether the best items are searched for, in place of scoring all."""
        self.live = histories
        self._kept: OrderedDict[tuple[str, str, str], Ranking] = OrderedDict()
        self._kept_users = kept_users
        self._lock = threading.Lock()
        self.hits = self.misses = 0
        same_base = before is not None and before.base is base
        self.trending: Trending = before.trending if before and same_base else Trending(base, histories)
        self._last_day = self.trending.end
        self.pictures = pictures
        same = before.grown if before and same_base else None
        self.grown: CatalogueOverlay = grow(base, changed or {}, same, pictures)
        if before and same_base:
            self._kept = self._still_right(before)
        self.dataset = self.grown.dataset
        self._codes = self.dataset.taxonomy.codes()
        self._prices = self.grown.prices
        self._in_stock = self.grown.in_stock
        self._popularity = np.concatenate(
            [self._popularity, np.full(self.grown.n_new, -1.0, self._popularity.dtype)]
        )

    # Histories

    def _history(self, query: Query) -> tuple[Histories, list[str]]:
        if query.user is None or query.history is not None:
            return super()._history(query)
        return self.history_of(query.user), []

    def history_of(self, user: str) -> Histories:
        """The model's events of a person and the live ones, as a batch of one."""
        row = -1 if self.live.is_forgotten(user) else self.dataset.user_ids.get(user)
        own = self.live.of(user)
        if row < 0 and not own.items:
            return Histories.of([[]])
        past = self._stored.take([row]) if row >= 0 else Histories.of([[]], now=[self._last_day])
        if not own.items:
            return past
        rows = self.dataset.item_ids.rows(own.items)
        # Nobody did anything between the model's end and the first event since: no time passed there.
        days = self.live.gap_after(self._last_day).closed(np.array(own.days))
        known = rows >= 0
        if len(past.item) and days.min() <= self._last_day + 1e-5:
            # A model that was fitted on events of the store: these do not count twice.
            known &= ~np.isin(_moments(rows, days), _moments(past.item, past.day))
        item = np.concatenate([past.item, rows[known]])
        day = np.concatenate([past.day, days[known]])
        now = np.fmax(past.now, np.fmax.reduce(day, initial=np.nan))
        return Histories(np.array([0, len(item)]), item, day, past.user, now)

    @property
    def _stored(self) -> Histories:
        return self.base._stored

    def candidates(self, query: Query, request: ResolvedQuery, rows: Rows | slice = slice(None)) -> Mask:
        """As of the model, without items that were taken out of the shop."""
        allowed = super().candidates(query, request, rows)
        allowed &= self.grown.listed[rows]
        return allowed

    @cached_property
    def _similarity(self) -> Similarity:
        of_old = self.base._similarity

        def similar(left: Rows, right: Rows) -> Floats:
            a, b = (
                np.array([self.grown.stand_in(row) or 0 for row in rows.tolist()]) for rows in (left, right)
            )
            return of_old(a.astype(np.int32), b.astype(np.int32))

        return similar

    # Scores

    def score_batch(self, histories: Histories, placement: str = "for_you") -> Floats:
        """float32 (n, n_items); a new item stands in with the scores of the items it resembles."""
        if self._follows(placement):
            return np.tile(self._popular_now[0], (len(histories), 1))
        return self.grown.extend(super().score_batch(self.grown.in_old_rows(histories), placement))

    def _follows(self, placement: str) -> bool:
        """Whether live events decide about a placement in place of the model."""
        return placement == "trending" and not self.trending.silent

    @property
    def _popular_now(self) -> tuple[Floats, Rows]:
        """Scores of all items, and rows of the best ones."""
        of_model = super().score_batch
        nobody = Histories.of([[]])
        return self.trending.scores(self.dataset, lambda: self.grown.extend(of_model(nobody, "trending"))[0])

    def best_batch(
        self, histories: Histories, placement: str = "for_you", among: Mask | None = None
    ) -> list[Best]:
        """As the model finds them, with new items beside those that they resemble."""
        if self._follows(placement):
            scores, rows = self._popular_now
            rows = rows if among is None else np.flatnonzero(among & ~np.isnan(scores)).astype(np.int32)
            return [(rows, scores[rows])] * len(histories)
        asked = self.grown.in_old_rows(histories)
        found = super().best_batch(asked, placement, self.grown.with_sources(among))
        wanted = [self.grown.resembling(rows) for rows, _ in found]
        if among is not None:
            found = [(rows[among[rows]], values[among[rows]]) for rows, values in found]
            wanted = [rows[among[rows]] for rows in wanted]
        if not any(map(len, wanted)):
            return found
        values_of_new = self.score_at(asked, wanted, placement)
        return [
            (np.concatenate([rows, new]), np.concatenate([values, more]))
            for (rows, values), new, more in zip(found, wanted, values_of_new, strict=True)
        ]

    def score_at(self, histories: Histories, rows: Sequence[Rows], placement: str) -> list[Floats]:
        """Scores of some rows, new items among them."""
        if self._follows(placement):
            return [self._popular_now[0][at] for at in rows]
        asked = self.grown.in_old_rows(histories)
        old = super().score_at(asked, [self.grown.sources(at) for at in rows], placement)
        return [self.grown.at(at, scores) for at, scores in zip(rows, old, strict=True)]

    def explain(self, *args: Any, **more: Any) -> Explanation:
        """As the model explains it; items put in since have no explanation of their own."""
        return self.base.explain(*args, **more)

    def _evidence(self, request: tuple[Histories, str, Placement], row: int) -> Explanation | None:
        asked, weights, placement = request
        old = self.grown.stand_in(row)
        if old is None:
            return None
        found = super()._evidence((self.grown.in_old_rows(asked), weights, placement), old)
        if found is None or old == row:
            return found
        name = item_name(self.dataset, old)
        return replace(
            found, item_id=self.dataset.item_ids.id(row), text=f"New, and like {name}. {found.text}"
        )

    def notices_of(self, row: int) -> list[str]:
        """What to know about an item that was put in."""
        item, shown = self.dataset.item_ids.id(row), False
        if item in self.pictures or (row >= self.grown.n_old and self.dataset.items["image"][row]):
            shown = True
        notices = []
        if shown and eyes(self.base) is None:
            notices.append("the served model looks at no pictures")
        elif shown and row < self.grown.n_old:
            notices.append("an item of the model: its new picture counts when the model is fitted again")
        if row >= self.grown.n_old and not self.grown.links[row - self.grown.n_old].nnz:
            notices.append(
                "no item of the model is like this one: until it is fitted again, no list for a person or "
                "beside an item has it"
            )
        return notices

    # Lists

    def browse(self, words: str, category: str | None, n: int, offset: int) -> tuple[list[int], int]:
        """Rows of listed items whose titles hold all words, popular ones first, and how many there are."""
        fits = self.grown.listed.copy()
        if category:
            fits &= rows_mask(self.dataset.taxonomy.find(category), len(fits))
        for word in dict.fromkeys(words.lower().split()):
            fits &= self._lower_titles.str.contains(word, literal=True).to_numpy()
        rows = self._by_popularity[fits[self._by_popularity]]
        return rows[offset : offset + n].tolist(), len(rows)

    @cached_property
    def _by_popularity(self) -> Rows:
        return np.argsort(-self._popularity, kind="stable").astype(np.int32)

    @cached_property
    def _lower_titles(self) -> pl.Series:
        return self._titles.str.to_lowercase()

    def quick(self, query: Query) -> RecommendationList | ResolvedQuery:
        """The list, where what is kept in memory decides it; else the request, to be scored."""
        request = self.resolve(query)
        key = self._key(query, request)
        ranking = None if key is None else self._kept.get(key)
        if ranking is None or key is None or self._aged(ranking, query, request):
            self.misses += 1
            return request
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
        answer = self._from_ranking(query, request, ranking)
        if answer is None:
            self.misses += 1
            return request
        self.hits += 1
        return answer

    def keeps(self, query: Query) -> bool:
        """Whether the best items for a query are kept and nothing has happened since."""
        request = self.resolve(query)
        key = self._key(query, request)
        ranking = None if key is None else self._kept.get(key)
        return ranking is not None and not self._aged(ranking, query, request)

    def slow(self, queries: Sequence[Query]) -> list[RecommendationList | Exception]:
        """Lists for many queries, scored together; keeps what may be asked for again."""
        out: list[RecommendationList | Exception] = []
        versions = [self._version(query) for query in queries]  # before the histories are read
        requests: list[ResolvedQuery | Exception] = []
        for query in queries:
            try:
                requests.append(self.resolve(query))
            except Exception as error:
                requests.append(error)
        valid = [r for r in requests if isinstance(r, ResolvedQuery)]
        found = iter(self.best_of_requests(valid) if self.large else self._scored(valid))
        for query, request, version in zip(queries, requests, versions, strict=True):
            if isinstance(request, Exception):
                out.append(request)
                continue
            try:
                out.append(self._list(query, request, next(found), version))
            except Exception as error:
                out.append(error)
        return out

    def _scored(self, requests: Sequence[ResolvedQuery]) -> list[Best]:
        """All rows that have a score, for each request."""
        out = []
        for scores in self.score_requests(requests):
            rows = np.flatnonzero(~np.isnan(scores)).astype(np.int32)
            out.append((rows, scores[rows]))
        return out

    def _list(
        self, query: Query, request: ResolvedQuery, found: Best, version: tuple[int, int]
    ) -> RecommendationList:
        key = self._key(query, request)
        if key is not None or self.large:
            ranking = self._ranking(query, found, version)
            if key is not None:
                with self._lock:
                    self._kept[key] = ranking
                    self._kept.move_to_end(key)
                    while len(self._kept) > self._kept_users:
                        self._kept.popitem(last=False)
            answer = self._from_ranking(query, request, ranking)
            if answer is not None:
                return answer
        allowed = self.candidates(query, request)
        return self.finish(query, request, self._all_scores(query, request, found, allowed), allowed)

    def _ranking(self, query: Query, found: Best, version: tuple[int, int]) -> Ranking:
        rows, scores = found
        known = ~np.isnan(scores)
        rows, scores = rows[known], scores[known]
        order = self._ranked(rows, scores, KEPT)
        place = np.searchsorted(rows, order)  # rows are ascending
        return Ranking(order, scores[place], not self.large and len(order) == len(rows), version, query)

    def _all_scores(self, query: Query, request: ResolvedQuery, found: Best, allowed: Mask) -> Floats:
        """float32 (n_items,): NaN for what has no score, or will not be in the list of a large shop."""
        if self.large:
            found = widened(self, query, request, found, allowed)
        scores = np.full(self.dataset.n_items, np.nan, np.float32)
        scores[found[0]] = found[1]
        return scores

    def kept_queries(self) -> list[Query]:
        """What was asked of late and is kept, the latest first."""
        with self._lock:
            return [ranking.query for ranking in reversed(self._kept.values())]

    def _from_ranking(
        self, query: Query, request: ResolvedQuery, ranking: Ranking
    ) -> RecommendationList | None:
        """The list out of the best items kept; None where other items could be in it, too."""
        fits = self.candidates(query, request, ranking.rows)
        rows, scores = ranking.rows[fits], ranking.scores[fits]
        if not len(rows) or (not ranking.whole and len(rows) < least(query, large=self.large)):
            return None
        policy = self._policy(query, request)
        chosen, exact = self._arrange(query, policy, rows, scores)
        if not exact and not ranking.whole:
            return None
        served = (request.placement, request.weights)
        return self._answer(query, request, served, policy, rows, scores, chosen, list(request.notices))

    def _still_right(self, before: LiveRecommender) -> OrderedDict[tuple[str, str, str], Ranking]:
        """What `before` kept, without what new items change. Prices and stock are looked up, not kept."""
        changed = self.grown.changed_since(before.grown)
        with before._lock:
            kept = before._kept.copy()
        if changed is None:
            return OrderedDict()
        ids, rows = changed
        if not ids:
            return kept

        def right(key: tuple[str, str, str], ranking: Ranking) -> bool:
            # A new item has a share of its neighbours' scores: it is not among the best where none of them
            # is, unless scores are below 0, of which a share is more.
            lowest = ranking.scores[-1] if len(ranking.rows) else 0.0
            if rows[ranking.rows].any() or not (ranking.whole or lowest >= 0):
                return False
            placement, kind, name = key
            if placement == "trending":
                return False  # what is new may sell at once
            return ids.isdisjoint(self.live.of(name).items) if kind == "user" else name not in ids

        return OrderedDict((key, ranking) for key, ranking in kept.items() if right(key, ranking))

    def _version(self, query: Query) -> tuple[int, int]:
        """How much has happened: to the person, and to what is popular."""
        own = 0 if query.user is None else self.live.of(query.user).version
        return own, self.live.trends.tick()

    def _aged(self, ranking: Ranking, query: Query, request: ResolvedQuery) -> bool:
        """Whether something has happened since that concerns it."""
        concerned = int(request.placement == "trending")
        return ranking.version[concerned] != self._version(query)[concerned]

    def _key(self, query: Query, request: ResolvedQuery) -> tuple[str, str, str] | None:
        if request.placement == "trending":
            return "trending", "", ""  # the same for everybody: what a person has seen is filtered later
        if request.asked.in_view is not None:
            return None  # one user with one cart: not asked again soon
        if request.placement in ("goes_with", "similar"):
            return (request.weights, "item", query.items[0]) if len(query.items) == 1 else None
        if query.user is None or query.history is not None:
            return None
        return request.weights, "user", query.user
