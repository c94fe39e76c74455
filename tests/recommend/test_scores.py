"""What is measured is what is served; ties, and what no model can score."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Floats, Histories
from crossaisle.data.query import PLACEMENTS, Query
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.limits import ListLimits
from crossaisle.recommend.recommender import Recommender
from tests.recommend.shop import FITTED, SHOP


@pytest.mark.parametrize("placement", ["for_you", "trending", "buy_again"])
def test_score_batch_is_what_recommend_ranks_by(placement: str) -> None:
    scores = FITTED.score_batch(SHOP.histories(), placement)  # type: ignore[arg-type]
    assert scores.dtype == np.float32
    for user in range(SHOP.n_users):
        answer = FITTED.recommend(Query(placement=placement, user=f"u{user}", n=40, in_stock=False))  # type: ignore[arg-type]
        rows = SHOP.item_ids.rows(answer.ids)
        np.testing.assert_array_equal(scores[user, rows], np.array([r.score for r in answer], np.float32))


def test_a_batch_with_an_empty_history_gets_popularity_there() -> None:
    scores = FITTED.score_batch(Histories.of([[0], []]))
    popularity = FITTED.score_batch(Histories.of([[]]), "trending")[0]
    np.testing.assert_array_equal(scores[1], popularity)
    assert not np.array_equal(scores[0], popularity, equal_nan=True)


def test_items_that_no_model_can_score_are_never_shown() -> None:
    for placement in PLACEMENTS:
        view = ("milk0",) if placement in ("goes_with", "similar") else ()
        answer = FITTED.recommend(Query(placement=placement, user="u0", items=view, n=50))
        assert not {"milk5", "bread5", "spade5", "paint5"} & set(answer.ids)
        assert all(np.isfinite(r.score) for r in answer)


def test_popularity_steps_in_when_nothing_else_can_score_the_candidates() -> None:
    """Frequency scores the history only; with that left out nothing remains."""
    alone = Recommender(
        SHOP,
        Blend(
            parts={"popularity": Popularity(), "frequency": Frequency()},
            weights={"for_you": {"frequency": 1.0}},
        ).fit(SHOP),
    )
    answer = alone.recommend(Query(user="u0", n=3))
    assert len(answer) == 3
    assert answer.served == "trending"
    assert "no model can score these candidates: ranked by popularity" in answer.notice


def test_equal_scores_go_by_popularity_then_by_catalogue() -> None:
    class Flat(Popularity):
        def score_rows(self, histories: Histories) -> Floats:
            return np.ones((len(histories), len(self.popularity_)), np.float32)

    flat = Recommender(
        SHOP,
        Blend(parts={"popularity": Popularity(), "flat": Flat()}, weights={"for_you": {"flat": 1.0}}).fit(
            SHOP
        ),
    )
    answer = flat.recommend(Query(user="u0", n=40, exclude_seen=False, in_stock=False))
    popularity = np.nan_to_num(flat.view.popularity[SHOP.item_ids.rows(answer.ids)], nan=-1.0)
    expected = sorted(range(SHOP.n_items), key=lambda row: (-flat.view.popularity[row], row))
    assert answer.ids == SHOP.item_ids.ids(expected)
    assert (np.diff(popularity) <= 0).all()


def test_lists_from_the_best_candidates_are_the_lists_from_all() -> None:
    controls: list[dict[str, object]] = [
        {},
        {"cross_share": 0.5},
        {"cross_share": 1.0},
        {"quota": 1},
        {"quotas": {SHOP.taxonomy.names()[0]: 1}},
        {"quota": 1, "cross_share": 0.3},
    ]
    queries = [
        Query(user=user, n=k, exclude_seen=False, **more)
        for user in SHOP.user_ids.all
        for k in (1, 2, 5)
        for more in controls
    ]
    whole = FITTED.recommend_many(queries)
    short = Recommender(SHOP, FITTED.blend, limits=ListLimits(prefix=1))
    assert short.recommend_many(queries) == whole
