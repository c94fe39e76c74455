"""Candidates chosen by rough scores are those of exact scores, also at the cut-off."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.models.base import Rough
from crossaisle.models.blend import Blend
from crossaisle.models.ranking import pool
from crossaisle.models.ranking.tables import ShopTables
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.spectral import SpectralEASE
from tests.models.shops import tiny_shop
from tests.serve.live.test_prepared_parts import ranked


@pytest.mark.parametrize("margin", [4, 0])
def test_neighbours_that_rough_scores_swap_at_the_edge(monkeypatch: pytest.MonkeyPatch, margin: int) -> None:
    monkeypatch.setattr(pool, "MARGIN", margin)
    shop = tiny_shop(users=60)
    ease = SpectralEASE(ridge=3.0, dimensions=16)
    parts = {"popularity": Popularity(), "frequency": Frequency(), "ease": ease, "tfidf": TfidfSimilarity()}
    weights = {"for_you": {"popularity": 0.1, "frequency": 0.5, "ease": 1.0}}
    blend = Blend(parts=parts, weights=weights).fit(shop)
    ranker, tables, histories = ranked(shop, blend), ShopTables.of(shop), shop.histories().take(range(20))
    wanted, exact = ranker.rerank(blend, tables, histories), blend.score_rows(histories, "for_you")
    swapped = exact.copy()
    edge = [ranker.pool.of_blend - 1, ranker.pool.of_blend]
    for row, order in zip(swapped, np.argsort(-exact, axis=1, kind="stable"), strict=True):
        row[order[edge]] = row[order[edge[::-1]]]
    best = [np.argsort(-row)[:10].astype(np.int32) for row in exact] if not margin else ()
    rough = Rough(swapped, lambda at, rows: exact[at, rows])
    rows = ranker.rerank_rough(blend, tables, histories, rough, best=best)
    for at, known in enumerate(rows):
        np.testing.assert_array_equal(rough.scores[at, known], wanted[at, known])
        assert len(np.intersect1d(known, best[at] if best else known)) >= 10
