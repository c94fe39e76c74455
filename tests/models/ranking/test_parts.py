"""The pieces of a learned ranker, each where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from crossaisle.data.history import Histories
from crossaisle.models.ranking.calibration import Isotonic, pooled
from crossaisle.models.ranking.features import PLAIN, directions, feature_matrix, feature_names
from crossaisle.models.ranking.pool import Pool, new_categories
from crossaisle.models.ranking.ranker import dealt
from crossaisle.models.ranking.tables import ShopTables
from tests.models.shops import tiny_shop


def shown(histories: list[list[int]], rows: list[list[int]], blend: list[float]) -> list[dict[str, float]]:
    """Features by name, one dictionary per candidate, in a shop of four categories of six items."""
    tables = ShopTables.of(tiny_shop())
    scores = np.array(blend, np.float32)
    at = [np.array(one, np.int32) for one in rows]
    found = feature_matrix(
        tables, Histories.of(histories), at, scores, {"knn": -scores}, ["knn"], {"tfidf": scores}
    )
    names = feature_names(["knn"], ["knn"], ["tfidf"])
    return [dict(zip(names, row, strict=True)) for row in found.tolist()]


def test_features_of_a_candidate_are_what_their_names_say() -> None:
    # milk 0-5, bread 6-11, spade 12-17, paint 18-23; a user who went from milk to bread and back
    first, second, third = shown([[0, 6, 1], [12]], [[2, 12], [0]], [0.5, 0.2, 0.9])
    assert (first["blend"], first["blend_rank"], first["blend_gap"]) == (0.5, 0.0, 0.0)
    assert (second["blend_rank"], second["blend_gap"]) == (1.0, pytest.approx(-0.3))
    assert (first["part:knn"], first["rank:knn"], second["rank:knn"]) == (-0.5, 1.0, 0.0)
    assert (third["blend_rank"], third["text:tfidf"]) == (0.0, pytest.approx(0.9))
    assert (first["same_category"], second["same_category"]) == (1.0, 0.0)
    assert first["category_share"] == pytest.approx(2 / 3)
    assert (first["category_in_history"], second["category_in_history"]) == (1.0, 0.0)
    assert (first["history_length"], first["history_categories"]) == (3.0, 2.0)
    assert first["readiness"] == pytest.approx((2 + 1) / (2 + 2))
    assert third["readiness"] == pytest.approx(1 / 2)
    assert first["price_ratio"] == pytest.approx(np.log(3) - np.log([1, 7, 2]).mean(), abs=1e-5)
    assert first["transition"] > second["transition"]  # nobody goes from the kitchen to the garden


def test_items_of_the_history_are_counted_and_an_empty_one_says_nothing() -> None:
    had, other, lost = shown([[0, 0, 6], []], [[0, 1], [0]], [0.1, 0.2, 0.3])
    assert (had["times_had"], other["times_had"]) == (2.0, 0.0)
    assert np.isnan([lost["same_category"], lost["last_log_sales"], lost["price_ratio"]]).all()
    assert (lost["history_length"], lost["category_share"]) == (0.0, 0.0)


def test_nothing_falls_with_what_the_parts_say_but_popularity_may() -> None:
    names = feature_names(["knn", "popularity"], ["knn"], ["tfidf"])
    bound = dict(zip(names, directions(names, ["popularity"]), strict=True))
    assert {name for name, sign in bound.items() if sign == 1} == {
        "blend",
        "blend_gap",
        "part:knn",
        "text:tfidf",
    }
    assert {name for name, sign in bound.items() if sign == -1} == {"blend_rank", "rank:knn"}
    assert all(bound[name] == 0 for name in PLAIN)


def test_a_pool_holds_the_best_of_each_retriever_and_nothing_that_is_not_allowed() -> None:
    blend = np.array([[9, 8, 7, 6, 5, np.nan]], np.float32)
    knn = np.array([[0, 0, 0, 1, 2, 3]], np.float32)
    allowed = np.array([[False, True, True, True, True, True]])
    new = np.array([[False, False, False, True, False, False]])
    pool = Pool(of_blend=1, of_part=1, of_new=1, retrievers=("knn",))
    assert pool.choose(blend, {"knn": knn}, allowed, new)[0].tolist() == [1, 3, 4]
    only = Pool(of_blend=1, of_part=0, of_new=0)
    assert only.choose(blend, {}, allowed, new)[0].tolist() == [1]


def test_new_categories_are_those_that_no_item_of_the_history_has() -> None:
    codes = np.array([0, 0, 1, 2, -1], np.int32)
    found = new_categories(Histories.of([[0, 2], [4], []]), codes)
    assert found.tolist() == [
        [False, False, False, True, False],
        [True, True, True, True, False],
        [True, True, True, True, False],
    ]


def test_scores_are_dealt_out_in_the_order_of_the_trees() -> None:
    out = dealt(np.array([3, 1, 2], np.float32), np.array([0.1, 0.9, 0.5], np.float32))
    assert out.tolist() == [1.0, 3.0, 2.0]
    tied = dealt(np.array([1, 1, 0], np.float32), np.array([0.1, 0.9, 0.5], np.float32))
    assert np.argsort(-tied).tolist() == [1, 2, 0]
    np.testing.assert_allclose(np.sort(tied), [0, 1, 1], atol=1e-6)


def test_adjacent_violators_are_pooled_by_weight() -> None:
    values, weights = np.array([1.0, 3.0, 2.0, 4.0]), np.array([1.0, 1.0, 3.0, 1.0])
    assert pooled(values, weights).tolist() == [1.0, 2.25, 2.25, 4.0]
    assert pooled(np.array([3.0, 2.0, 1.0]), np.ones(3)).tolist() == [2.0, 2.0, 2.0]


def test_calibrated_scores_are_the_chances_they_came_from() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=200_000).astype(np.float32)
    chance = 1 / (1 + np.exp(4 - scores))
    curve = Isotonic.fit(scores, rng.random(len(scores)) < chance)
    assert abs(curve(scores) - chance).mean() < 0.002
    assert (np.diff(curve.chances) >= 0).all()
    thinned = scores < 0
    weights = np.where(thinned, 4.0, 1.0)
    kept = ~thinned | (rng.random(len(scores)) < 0.25)
    again = Isotonic.fit(scores[kept], (rng.random(len(scores)) < chance)[kept], weights[kept])
    assert abs(again(scores) - chance).mean() < 0.003
