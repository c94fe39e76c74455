"""`Recommender`: query -> history -> scores -> candidates -> ranking -> policy -> explained list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle import artifact
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.query import Placement, Query
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError, shorten
from crossaisle.models.blend import CART_OF_USER, Blend
from crossaisle.models.persistence import load_blend, save_blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.answer import Recommendation, RecommendationList
from crossaisle.recommend.explain import Explanation, Part, category_name, explain
from crossaisle.recommend.rerank.arrange import arrange, relevance_kept
from crossaisle.recommend.rerank.diversify import SimilarItems, Similarity, path_similarity
from crossaisle.recommend.rerank.filters import Mask, in_categories, in_price_band, of_placement, rows_mask
from crossaisle.recommend.rerank.quota import Cap, Index, category_caps, fill
from crossaisle.recommend.rerank.share import auto_share, home_categories, is_cross, share_cap

KIND = "recommender"
_NO_ROWS: Rows = np.empty(0, np.int32)


T = TypeVar("T")
Best = tuple[Rows, Floats]
NOMINATED = 500
"""Items that every part of a blend nominates in a large shop."""
PREFIX = 1000
"""Lists are made from this many best candidates; from all of them only where that would change a list."""


@dataclass(frozen=True)
class ResolvedQuery:
    """A query in rows."""

    placement: Placement
    """The one that is served: `trending` where the asked one has no history to go by."""
    weights: str
    """Which weights of the blend: the placement, or `unseen`."""
    asked: Histories
    """What the models see: one history, or the items in view."""
    history: Rows
    """The user's own items, oldest first."""
    view: Rows
    notices: tuple[str, ...]


@dataclass(frozen=True)
class CrossShare:
    """What the cross-category share of a request goes by."""

    home: Rows
    share: float | None


class Recommender:
    """A shop and its fitted models: everything that is served, measured and saved."""

    def __init__(self, dataset: Dataset, blend: Blend, *, repeats: bool = False) -> None:
        """`repeats`: people buy the same again here, so `for_you` does not leave out what they had."""
        for name, scorer in blend.parts.items():
            scorer.check_fitted()
            if scorer.item_ids_ != dataset.item_ids:
                raise ConfigError(f"part {name!r} was fitted on other items than data set {dataset.name!r}")
        popular = [(name, part) for name, part in blend.parts.items() if isinstance(part, Popularity)]
        if not popular:
            raise ConfigError("a recommender needs a Popularity part: it serves users without a history")
        self.dataset, self.blend, self.repeats = dataset, blend, repeats
        name, part = popular[0]
        self._trending = Blend(parts={name: part}, weights={"trending": {name: 1.0}})
        self._popularity = np.nan_to_num(part.popularity_, nan=-1.0)
        self._codes = dataset.taxonomy.codes()
        self._prices = dataset.items["price"].cast(float).to_numpy().astype(np.float32)
        self._in_stock: Mask = dataset.items["in_stock"].fill_null(True).to_numpy().astype(bool)

    # Scores

    def score_batch(self, histories: Histories, placement: str = "for_you") -> Floats:
        """float32 (n, n_items): what `recommend` ranks by, for histories (or carts) in rows.

        A history that is empty, or that no model can score, gets the popularity of every item.
        """
        scores = self._blend(placement).score_rows(histories, placement)
        silent = (histories.lengths == 0) | np.isnan(scores).all(axis=1)
        if silent.any():
            scores[silent] = self._trending.score_rows(histories.take(np.flatnonzero(silent)), "trending")
        return scores

    def best_batch(
        self, histories: Histories, placement: str = "for_you", among: Mask | None = None
    ) -> list[Best]:
        """For each history, rows that hold about its best items and their exact scores, unordered.

        For shops too large to score every item for every question: each part nominates its best.
        `among` bool (n_items,): the items that may be found.
        """
        found = self._blend(placement).best(histories, placement, NOMINATED, among)
        for place, (_, scores) in enumerate(found):
            if np.isnan(scores).all():
                one = histories.take([place])
                found[place] = self._trending.best(one, "trending", NOMINATED, among)[0]
        return found

    def score_at(self, histories: Histories, rows: Sequence[Rows], placement: str) -> list[Floats]:
        """For each history the scores of some rows; NaN where no part can score."""
        return self._blend(placement).score_at(histories, rows, placement)

    def _blend(self, placement: str) -> Blend:
        return self._trending if placement == "trending" else self.blend

    def parts(self, placement: str) -> list[Part]:
        """The scorers behind a placement, with their weights."""
        return self._blend(placement).terms(placement)

    # Lists

    def recommend(self, query: Query) -> RecommendationList:
        """The list for one query.

        Raises `UnknownIdError` for an item in view or a category that the shop does not have.
        """
        return self.recommend_many([query])[0]

    def recommend_many(self, queries: Sequence[Query]) -> list[RecommendationList]:
        """A list for each query; together they cost less than one by one."""
        requests = [self.resolve(query) for query in queries]
        scores = self.score_requests(requests)
        return [self.finish(*each) for each in zip(queries, requests, scores, strict=True)]

    def score_requests(self, requests: Sequence[ResolvedQuery]) -> list[Floats]:
        """float32 (n_items,) for each request; those with the same weights are scored in one batch."""
        return _together(requests, self.score_batch)

    def best_of_requests(self, requests: Sequence[ResolvedQuery]) -> list[Best]:
        """What `best_batch` finds for each request."""
        return _together(requests, self.best_batch)

    def finish(
        self, query: Query, request: ResolvedQuery, scores: Floats, allowed: Mask | None = None
    ) -> RecommendationList:
        """From the scores of a request to its list. `allowed`: its `candidates`, where they are known."""
        notices = list(request.notices)
        if allowed is None:
            allowed = self.candidates(query, request)
        placement, weights = request.placement, request.weights
        found = np.flatnonzero(allowed & ~np.isnan(scores))
        if not len(found) and allowed.any():
            placement = weights = "trending"
            scores = self.score_batch(request.asked, "trending")[0]
            found = np.flatnonzero(allowed & ~np.isnan(scores))
            notices.append("no model can score these candidates: ranked by popularity")

        policy = self._policy(query, request)
        rows = self._ranked(found, scores[found], max(PREFIX, 3 * query.depth))
        chosen, exact = self._arrange(query, policy, rows, scores[rows])
        if not exact and len(rows) < len(found):
            rows = self._ranked(found, scores[found], len(found))
            chosen, _ = self._arrange(query, policy, rows, scores[rows])
        return self._answer(query, request, (placement, weights), policy, rows, scores[rows], chosen, notices)

    def _policy(self, query: Query, request: ResolvedQuery) -> CrossShare:
        at_home = request.history if len(request.history) else request.view
        home = home_categories(self._codes, at_home)
        share = None
        if query.cross_share is not None and len(home):
            auto = query.cross_share == "auto"
            share = auto_share(self._codes, at_home) if auto else float(query.cross_share)
        return CrossShare(home, share)

    def _answer(
        self,
        query: Query,
        request: ResolvedQuery,
        served: tuple[Placement, str],
        policy: CrossShare,
        rows: Rows,
        ranked: Floats,
        chosen: Index,
        notices: list[str],
    ) -> RecommendationList:
        """The list of some places of ranked rows."""
        if query.cross_share is not None and policy.share is None:
            notices.append("cross_share needs a history with known categories: the scores decide")
        if len(chosen) < query.depth:
            notices.append(f"{len(chosen)} of {query.depth}: no more items fit the placement and its filters")
        picked, home = rows[chosen], policy.home
        return RecommendationList(
            placement=query.placement,
            served=served[0],
            user=query.user,
            items=tuple(
                self._item(query.explain and rank > query.offset, request.asked, served, row, rank, score)
                for rank, (row, score) in enumerate(
                    zip(picked.tolist(), ranked[chosen].tolist(), strict=True), start=1
                )
            ),
            notices=tuple(notices),
            cross_share=float(is_cross(self._codes[picked], home).mean())
            if len(home) and len(picked)
            else None,
            relevance_kept=relevance_kept(ranked, chosen),
        )

    def _ranked(self, found: npt.NDArray[np.integer], scores: Floats, limit: int) -> Rows:
        """int32: the best `limit` of some item rows by their scores, and all that score like the last one.

        Equal scores: the popular item first, then the order of the catalogue.
        """
        if len(found) > limit:
            good = scores >= np.partition(scores, -limit)[-limit]
            found, scores = found[good], scores[good]
        order = np.lexsort((found, -self._popularity[found], -scores))
        return found[order].astype(np.int32)

    def _arrange(self, query: Query, policy: CrossShare, rows: Rows, ranked: Floats) -> tuple[Index, bool]:
        """Places of the list among ranked rows, and whether more rows could not change it."""
        hard, soft = self._caps(query, policy, rows)
        chosen = arrange(
            ranked,
            query.depth,
            hard=hard,
            soft=soft,
            diversity=query.diversity or 0.0,
            similar=lambda places: self._similarity(rows[places], rows[places]),
        )
        exact = len(chosen) == query.depth and (
            not soft or len(fill([], len(rows), query.depth, [*hard, *soft])) == query.depth
        )
        return chosen, exact

    def _caps(self, query: Query, policy: CrossShare, rows: Rows) -> tuple[list[Cap], list[Cap]]:
        """What some rows count against: quotas, which always hold, and the share."""
        soft = []
        if policy.share is not None:
            soft = [share_cap(is_cross(self._codes[rows], policy.home), policy.share, query.depth)]
        named = [
            (rows_mask(self.dataset.taxonomy.find(name), self.dataset.n_items)[rows], limit)
            for name, limit in query.quotas.items()
        ]
        return category_caps(self._codes[rows], query.quota, named), soft

    def similar_items(self, item: str, n: int = 10) -> RecommendationList:
        """Substitutes for an item."""
        return self.recommend(Query(placement="similar", items=(item,), n=n))

    def goes_with(self, items: Sequence[str], n: int = 10) -> RecommendationList:
        """What complements a cart (or one item), from other categories."""
        return self.recommend(Query(placement="goes_with", items=tuple(items), n=n))

    def explain(
        self, user_or_history: str | Sequence[str], item: str, *, placement: Placement = "for_you"
    ) -> Explanation:
        """Why an item has its score for a user id, or for item ids that stand for a history."""
        row = self.dataset.item_ids.row(item)
        if isinstance(user_or_history, str):
            histories = self._stored.take([self.dataset.user_ids.row(user_or_history)])
        else:
            rows = self.dataset.item_ids.rows(user_or_history)
            histories = Histories.of([rows[rows >= 0]])
        return explain(self.dataset, self.parts(placement), histories, row, placement)

    # From ids to rows

    @cached_property
    def _stored(self) -> Histories:
        return self.dataset.histories()

    def resolve(self, query: Query) -> ResolvedQuery:
        """Ids to rows; `UnknownIdError` for an item in view that the shop does not have."""
        view = np.array([self.dataset.item_ids.row(item) for item in query.items], np.int32)
        own, notices = self._history(query)
        placement = query.placement
        asked = own
        if placement in ("goes_with", "similar"):
            asked = Histories.of([view])
        elif placement != "trending" and not len(own.item):
            notices.append(f"{_why_empty(query, self.dataset)}: trending items instead")
            placement = "trending"
        weights: str = placement
        only_new = self.repeats and query.exclude_seen
        if placement == "for_you" and only_new:
            weights = "unseen"
        # Weights that were chosen for habits say little of what is new to the user: the cart says more.
        known = placement == "goes_with" and len(own.item) and CART_OF_USER in self.blend.weights
        if known and not only_new:
            asked, weights = own.with_view(asked), CART_OF_USER
        return ResolvedQuery(placement, weights, asked, own.item, view, tuple(notices))

    def _history(self, query: Query) -> tuple[Histories, list[str]]:
        """The history of a query as a batch of one, empty where there is none."""
        if query.history is not None:
            rows = self.dataset.item_ids.rows(query.history)
            unknown = [name for name, row in zip(query.history, rows, strict=True) if row < 0]
            notices = []
            if unknown:
                shown = ", ".join(map(shorten, unknown[:3])) + (", …" if len(unknown) > 3 else "")
                notices.append(f"{len(unknown)} unknown item(s) of the history passed over: {shown}")
            return Histories.of([rows[rows >= 0]]), notices
        row = -1 if query.user is None else self.dataset.user_ids.get(query.user)
        return (Histories.of([_NO_ROWS]) if row < 0 else self._stored.take([row])), []

    def candidates(self, query: Query, request: ResolvedQuery, rows: Rows | slice = slice(None)) -> Mask:
        """bool (n,): which of some item rows (all by default) the placement and its filters allow."""
        n = len(self._codes)
        allowed = of_placement(request.placement, self._codes, request.history, request.view, rows)
        if query.include_categories or query.exclude_categories:
            wanted, unwanted = query.include_categories, query.exclude_categories
            allowed &= in_categories(self.dataset.taxonomy, wanted, unwanted)[rows]
        if query.min_price is not None or query.max_price is not None:
            allowed &= in_price_band(self._prices[rows], query.min_price, query.max_price)
        if query.in_stock:
            allowed &= self._in_stock[rows]
        exclude_seen = query.exclude_seen
        if exclude_seen is None:
            exclude_seen = request.placement in ("for_you", "goes_with") and not self.repeats
        if exclude_seen:
            allowed &= ~rows_mask(request.history, n)[rows]
        return allowed

    @cached_property
    def _similarity(self) -> Similarity:
        for scorer, _ in self.parts("for_you"):
            if isinstance(scorer, SimilarItems):
                return scorer.item_similarity
        return path_similarity(self.dataset.taxonomy)

    @cached_property
    def _titles(self) -> pl.Series:
        return self.dataset.items["title"]

    def _item(
        self,
        told: bool,
        asked: Histories,
        served: tuple[Placement, str],
        row: int,
        rank: int,
        score: float,
    ) -> Recommendation:
        price = float(str(self._prices[row]))  # 4.89, where float() of a float32 is 4.889999866485596
        evidence = self._evidence((asked, served[1], served[0]), row) if told else None
        return Recommendation(
            rank=rank,
            item_id=self.dataset.item_ids.id(row),
            title=self._titles[row],
            category=category_name(self.dataset, row),
            price=None if np.isnan(price) else price,
            score=score,
            evidence=evidence,
        )

    def explained(
        self, query: Query, items: Sequence[Recommendation], served: Placement
    ) -> list[Recommendation]:
        """Places of a list that was made for a query without explanations, explained now.

        `served`: what the list says was served.
        """
        request = self.resolve(query)
        weights = request.weights if served == request.placement else "trending"
        asked = request.asked, weights, served
        rows = [self.dataset.item_ids.row(one.item_id) for one in items]
        return [
            replace(one, evidence=self._evidence(asked, row)) for one, row in zip(items, rows, strict=True)
        ]

    def _evidence(self, request: tuple[Histories, str, Placement], row: int) -> Explanation | None:
        """Why an item row stands in the list of a history, under some weights, for a placement."""
        asked, weights, placement = request
        return explain(self.dataset, self.parts(weights), asked, row, placement)

    # On disk

    def save(self, folder: str | Path, *, half: bool = False) -> None:
        """Keeps everything in one folder with checksums; an old one there is replaced at the end.

        `half` stores sparse weights as float16.
        """
        from crossaisle.data.storage import save_dataset

        with artifact.writing(folder, KIND) as fresh:
            save_dataset(self.dataset, fresh / "catalogue")
            blend = save_blend(self.blend, fresh / "parts", half=half)
            artifact.write_json(fresh / "config.json", {"repeats": self.repeats, "blend": blend})

    @classmethod
    def load(cls, folder: str | Path) -> Recommender:
        """Reads a saved folder; `ArtifactError` names what is damaged, foreign or outdated."""
        from crossaisle.data.storage import load_dataset

        path = artifact.check(folder, KIND)
        with artifact.reading(path):
            dataset = load_dataset(path / "catalogue")
            with artifact.reading(path / "config.json"):
                config = artifact.read_object(path / "config.json")
                described, repeats = config["blend"], config["repeats"]
            return cls(dataset, load_blend(described, path / "parts", dataset.item_ids), repeats=repeats)

    def describe(self) -> dict[str, Any]:
        """What is inside, for people and logs; JSON-ready."""
        return {
            "shop": self.dataset.name,
            "items": self.dataset.n_items,
            "users": self.dataset.n_users,
            "events": len(self.dataset.events),
            "repeats": self.repeats,
            "parts": {name: part.kind for name, part in self.blend.parts.items()},
            "weights": self.blend.weights,
        }


def _together(requests: Sequence[ResolvedQuery], score: Callable[[Histories, str], Iterable[T]]) -> list[T]:
    """One result per request, from one batch for each set of weights."""
    out: dict[int, T] = {}
    groups: dict[str, list[int]] = {}
    for place, request in enumerate(requests):
        groups.setdefault(request.weights, []).append(place)
    for weights, places in groups.items():
        batch = score(Histories.joined([requests[p].asked for p in places]), weights)
        out |= zip(places, batch, strict=True)
    return [out[place] for place in range(len(requests))]


def _why_empty(query: Query, dataset: Dataset) -> str:
    if query.history is not None:
        return "no known item in the history"
    if query.user is None:
        return "neither a user nor a history given"
    known = query.user in dataset.user_ids
    name = shorten(query.user)
    return f"user {name} has no events yet" if known else f"unknown user {name}"
