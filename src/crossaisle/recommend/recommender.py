"""`Recommender`: a shop and its fitted models, from a query to its list; saved as one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.history import Floats, Histories
from crossaisle.data.merchandising.matching import check_names
from crossaisle.data.merchandising.rules import NO_RULES, RuleSet
from crossaisle.data.query import Placement, Query
from crossaisle.drift.since_fit import SinceFit
from crossaisle.drift.summary import Summary
from crossaisle.errors import ConfigError
from crossaisle.models.blend import CART_OF_USER, Blend, Part
from crossaisle.models.disapproval import Disapproval
from crossaisle.models.newcomers import Newcomers
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.ranking.reranker import Reranker
from crossaisle.models.scorers.cold_start.transferred import TransferredPopularity
from crossaisle.recommend.answer import RecommendationList
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.contributions import contributions_of
from crossaisle.recommend.durables import Durables, lasting_categories
from crossaisle.recommend.explain import Explanation
from crossaisle.recommend.limits import ListLimits
from crossaisle.recommend.lists.list_builder import ListBuilder
from crossaisle.recommend.merchandising.compiled import Merchandising
from crossaisle.recommend.rank import Ranking, rank_query, ranking
from crossaisle.recommend.ranker import ModelRanker, score_requests
from crossaisle.recommend.request import NO_ROWS, ResolvedQuery, is_narrow, of_unknown_deeds, resolve
from crossaisle.recommend.rerank.beside import NeverWith, Opened
from crossaisle.recommend.rerank.diversify import Similarity, similarity_of
from crossaisle.recommend.saving import load_fields, save_fields
from crossaisle.recommend.standing import standing

_SERVED: Mapping[str, Placement] = {"unseen": "for_you", CART_OF_USER: "goes_with"}
"""The placement of weights that have another name."""


class Recommender:
    """A shop and its fitted models: everything that is served, measured and saved."""

    def __init__(
        self,
        dataset: Dataset,
        blend: Blend,
        *,
        repeats: bool = False,
        tuned: bool = True,
        newcomers: Newcomers | None = None,
        lasting: Sequence[int] | None = None,
        histories: Histories | None = None,
        limits: ListLimits = ListLimits(),
        rankers: Mapping[str, LearnedRanker] | None = None,
        reference: Summary | None = None,
        rules: RuleSet = NO_RULES,
        since_fit: SinceFit | None = None,
        folder: Path | None = None,
    ) -> None:
        """`ConfigError` for parts that are not of this data set, or without a `Popularity` part.

        `repeats`: people buy the same items again here, so `for_you` does not leave out what they had.
        `tuned`: validation chose the weights; lists say so where it did not. `newcomers`: what items without
        an event are lent. `lasting`: codes of the leaf categories of which nothing is bought again
        (`Durables`), where they are known. `histories`: those of the data set, where they are at hand.
        `rankers`: learned ones, by placement. `reference`: what it learned from, for later events to be
        compared with. `rules`: a merchandiser's. `since_fit`: what was added. `folder`: loaded from.
        """
        for name, scorer in blend.parts.items():
            scorer.check_fitted()
            if scorer.item_ids_ != dataset.item_ids:
                raise ConfigError(f"part {name!r} was fitted on other items than data set {dataset.name!r}")
        self.dataset, self.blend, self.repeats, self.limits = dataset, blend, repeats, limits
        self.tuned, self.newcomers, self.rankers = tuned, newcomers, dict(rankers or {})
        self.reference, self.since_fit, self.folder = reference, since_fit, folder
        self.rules, self.merchandising = rules, Merchandising(rules, dataset)
        if lasting is None:
            lasting = lasting_categories(dataset) if repeats else ()
        self.lasting: tuple[int, ...] = tuple(lasting)
        reranker = Reranker(self.rankers, dataset) if rankers else None
        durables = Durables.of(dataset, self.lasting)
        self.ranker = ModelRanker(
            blend,
            dataset,
            tuned=tuned,
            newcomers=newcomers,
            durables=durables,
            reranker=reranker,
            disapproval=Disapproval.of(dataset),
        )
        self.view = CatalogueView.of(dataset, self.ranker.popularity)
        parts = [scorer for scorer, _ in self.parts("for_you")]
        self.similarity: Similarity = similarity_of(parts, dataset.taxonomy)
        self.lists = ListBuilder(
            self.view,
            self.ranker,
            self.similarity,
            contributions_of(dataset, self.ranker, self.merchandising.for_adults),
            limits,
            NeverWith(blend.rules, dataset),
            self.merchandising,
            Opened(blend.rules, dataset),
        )
        if histories is not None:
            self.histories = histories

    def with_rules(self, rules: RuleSet, where: str = "rules") -> Recommender:
        """The same models under other rules; `ConfigError` for one that names what the shop does not have.

        `where`: how its message begins.
        """
        check_names(rules, self.dataset, where)
        return self.replaced(rules=rules)

    def replaced(
        self,
        *,
        dataset: Dataset | None = None,
        blend: Blend | None = None,
        rankers: Mapping[str, LearnedRanker] | None = None,
        reference: Summary | None = None,
        rules: RuleSet | None = None,
        since_fit: SinceFit | None = None,
    ) -> Recommender:
        """A copy with something replaced; whatever was decided about the shop is kept.

        With other data, what is derived from them is derived again: which items are new and the scores they
        are lent, which categories last, the histories. `reference`: the summary of these data; without it
        there is none.
        """
        dataset, blend = dataset or self.dataset, blend or self.blend
        same = dataset is self.dataset
        return Recommender(
            dataset,
            blend,
            repeats=self.repeats,
            tuned=self.tuned,
            newcomers=self.newcomers if same else Newcomers.of(blend.parts.values(), dataset),
            lasting=self.lasting if same else None,
            histories=self.histories if same else None,
            limits=self.limits,
            rankers=self.rankers if rankers is None else rankers,
            reference=self.reference if same and reference is None else reference,
            rules=self.rules if rules is None else rules,
            since_fit=self.since_fit if same and since_fit is None else since_fit,
            folder=self.folder,
        )

    def with_weights(self, weights: Mapping[str, dict[str, float]]) -> Recommender:
        """The same models with other weights for some placements, for which no ranker is used then."""
        blend = Blend(parts=self.blend.parts, weights=self.blend.weights | dict(weights))
        kept = {name: one for name, one in self.rankers.items() if name not in weights}
        return self.replaced(blend=blend, rankers=kept)

    @cached_property
    def histories(self) -> Histories:
        """One history for each user row."""
        return self.dataset.histories().relative

    def log_of(self, row: int) -> Events:
        """All events of a user row as they came; none for -1."""
        log = self.dataset.log or self.dataset.events
        return log.take(slice(0, 0) if row < 0 else slice(*self._logged[row : row + 2].tolist()))

    @cached_property
    def _logged(self) -> npt.NDArray[np.int64]:
        """int64 (n_users + 1,): where the log of each user starts."""
        if self.dataset.log is None:
            return self.dataset.user_indptr
        counts = np.bincount(self.dataset.log.user, minlength=self.dataset.n_users)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def history_of(self, user: str) -> Histories:
        """A user's history as a batch of one, empty for an unknown user."""
        row = self.dataset.user_ids.get(user)
        return Histories.of([NO_ROWS]) if row < 0 else self.histories.take([row])

    # Scores

    def score_batch(self, histories: Histories, placement: str = "for_you") -> Floats:
        """float32 (n, n_items): what `recommend` ranks by, for histories (or carts) in rows.

        A history that is empty, or that no model can score, gets the popularity of every item.
        """
        return self.ranker.score_batch(histories, placement)

    def ruled_batch(self, histories: Histories, placement: str = "for_you") -> Floats:
        """As `score_batch`, weighed by a merchandiser's rules, and NaN for what they take out.

        Pins, and what rules keep apart within a list, are left to `recommend`.
        """
        scores = self.score_batch(histories, placement)
        if not self.rules:
            return scores
        served: Placement = _SERVED.get(placement, placement)  # type: ignore[arg-type]
        about_items = placement in ("goes_with", "similar")
        view, own = (histories, None) if about_items else (histories.carts, histories.own)
        carts = about_items or histories.in_view is not None
        out = scores.copy()
        for at, row in enumerate(scores):
            in_view = view.items_of(at) if carts else NO_ROWS
            ruling = self.merchandising.of(served, in_view, NO_ROWS if own is None else own.items_of(at))
            if ruling is not None:
                out[at] = ruling.weighed(row)
                out[at, ruling.banned] = np.nan
        return out

    def parts(self, placement: str) -> list[Part]:
        """The scorers behind a placement, with their weights."""
        return self.ranker.parts(placement)

    # Lists

    def recommend(self, query: Query) -> RecommendationList:
        """The list for one query.

        Raises `UnknownIdError` for an item in view or a category that the shop does not have.
        """
        return self.recommend_many([query])[0]

    def recommend_many(self, queries: Sequence[Query]) -> list[RecommendationList]:
        """A list for each query; together they cost less than one by one."""
        requests = [self.resolve(query) for query in queries]
        among = [
            self.lists.candidates(query, request)
            if request.weights in self.rankers and is_narrow(query)
            else None
            for query, request in zip(queries, requests, strict=True)
        ]
        scores = score_requests(self.ranker, requests, among)
        return [self.lists.finish(*each) for each in zip(queries, requests, scores, strict=True)]

    def rank(
        self,
        items: Sequence[str],
        *,
        user: str | None = None,
        history: Sequence[str] | None = None,
        **controls: Any,
    ) -> Ranking:
        """Ranks items that another system found for a user or a history, best first.

        Only rules and `controls` (fields of `Query`) leave items out: those in the history and those out of
        stock are ranked, too. `ConfigError` without an item.
        """
        own = None if history is None else tuple(history)
        query = rank_query(items, user=user, history=own, **controls)
        return ranking(query, self.resolve(query), self.recommend(query), self.lists)

    def resolve(self, query: Query) -> ResolvedQuery:
        """Ids to rows; `UnknownIdError` for an item in view that the shop does not have."""
        return resolve(
            query,
            self.dataset,
            self.history_of,
            repeats=self.repeats,
            asks_users=CART_OF_USER in self.blend.weights,
            stands_on=self.stands_on,
        )

    def stands_on(self, placement: Placement, weights: str, *, followed: bool = False) -> str:
        """A notice of what lists of a placement are based on; "" where the model has seen enough.

        `followed`: events since the fit are known.
        """
        asked = "trending" if placement == "trending" else weights
        n_events = len(self.dataset.events)
        return standing(lambda: self.parts(asked), n_events, tuned=self.tuned, followed=followed)

    def similar_items(self, item: str, n: int = 10) -> RecommendationList:
        """Substitutes for an item."""
        return self.recommend(Query(placement="similar", items=(item,), n=n))

    def goes_with(self, items: Sequence[str], n: int = 10) -> RecommendationList:
        """What complements a cart (or one item), from other categories."""
        return self.recommend(Query(placement="goes_with", items=tuple(items), n=n))

    def explain(
        self,
        user_or_history: str | Sequence[str],
        item: str,
        *,
        placement: Placement = "for_you",
        user: str | None = None,
    ) -> Explanation:
        """Why an item has its score for a user id, or for item ids: a history, or what is in view.

        `user`: for `goes_with`, the user for whom the list was made.
        `ConfigError` for a user without items in view with `goes_with` or `similar`, which are about these,
        and for `user` with another placement.
        """
        row, weights = self.dataset.item_ids.row(item), str(placement)
        if isinstance(user_or_history, str):
            if placement in ("goes_with", "similar"):
                raise ConfigError(
                    f"{placement} is explained for items in view: give the ids of the items, not a user"
                )
            histories = self.histories.take([self.dataset.user_ids.row(user_or_history)])
        elif user is not None:
            if placement != "goes_with":
                raise ConfigError(f"{placement} is explained for a user or for items, not for both")
            self.dataset.user_ids.row(user)
            request = self.resolve(Query(placement=placement, items=tuple(user_or_history), user=user))
            histories, weights = request.told, request.weights
        else:
            rows = self.dataset.item_ids.rows(user_or_history)
            histories = of_unknown_deeds(Histories.of([rows[rows >= 0]]))
        untold = self.merchandising.for_adults()
        return self.ranker.explain(self.dataset, histories, row, weights, placement, untold=untold)

    # On disk

    def save(self, folder: str | Path, *, half: bool = False) -> None:
        """Keeps everything in one folder with checksums; an old one there is replaced at the end.

        `half` stores sparse weights as float16.
        """
        save_fields(self, folder, self.category_mapping(), half=half)

    @classmethod
    def load(cls, folder: str | Path) -> Recommender:
        """Reads a saved folder, and the index beside it where there is one.

        `ArtifactError` names what is damaged, foreign or outdated.
        """
        return cls(**load_fields(folder))

    def category_mapping(self) -> list[dict[str, Any]]:
        """What each leaf category was taken for in another shop, where one was carried over; else empty."""
        found = (p for p in self.blend.parts.values() if isinstance(p, TransferredPopularity))
        return next((one.category_mapping(self.dataset) for one in found), [])

    def describe(self) -> dict[str, Any]:
        """What is inside, for people and logs; JSON-ready."""
        return {
            "shop": self.dataset.name,
            "items": self.dataset.n_items,
            "users": self.dataset.n_users,
            "events": len(self.dataset.events),
            "repeats": self.repeats,
            "tuned": self.tuned,
            "parts": {name: part.kind for name, part in self.blend.parts.items()},
            "weights": self.blend.weights,
            "rankers": sorted(self.rankers),
            "rules": len(self.rules),
            "since_fit": None if self.since_fit is None else self.since_fit._asdict(),
        }
