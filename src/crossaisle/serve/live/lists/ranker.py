"""`LiveRanker`: scores of a model, with what was put into the shop since and what is popular now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows
from crossaisle.models.dense.put import put
from crossaisle.models.dense.rough import Rough
from crossaisle.models.ranking.pool import Masks
from crossaisle.models.topk import best_rows, union
from crossaisle.recommend.ranker import Best, ModelRanker
from crossaisle.recommend.rerank.filters import Mask
from crossaisle.serve.live.catalogue.overlay import CatalogueOverlay
from crossaisle.serve.live.shopwide.disapproval import LiveDisapproval
from crossaisle.serve.live.shopwide.trending import Trending


class LiveRanker:
    """Known items keep the scores of the model. A new item gets those of the items that it resembles."""

    def __init__(
        self,
        model: ModelRanker,
        overlay: CatalogueOverlay,
        trending: Trending,
        disapproval: LiveDisapproval,
    ) -> None:
        """`model`: takes no disapproval off its scores, because `disapproval` does."""
        self._model, self._overlay, self._trending = model, overlay, trending
        self._disapproval = disapproval

    def score_batch(
        self, histories: Histories, placement: str = "for_you", among: Masks | None = None
    ) -> Floats:
        """float32 (n, n_items): scores of every item; NaN where it has none."""
        if self._counts_decide(placement):
            return np.tile(self._popular_now[0], (len(histories), 1))
        context = self._overlay.in_old_rows(histories)
        sources = [self._overlay.with_sources(mask) for mask in ([] if among is None else among)]
        known = np.stack([mask for mask in sources if mask is not None]) if sources else None
        return self._extended(self._model.score_batch(context, placement, known), placement)

    def _extended(self, scores: Floats, placement: str) -> Floats:
        """float32 (n, n_items): with those of new items, and less what the shop has turned against."""
        scores = self._overlay.extend(scores, self._model.lending(placement))
        if (disapproval := self._disapproval.now(self._overlay.dataset)) is not None:
            disapproval.lower(scores, placement)
        return scores

    def nominated(
        self,
        histories: Histories,
        placement: str,
        k: int,
        among: Sequence[Mask | None],
        reranked: Sequence[Mask | None] = (),
    ) -> list[Best] | None:
        """For each history its `k` best items by rough scores, ascending, with their exact scores.

        Of the best third of them hardly ever one is missed. `among` bool (n_items,): the items that may be
        named, where these are not all. `reranked`: the same of a learned ranker's candidates. None where
        exact scores of all items cost no more.
        """
        if self._counts_decide(placement):
            return None
        context = self._overlay.in_old_rows(histories)
        rough = self._model.rough(context, placement)
        if rough is None:
            return None

        if self._plain(rough, placement):
            return self._nominated_of_plain(context, rough, placement, k, among)

        def settled(scores: Floats) -> Floats:
            found = self._extended(self._model.settled(context, scores, placement), placement)
            _hide(found, among)
            return found

        rows = best_rows(settled(rough.scores.copy()), k)
        sources = [self._overlay.with_sources(mask) for mask in reranked]
        known = [self._model.lenders(self._overlay.sources(best), placement) for best in rows]
        ranked = self._model.rerank_rough(context, rough, placement, sources, known)
        for at, best in enumerate([] if ranked is not None else known):
            rough.scores[at, best] = rough.exact(at, best)
        scores = settled(rough.scores)
        if ranked is not None and (self._overlay.n_new or self._model.newcomers is not None):
            rows = best_rows(scores, k)  # it puts others first, and so what is lent their scores
        elif ranked is not None:
            rows = [union(both) for both in zip(rows, ranked, strict=True)]
        return [(best, scores[at, best]) for at, best in enumerate(rows)]

    def _plain(self, rough: Rough, placement: str) -> bool:
        """Whether every item keeps the score that the blend gives it, or loses it."""
        lent = self._overlay.n_new or self._model.newcomers is not None
        return not lent and rough.whole and not self._model.reranks(placement)

    def _nominated_of_plain(
        self, histories: Histories, rough: Rough, placement: str, k: int, among: Sequence[Mask | None]
    ) -> list[Best]:
        """`nominated`, where only what is nominated has to be looked at twice."""
        scores = self._extended(self._model.struck(histories, rough.scores, placement), placement)
        _hide(scores, among)
        rows = best_rows(scores, k)
        found = [rough.exact(at, best) for at, best in enumerate(rows)]
        # Of what was struck off, nothing is among these.
        self._lower(found, placement, rows)
        return list(zip(rows, found, strict=True))

    def best_batch(
        self, histories: Histories, placement: str = "for_you", among: Mask | None = None
    ) -> list[Best]:
        """As the model retrieves them, with new items beside those that they resemble."""
        if self._counts_decide(placement):
            scores, rows = self._popular_now
            rows = rows if among is None else np.flatnonzero(among & ~np.isnan(scores)).astype(np.int32)
            return [(rows, scores[rows])] * len(histories)
        context = self._overlay.in_old_rows(histories)
        best = self._model.best_batch(context, placement, self._overlay.with_sources(among))
        self._lower([scores for _, scores in best], placement, [rows for rows, _ in best])
        new = [self._overlay.resembling(rows) for rows, _ in best]
        if among is not None:
            best = [(rows[among[rows]], scores[among[rows]]) for rows, scores in best]
            new = [rows[among[rows]] for rows in new]
        if not any(map(len, new)):
            return best
        scores_of_new = self.score_at(context, new, placement)
        return [
            (np.concatenate([rows, more]), np.concatenate([scores, more_scores]))
            for (rows, scores), more, more_scores in zip(best, new, scores_of_new, strict=True)
        ]

    def score_at(self, histories: Histories, rows: Sequence[Rows], placement: str) -> list[Floats]:
        """For each history the scores of some rows, new items among them; NaN where an item has none."""
        if self._counts_decide(placement):
            return [self._popular_now[0][at] for at in rows]
        context = self._overlay.in_old_rows(histories)
        scores = self._model.score_at(context, [self._overlay.sources(at) for at in rows], placement)
        lending = self._model.lending(placement)
        found = [
            self._overlay.at(at, of_sources, lending) for at, of_sources in zip(rows, scores, strict=True)
        ]
        self._lower(found, placement, rows)
        return found

    def floor(self, placement: str) -> float:
        """What has no higher score has nothing to do with the items in view; -inf: every score counts."""
        return self._model.floor(placement)

    def _lower(self, scores: Sequence[Floats], placement: str, rows: Sequence[Rows]) -> None:
        if (disapproval := self._disapproval.now(self._overlay.dataset)) is not None:
            disapproval.lower_each(scores, placement, rows)

    def _counts_decide(self, placement: str) -> bool:
        """Whether live events, and not the model, say what is popular."""
        return placement == "trending" and not self._trending.silent

    @property
    def _popular_now(self) -> tuple[Floats, Rows]:
        """Scores of all items, and rows of the best ones."""
        return self._trending.scores(self._overlay.dataset, self._popular_in_model)

    def _popular_in_model(self) -> Floats:
        nobody = Histories.of([[]])
        scores: Floats = self._overlay.extend(self._model.score_batch(nobody, "trending"))[0]
        return scores


def _hide(scores: Floats, among: Sequence[Mask | None]) -> None:
    """NaN in float32 (n, n_items) for items that may not be named, in place."""
    for row, mask in zip(scores, among, strict=True):
        if mask is not None:
            put(row, np.nan, ~mask)
