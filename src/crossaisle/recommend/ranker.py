"""`Ranker`: scores of items for histories. `ModelRanker` takes them from a fitted blend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.query import Placement
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError
from crossaisle.models.base import Scorer
from crossaisle.models.blend import Blend, Part
from crossaisle.models.dense.rough import Rough
from crossaisle.models.disapproval import Disapproval
from crossaisle.models.newcomers import LENDING, Newcomers
from crossaisle.models.ranking.pool import Masks
from crossaisle.models.ranking.reranker import Reranker
from crossaisle.models.scorers.cold_start.transferred import TransferredPopularity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.vectors.vector_model import VectorModel
from crossaisle.recommend.catalogue_order import CatalogueOrder
from crossaisle.recommend.durables import Durables
from crossaisle.recommend.explain import Explanation, as_new, explain
from crossaisle.recommend.limits import RETRIEVED
from crossaisle.recommend.request import ResolvedQuery
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.recommend.wording.names import item_name

POPULAR = 0.1
"""This share of the items is called popular."""
UNLIKE = 0.1
"""Of what a text or picture has in common with itself. Up to so much, two have in common by chance."""
T = TypeVar("T")
Best = tuple[Rows, Floats]
"""int32 (n,) item rows and their float32 (n,) scores."""


class Ranker(Protocol):
    """What scores items for a batch of histories, under the weights of a placement."""

    def score_batch(
        self, histories: Histories, placement: str = "for_you", among: Masks | None = None
    ) -> Floats:
        """float32 (n, n_items): scores of every item; NaN where it has none.

        `among` bool (n, n_items): what each request allows, where that is little; a learned ranker takes
        its candidates there.
        """
        ...

    def best_batch(
        self, histories: Histories, placement: str = "for_you", among: Mask | None = None
    ) -> list[Best]:
        """For each history about its best items, unordered. `among` bool (n_items,): the eligible ones."""
        ...

    def score_at(self, histories: Histories, rows: Sequence[Rows], placement: str) -> list[Floats]:
        """For each history the scores of some rows; NaN where an item has none."""
        ...

    def floor(self, placement: str) -> float:
        """What has no higher score has nothing to do with the items in view; -inf: every score counts."""
        ...


class ModelRanker:
    """Scores of a blend; popularity ranks for histories that are empty or that no part can score.

    Where a ranker was learned for a placement, its candidates share out the blend's scores in its order.
    """

    def __init__(
        self,
        blend: Blend,
        dataset: Dataset,
        *,
        tuned: bool = True,
        newcomers: Newcomers | None = None,
        durables: Durables | None = None,
        retrieved: int = RETRIEVED,
        reranker: Reranker | None = None,
        disapproval: Disapproval | None = None,
    ) -> None:
        """`ConfigError` where the blend has no `Popularity` part. `retrieved`: items per part of a blend.

        `durables`: what is not offered again to those who have it. `disapproval`: what the shop as a whole
        has turned against; None where that is nothing, or taken off elsewhere. `dataset`: what the blend was
        fitted on. Where nothing has happened, or too little for weights to be `tuned`, items without an event
        follow the popular ones in the order of the catalogue. `newcomers`: what these get of the scores of
        others.
        """
        parts = [(name, part) for name, part in blend.parts.items() if isinstance(part, Popularity)]
        if not parts:
            raise ConfigError("a recommender needs a Popularity part: it serves users without a history")
        name, self._popular = parts[0]
        self.blend, self.retrieved, self.reranker = blend, retrieved, reranker
        self.newcomers, self.durables, self.disapproval = newcomers, durables, disapproval
        first: dict[str, Scorer] = {name: self._popular}
        self._eventful = bool(len(dataset.events))
        if not (self._eventful and tuned):
            carried = (part for part in blend.parts.values() if isinstance(part, TransferredPopularity))
            elsewhere = next(carried, None)
            first["catalogue_order"] = CatalogueOrder.led_by(elsewhere).fit(dataset)
        self._trending = Blend(parts=first, weights={"trending": dict.fromkeys(first, 1.0)})

    @cached_property
    def popularity(self) -> Floats:
        """float (n_items,): -1 for an item without a popularity."""
        popularity: Floats = np.nan_to_num(self._popular.popularity_, nan=-1.0)
        return popularity

    @cached_property
    def is_popular(self) -> Mask:
        """bool (n_items,): the tenth of the items with an event that are bought most; none where most are
        bought as much as these."""
        known = self.popularity[self.popularity >= 0]
        if not len(known):
            return np.zeros(len(self.popularity), bool)
        among: Mask = self.popularity >= np.quantile(known, 1 - POPULAR, method="higher")
        return among & (self.popularity > np.median(known))

    def score_batch(
        self, histories: Histories, placement: str = "for_you", among: Masks | None = None
    ) -> Floats:
        """float32 (n, n_items): scores of every item; NaN where it has none."""
        if self.reranker is not None and self.reranks(placement):
            ranker, tables = self.reranker.rankers[placement], self.reranker.tables
            scores = ranker.rerank(self.blend, tables, histories, among)
        else:
            scores = self.blend_for(placement).score_rows(histories, placement)
        return self.settled(histories, scores, placement)

    def rough(self, histories: Histories, placement: str) -> Rough | None:
        """About the scores of the blend, which `settled` makes those of items. None where exact ones cost no
        more.
        """
        # A learned ranker takes candidates from single parts.
        if self.reranks(placement):
            return self.blend.rough(histories, placement, self.blend.by_words, fewer=False)
        return self.blend_for(placement).rough(histories, placement)

    def rerank_rough(
        self,
        histories: Histories,
        rough: Rough,
        placement: str,
        among: Sequence[Mask | None],
        best: Sequence[Rows],
    ) -> list[Rows] | None:
        """Gives the candidates of a learned ranker their scores; per history the rows that are exact now.

        `among`: for each history bool (n_items,), where its candidates are, or None. `best`: for each int32
        rows that are to be exact in any case. None where no ranker was learned for the placement.
        """
        if self.reranker is None or placement not in self.reranker.rankers:
            return None
        ranker, tables = self.reranker.rankers[placement], self.reranker.tables
        return ranker.rerank_rough(self.blend, tables, histories, rough, among, best)

    def settled(self, histories: Histories, scores: Floats, placement: str) -> Floats:
        """float32 (n, n_items): scores of the blend with what is lent, struck off and disapproved of.

        `scores` may be changed in place.
        """
        if self.newcomers is not None and self.lending(placement) != 1.0:
            scores = self.newcomers.fill(scores)
        scores = self.struck(histories, scores, placement)
        silent = (histories.lengths == 0) | np.isnan(scores).all(axis=1)
        if silent.any() and placement != "similar":
            scores[silent] = self._trending.score_rows(histories.take(np.flatnonzero(silent)), "trending")
        if self.disapproval is not None:
            self.disapproval.lower(scores, placement)
        return scores

    def struck(self, histories: Histories, scores: Floats, placement: str) -> Floats:
        """Without the scores of what a user has bought for good, in place."""
        return scores if self.durables is None else self.durables.strike(histories, scores, placement)

    def reranks(self, placement: str) -> bool:
        """Whether a ranker was learned for a placement."""
        return self.reranker is not None and placement in self.reranker.rankers

    def lenders(self, rows: Rows, placement: str) -> Rows:
        """int32: some rows, and those whose scores they may be lent."""
        if self.newcomers is None or self.lending(placement) == 1.0:
            return rows
        return self.newcomers.with_lenders(rows)

    def best_batch(
        self, histories: Histories, placement: str = "for_you", among: Mask | None = None
    ) -> list[Best]:
        """For each history about its best items, unordered: each part retrieves its own best.

        For shops that are too large to score every item for every query.
        """
        best = self.blend_for(placement).best(histories, placement, self.retrieved, among)
        if self.reranker is not None and placement in self.reranker.rankers:
            ranker, tables = self.reranker.rankers[placement], self.reranker.tables
            best = ranker.rerank_best(self.blend, tables, histories, best)
        if self.durables is not None:
            found, scored = [rows for rows, _ in best], [scores for _, scores in best]
            self.durables.strike_at(histories, found, scored, placement)
        for at, (_, scores) in enumerate(best):
            if np.isnan(scores).all() and placement != "similar":
                silent = histories.take([at])
                best[at] = self._trending.best(silent, "trending", self.retrieved, among)[0]
        if self.disapproval is not None:
            self.disapproval.lower_each([scores for _, scores in best], placement, [rows for rows, _ in best])
        return best

    def score_at(self, histories: Histories, rows: Sequence[Rows], placement: str) -> list[Floats]:
        """For each history the scores of some rows; NaN where no part can score."""
        scores = self.blend_for(placement).score_at(histories, rows, placement)
        if self.disapproval is not None:
            self.disapproval.lower_each(scores, placement, rows)
        if self.durables is not None:
            self.durables.strike_at(histories, list(rows), scores, placement)
        return scores

    def floor(self, placement: str) -> float:
        """What has no higher score has nothing to do with the items in view; -inf: every score counts.

        For `similar`, and for `goes_with` before the first event: with events, popularity is in its scores.
        """
        if placement != "similar" and (placement != "goes_with" or self._eventful):
            return -np.inf
        alike = sum(weight for part, weight in self.parts(placement) if isinstance(part.plain, VectorModel))
        return UNLIKE * alike

    def lending(self, placement: str) -> float:
        """How many times what a new item is lent counts: `LENDING` where people's behaviour ranks, else 1."""
        if placement == "trending" or not any(s.plain.reads_events for s, _ in self.parts(placement)):
            return 1.0
        return LENDING

    def explain(
        self,
        dataset: Dataset,
        context: Histories,
        row: int,
        weights: str,
        placement: Placement,
        known_as: Mapping[int, int] | None = None,
        *,
        lost: float | None = None,
        untold: Mask | None = None,
    ) -> Explanation:
        """Why an item has its score, for a batch of one history: its own, or the one it is lent.

        `lost`: the share that it loses because others have turned against it; by default the model's.
        `untold` bool (n_items,): items that the sentence does not name.
        """
        parts = self.parts(weights)
        popular = bool(self.is_popular[row])
        if lost is None:
            lost = 0.0 if self.disapproval is None else self.disapproval.lost(row, weights)
        said: dict[str, Any] = {"known_as": known_as, "lost": lost, "untold": untold}
        own = explain(dataset, parts, context, row, placement, popular=popular, **said)
        lends = self.newcomers is not None and self.lending(weights) != 1.0
        lent = self.newcomers.lenders(row) if lends and self.newcomers else []
        if not lent:
            return own
        other = explain(dataset, parts, context, row, placement, stand_ins=lent, **said)
        if own.score >= other.score:
            return own
        like = lent[0][0]
        return as_new(other, "" if untold is not None and untold[like] else item_name(dataset, like))

    def blend_for(self, placement: str) -> Blend:
        """The blend behind a placement: popularity alone for `trending`."""
        return self._trending if placement == "trending" else self.blend

    def parts(self, placement: str) -> list[Part]:
        """The scorers behind a placement, with their weights."""
        return self.blend_for(placement).terms(placement)


def score_requests(
    ranker: Ranker, requests: Sequence[ResolvedQuery], among: Sequence[Mask | None] | None = None
) -> list[Floats]:
    """float32 (n_items,) for each request; those with the same weights are scored in one batch.

    `among`: for each request bool (n_items,), what it allows, or None where that is most of the shop.
    """

    def score(histories: Histories, weights: str, members: Sequence[int]) -> Floats:
        masks = [None if among is None else among[at] for at in members]
        some = next((mask for mask in masks if mask is not None), None)
        if some is None:
            return ranker.score_batch(histories, weights)
        everything = np.ones_like(some)
        stacked = np.stack([everything if mask is None else mask for mask in masks])
        return ranker.score_batch(histories, weights, stacked)

    return batched(requests, score)


def best_of_requests(ranker: Ranker, requests: Sequence[ResolvedQuery]) -> list[Best]:
    """What `best_batch` retrieves for each request."""
    return batched(requests, lambda histories, weights, _: ranker.best_batch(histories, weights))


def batched(
    requests: Sequence[ResolvedQuery], score: Callable[[Histories, str, Sequence[int]], Iterable[T]]
) -> list[T]:
    """One result per request, from one batch for each set of weights."""
    out: dict[int, T] = {}
    groups: dict[str, list[int]] = {}
    for at, request in enumerate(requests):
        groups.setdefault(request.weights, []).append(at)
    for weights, members in groups.items():
        batch = score(Histories.joined([requests[at].context for at in members]), weights, members)
        out |= zip(members, batch, strict=True)
    return [out[at] for at in range(len(requests))]
